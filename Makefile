# rarespurious: every figure is one command. `make help` lists them.
#
#   make fig2                 quick profile: minutes on two cores
#   make fig2 PROFILE=paper   the paper's grid
#   make fig4 fig5 DEVICE=cuda:0 JOBS=2 DATA=/my/data

PROFILE ?= quick
RESULTS ?= results
DEVICE  ?= cpu
CACHE   ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/rarespurious
SET     ?=

# What a figure's command is given besides its name.
FLAGS = --profile $(PROFILE) --results $(RESULTS) --device $(DEVICE) --cache $(CACHE) \
        $(if $(JOBS),--jobs $(JOBS)) $(if $(DATA),--data-dir $(DATA)) $(foreach s,$(SET),--set $(s))

FIGURES := $(sort $(basename $(notdir $(wildcard configs/*.yaml))))
WANTED  := $(filter $(FIGURES),$(MAKECMDGOALS))

ENV := bin/libtorch.env
SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.ONESHELL:
.PHONY: help build setup test check fuzz bench faults figures clean $(FIGURES)
.DEFAULT_GOAL := help

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z][a-z-]*:.*## / {printf "  %-12s %s\n", $$1, $$2}' Makefile
	@printf '\nFigures and tables, each one file in configs/ (PROFILE=smoke|quick|paper, quick by default):\n'
	@printf '%s\n' $(FIGURES) | sort -V | paste -sd' ' | fold -s -w 76 | sed 's/^/  /'

# All figures that were named are one run of the program, so that they share
# models and workers.
$(FIGURES): build
	@if [ "$@" = "$(firstword $(WANTED))" ]; then bin/rsc figure $(WANTED) $(FLAGS); fi

figures: build ## make every figure and table
	@bin/rsc figure $(FIGURES) $(FLAGS)

setup: $(ENV) ## fetch libtorch, once, into the cache; CUDA=1: what GPUs need, too

# The file names the libtorch in use; it is written anew when that has gone, or
# another is asked for.
$(ENV): $(wildcard scripts/setup/*) $(if $(CUDA),FORCE,$(shell . $(ENV) 2>/dev/null && \
    [ -e "$${RSC_LIBTORCH:-}/lib/libtorch_cpu.so" ] && \
    [ -z "$(LIBTORCH)" -o "$(LIBTORCH)" -ef "$$RSC_LIBTORCH" ] || echo FORCE))
	@mkdir -p bin
	LIBTORCH="$(LIBTORCH)" CGO_ENABLED=0 go run ./scripts/setup -cache "$(CACHE)" $(if $(CUDA),-cuda) -out $(ENV).new
	mv $(ENV).new $(ENV)
.PHONY: FORCE
FORCE:

build: $(ENV) ## build bin/rsc
	@. $(ENV)
	[ -e bin/rsc ] || echo "building rsc; the first time also gotch's C++ part, about 4 minutes" >&2
	go build -ldflags "-X main.built=$$(git describe --always --abbrev=40 --dirty 2>/dev/null || true)" -o bin/rsc ./experiments/cmd/rsc

test: $(ENV) ## run all tests
	@. $(ENV)
	go vet ./...
	go test -timeout 20m ./...

check: test ## test, and check style
	@test -z "$$(gofmt -l . | tee /dev/stderr)"
	. $(ENV)
	go run honnef.co/go/tools/cmd/staticcheck@v0.8.2 ./...

fuzz: $(ENV) ## fuzz every decoder, FUZZTIME each (1m)
	@. $(ENV)
	grep -rlE '^func Fuzz' --include=*_test.go . | while read -r file; do
	  for name in $$(grep -oE '^func Fuzz\w+' "$$file" | cut -d' ' -f2); do
	    go test -run xxx -fuzz "^$$name$$" -fuzztime "$${FUZZTIME:-1m}" "$$(dirname "$$file")"
	  done
	done

bench: build ## compare training speed with PyTorch, side by side
	@. $(ENV)
	scripts/bench/run.sh "$(CACHE)"

faults: build ## kill a sweep KILLS times (50), fill its disk, make it read-only
	@. $(ENV)
	scripts/faults/kill.sh "$${KILLS:-50}" "$(CACHE)"
	scripts/faults/disk.sh "$(CACHE)"

clean: ## remove bin; results and the cache stay
	rm -rf bin
