package main

import (
	"fmt"
	"strings"

	"rarespurious/experiments/config"

	"github.com/spf13/cobra"
)

// topics are what rsc help tells beside commands: its text by name and title.
var topics = []struct{ name, title, text string }{
	{"exit-codes", "what the exit status means", `Exit status of every command:

  0    all is well
  1    something failed while running, or was found wrong:
         figure, train          a step failed; what else there is was stored, drawn
         audit                  something is not as it was written
         verify, verify theory  numbers differ that must not
         store merge            runs differ that must agree, or one is damaged
         weights diff           the files differ
         scan                   a class is suspicious
         deletion-check         the correlation was not deleted
         export                 what was written is not what was stored
         doctor                 figures cannot be made as things are
  2    bad input: a command line, a config, a file, a device that is not there,
       data that cannot be had. Nothing was run
  130  interrupted by Ctrl-C or SIGTERM; the same command goes on from there

A training whose loss ceases to be finite is no failure: it is counted as
diverged, and never averaged.`},
	{"profiles", "smoke, quick and paper", `A figure file has its grid in three sizes:

  smoke   seconds: does the program work?
  quick   minutes on two cores, on real data: the default
  paper   the paper's grid

A profile leaves out epochs, seeds, counts or data, and every picture says which.
--set key=value changes a field in any of them. rsc plan NAME --profile paper
says what is to run before anything does.`},
	{"results", "what is in the results folder", `RESULTS (results, or --results) has

  index.html, report/   rsc report: everything, for a browser
  NAME/NAME.png .svg .pdf .csv
                        a figure; the CSV's last column names the runs
  NAME/NAME.json        the config and profile that it was drawn from
  store/ID/             one run: step.json, record.json, events.jsonl, its model
  scratch/ID/           checkpoints of a run that is not finished
  journal.jsonl         what happened, line by line; journal.head seals its end
  damaged/              what was found damaged and moved aside

Nothing in it needs to be deleted by hand after a crash. rsc audit checks all of
it; docs/format.md describes every file.`},
}

// addTopics makes topics what rsc help NAME shows.
func addTopics(root *cobra.Command) {
	for _, t := range topics {
		root.AddCommand(&cobra.Command{Use: t.name, Short: t.title, Long: t.text})
	}
	root.SetHelpCommand(newHelp())
}

func newHelp() *cobra.Command {
	return &cobra.Command{
		Use: "help [COMMAND|TOPIC]", Short: "explain a command, or a topic",
		Example: "  rsc help figure\n  rsc help exit-codes",
		ValidArgsFunction: func(c *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
			at, _, err := c.Root().Find(args)
			if err != nil {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return below(at, true), cobra.ShellCompDirectiveNoFileComp
		},
		RunE: func(c *cobra.Command, args []string) error {
			at, rest, err := c.Root().Find(args)
			if err != nil || len(rest) > 0 {
				word := strings.Join(args, " ")
				return badInputf("help: nothing is called %q%s", word, config.DidYouMean(word, below(c.Root(), false)))
			}
			at.InitDefaultHelpFlag()
			return at.Help()
		},
	}
}

// below returns the names of what is directly below c, described or bare.
func below(c *cobra.Command, described bool) (list []string) {
	for _, sub := range c.Commands() {
		if sub.Hidden {
			continue
		}
		name := sub.Name()
		if described {
			name += "\t" + sub.Short
		}
		list = append(list, name)
	}
	return list
}

// explainArguments makes every command that is given wrong arguments say what it
// takes.
func explainArguments(root *cobra.Command) {
	visit(root, func(c *cobra.Command) {
		check := c.Args
		if check == nil {
			return
		}
		c.Args = func(c *cobra.Command, args []string) error {
			if check(c, args) == nil {
				return nil
			}
			path := c.CommandPath()
			if c.HasSubCommands() {
				hint := config.DidYouMean(args[0], below(c, false))
				if hint == "" {
					hint = "; " + path + " --help lists them"
				}
				return fmt.Errorf("%s has no command %q%s", path, args[0], hint)
			}
			_, takes, _ := strings.Cut(c.Use, " ")
			if takes == "" {
				return fmt.Errorf("%s takes no arguments, but was given %q", path, strings.Join(args, " "))
			}
			given := "nothing"
			if len(args) > 0 {
				given = strings.Join(args, " ")
			}
			hint := path + " --help shows examples"
			if strings.HasPrefix(takes, "NAME…") {
				hint = "rsc figures lists them; " + hint
			}
			return fmt.Errorf("%s takes %s, and was given %s: %s", c.Name(), takes, given, hint)
		}
	})
}
