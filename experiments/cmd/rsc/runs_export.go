package main

import (
	"encoding/csv"
	"encoding/json"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"rarespurious/experiments/run"

	"github.com/spf13/cobra"
)

func newRunsExport(a *app) *cobra.Command {
	var format, out string
	formats := []string{"csv", "jsonl", "mlflow"}
	c := &cobra.Command{
		Use: "export", Short: "export all runs for other tools", Args: cobra.NoArgs,
		Long: `export writes every run with its settings and values.

  csv     one line per run, a column per setting and value, to standard output
  jsonl   one JSON object per line, to standard output
  mlflow  MLflow's file store in a new folder, for mlflow ui --backend-store-uri;
          a recent MLflow opens it if MLFLOW_ALLOW_FILE_STORE=true is set`,
		Example: `  rsc runs export > runs.csv
  rsc runs export --format jsonl | jq .values
  rsc runs export --format mlflow --out mlruns`,
		RunE: func(c *cobra.Command, _ []string) error {
			if !slices.Contains(formats, format) {
				return badInputf("--format %q: give one of %s", format, strings.Join(formats, ", "))
			}
			s, err := a.readStore()
			if err != nil {
				return err
			}
			defer s.Close()
			records, damaged, err := allRecords(s)
			if err != nil {
				return err
			}
			for _, err := range damaged {
				a.log.Warn().Msg("left out: " + err.Error())
			}
			switch format {
			case "csv":
				return a.exportCSV(records)
			case "jsonl":
				return a.exportLines(records)
			}
			return exportMLflow(s, records, out)
		},
	}
	c.Flags().StringVar(&format, "format", "csv", strings.Join(formats, ", "))
	c.Flags().StringVar(&out, "out", "mlruns", "folder to make, for mlflow")
	c.RegisterFlagCompletionFunc("format", cobra.FixedCompletions(formats, cobra.ShellCompDirectiveNoFileComp))
	return c
}

// exportCSV writes one line per run. Settings have the column "train.lr",
// values "value.clean_accuracy"; what a run does not have is empty.
func (a *app) exportCSV(records []run.Record) error {
	head := []string{"id", "kind", "status", "started", "seconds", "from"}
	rows := make([]map[string]string, len(records))
	columns := map[string]bool{}
	for i, r := range records {
		v := view(r)
		var from []string
		for _, id := range v.From {
			from = append(from, id.Full())
		}
		m := maps.Clone(v.Settings)
		for key, x := range v.Values {
			m["value."+key] = strconv.FormatFloat(x, 'g', -1, 64)
		}
		for key := range m {
			columns[key] = true
		}
		m["id"], m["kind"], m["status"], m["from"] = r.ID.Full(), v.Kind, string(v.Status), strings.Join(from, " ")
		m["started"], m["seconds"] = v.Started.Format(time.RFC3339), strconv.FormatFloat(v.Seconds, 'f', 3, 64)
		rows[i] = m
	}
	head = append(head, slices.Sorted(maps.Keys(columns))...)
	w := csv.NewWriter(a.stdout)
	w.Write(head)
	for _, m := range rows {
		line := make([]string, len(head))
		for i, key := range head {
			line[i] = m[key]
		}
		w.Write(line)
	}
	w.Flush()
	return w.Error()
}

func (a *app) exportLines(records []run.Record) error {
	e := json.NewEncoder(a.stdout)
	for _, r := range records {
		if err := e.Encode(view(r)); err != nil {
			return err
		}
	}
	return nil
}
