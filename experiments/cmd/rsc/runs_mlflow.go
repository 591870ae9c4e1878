package main

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"rarespurious/experiments/run"
)

// mlflowExperiment is the number of the one experiment of an export.
const mlflowExperiment = "1"

// exportMLflow writes records as a new folder in the layout of MLflow's file
// store: experiment/run/{meta.yaml, params, metrics, tags, artifacts}, a file
// per value. Only small artifacts are copied.
//
// Reference: MLflow's documentation, "Backend Stores", local file store.
func exportMLflow(s *run.Store, records []run.Record, dir string) error {
	if err := os.Mkdir(dir, 0o755); err != nil {
		if os.IsExist(err) {
			return badInputf("--out %s: is there already: name a folder to make", dir)
		}
		return err
	}
	root, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	experiment := filepath.Join(root, mlflowExperiment)
	now := time.Now().UnixMilli()
	if err := writeFields(filepath.Join(experiment, "meta.yaml"), [][2]any{
		{"artifact_location", "file://" + experiment}, {"creation_time", now}, {"experiment_id", mlflowExperiment},
		{"last_update_time", now}, {"lifecycle_stage", "active"}, {"name", "rarespurious"},
	}); err != nil {
		return err
	}
	for _, r := range records {
		if err := exportRun(s, r, experiment); err != nil {
			return fmt.Errorf("run %v: %w", r.ID, err)
		}
	}
	return nil
}

func exportRun(s *run.Store, r run.Record, experiment string) error {
	uuid := r.ID.Full()[:32]
	dir := filepath.Join(experiment, uuid)
	for _, sub := range []string{"params", "metrics", "tags", "artifacts"} {
		if err := os.MkdirAll(filepath.Join(dir, sub), 0o755); err != nil {
			return err
		}
	}
	status := 3 // RunStatus.FINISHED
	if r.Status == run.Diverged {
		status = 4 // RunStatus.FAILED
	}
	end := r.Started.Add(time.Duration(r.Seconds * float64(time.Second)))
	if err := writeFields(filepath.Join(dir, "meta.yaml"), [][2]any{
		{"artifact_uri", "file://" + filepath.Join(dir, "artifacts")}, {"end_time", end.UnixMilli()}, {"entry_point_name", ""},
		{"experiment_id", mlflowExperiment}, {"lifecycle_stage", "active"}, {"run_id", uuid}, {"run_name", describe(r.Step)},
		{"run_uuid", uuid}, {"source_name", ""}, {"source_type", 4}, {"source_version", ""}, {"start_time", r.Started.UnixMilli()},
		{"status", status}, {"tags", []string{}}, {"user_id", ""},
	}); err != nil {
		return err
	}
	files := map[string]string{"tags/mlflow.runName": describe(r.Step), "tags/rsc.id": r.ID.Full(),
		"tags/rsc.kind": r.Step.Kind(), "tags/rsc.status": string(r.Status)}
	for i, from := range r.Step.From {
		files[fmt.Sprintf("tags/rsc.from.%d", i)] = from.ID().Full()
	}
	for key, v := range flatten(r.Env) {
		files["tags/env."+key] = v
	}
	for key, v := range settings(r.Step) {
		files["params/"+mlflowName(key)] = v
	}
	for key, v := range r.Values {
		files["metrics/"+mlflowName(key)] = fmt.Sprintf("%d %s 0\n", end.UnixMilli(), strconv.FormatFloat(v, 'g', -1, 64))
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(files[name]), 0o644); err != nil {
			return err
		}
	}
	return copyLog(s, r, filepath.Join(dir, "artifacts"))
}

// copyLog copies a run's log, if it has one.
func copyLog(s *run.Store, r run.Record, dir string) error {
	const name = "events.jsonl"
	if r.Files[name] == "" {
		return nil
	}
	f, err := s.Open(r.ID, name)
	if err != nil {
		return err
	}
	defer f.Close()
	b, err := io.ReadAll(f)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(dir, name), b, 0o644)
}

// mlflowName replaces what MLflow does not take in a key.
func mlflowName(key string) string { return strings.NewReplacer("[", ".", "]", "").Replace(key) }

// writeFields writes a flat YAML file; JSON values are YAML values.
func writeFields(path string, fields [][2]any) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return err
	}
	var b strings.Builder
	for _, f := range fields {
		v, err := json.Marshal(f[1])
		if err != nil {
			return err
		}
		fmt.Fprintf(&b, "%s: %s\n", f[0], v)
	}
	return os.WriteFile(path, []byte(b.String()), 0o644)
}
