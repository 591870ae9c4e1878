package sweep

import (
	"bytes"
	"cmp"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"rarespurious/analysis/figure"
	"rarespurious/analysis/table"
	"rarespurious/experiments/atomicfile"
	"rarespurious/experiments/config"
	"rarespurious/experiments/run"
)

// A kind is one way to draw a figure.
type kind struct {
	runs   bool                      // it draws Records; others compute what they draw
	photos bool                      // its data are photographs in folders
	means  bool                      // what it draws are means over seeds
	sizes  bool                      // it needs a data set's shape alone
	norms  bool                      // its Points of the measure norm need no run
	needs  []string                  // keys of view that must be given
	also   func(config.Figure) Panel // what it wants besides the file's panels
	// draw appends panels to d.Panels and cells to d.Cells.
	draw func(d *drawing) error
}

// kinds lists the kinds of figures. A new one is a row and its function.
var kinds = map[string]kind{
	"curves":        {runs: true, means: true, needs: []string{"metric", "x"}, draw: curves},
	"bars":          {runs: true, means: true, needs: []string{"metric", "x"}, draw: bars},
	"sensitivity":   {runs: true, means: true, needs: []string{"series"}, draw: sensitivityCurves},
	"correlation":   {runs: true, means: true, needs: []string{"metric", "x", "collapse"}, draw: correlation},
	"heatmap":       {runs: true, needs: []string{"x"}, draw: heatmaps},
	"table":         {runs: true, means: true, needs: []string{"metric", "series"}, draw: means},
	"roc":           {runs: true, means: true, needs: []string{"x"}, draw: shadowAttack},
	"lira":          {runs: true, means: true, needs: []string{"x"}, draw: likelihoodRatios},
	"summary":       {runs: true, needs: []string{"metric"}, draw: summary},
	"mitigation":    {runs: true, means: true, needs: []string{"metric", "collapse"}, draw: mitigation},
	"scoreboard":    {runs: true, means: true, needs: []string{"metric", "series"}, draw: scoreboard},
	"trials":        {runs: true, means: true, photos: true, needs: []string{"metric", "x"}, draw: trials},
	"discrepancies": {runs: true, means: true, norms: true, draw: discrepancies},
	"images":        {draw: images},
	"norms":         {draw: norms},
	"parameters":    {sizes: true, draw: parameters},

	"theory-sweep":         {draw: theorySweep},
	"theory-phase":         {draw: theoryPhase},
	"theory-mechanism":     {draw: theoryMechanism},
	"theory-distributions": {draw: theoryDistributions},
	"theory-vs-network":    {runs: true, means: true, needs: []string{"metric", "x"}, also: linearWants, draw: theoryNetwork},
}

// A Picture is a drawn figure.
type Picture struct {
	Name   string
	Figure figure.Figure
	Cells  []table.Cell // the CSV
	// Markdown is a table as text, for kinds that have one.
	Markdown string
	// Notes say what is not as planned: panels left out, runs that failed or
	// diverged.
	Notes []string
}

// drawing is a Picture at work.
type drawing struct {
	*Plan
	title    string // in place of the figure's
	rows     []table.Row
	failed   int // results that have no row
	panels   []figure.Panel
	cells    []table.Cell
	cols     int
	shareX   bool
	legend   figure.Place
	width    float64 // of a panel, and height: millimetres
	height   float64
	notes    []string // more lines for the subtitle
	markdown string
}

// Draw makes the picture from the Records of Steps, in their order. A Record
// without a Status is of a run that failed: its points are missing, and the
// Picture says so.
func (p *Plan) Draw(records []run.Record) (Picture, error) {
	rows, failed := p.Rows(records)
	d := &drawing{Plan: p, rows: rows, failed: failed, cols: p.Figure.View.Cols}
	if err := kinds[p.Figure.Kind].draw(d); err != nil {
		return Picture{}, fmt.Errorf("draw %s: %w", p.Figure.Name, err)
	}
	notes := slices.Clone(p.Notes)
	if failed > 0 {
		notes = append(notes, fmt.Sprintf("%d of %d results are missing: their runs failed", failed, failed+len(rows)))
	}
	if n := diverged(rows); n > 0 {
		notes = append(notes, fmt.Sprintf("%d runs diverged: they are counted, not averaged", n))
	}
	pic := Picture{
		Name: p.Figure.Name,
		Figure: figure.Figure{Title: cmp.Or(d.title, p.Figure.Title), Subtitle: p.subtitle(append(d.notes, notes[len(p.Notes):]...)),
			Panels: d.panels, Cols: d.cols, ShareX: d.shareX, Legend: d.legend, PanelWidth: d.width, PanelHeight: d.height},
		Cells: d.cells,
		Notes: notes,
	}
	if d.markdown != "" {
		pic.Markdown = fmt.Sprintf("# %s\n\n%s\n\n%s", pic.Figure.Title, strings.ReplaceAll(pic.Figure.Subtitle, "\n", "\n\n"), d.markdown)
	}
	return pic, nil
}

func diverged(rows []table.Row) int {
	ids := map[string]bool{}
	for _, r := range rows {
		if r.Diverged {
			ids[r.ID] = true
		}
	}
	return len(ids)
}

// subtitle says what made the numbers.
func (p *Plan) subtitle(notes []string) string {
	f := p.Figure
	first := f.Profile + " profile"
	if f.Note != "" {
		first += ": " + f.Note
	}
	if len(f.Set) > 0 {
		first += " Changed: " + strings.Join(f.Set, ", ") + "."
	}
	lines := []string{first}
	if kinds[f.Kind].runs {
		lines = append(lines, p.seeds())
	}
	return strings.Join(append(lines, notes...), "\n")
}

// seeds says which seeds the numbers are of.
func (p *Plan) seeds() string {
	var all []string
	for _, panel := range p.Panels {
		var seeds []int
		for _, w := range panel.Wants {
			if !slices.Contains(seeds, w.Point.Seed) {
				seeds = append(seeds, w.Point.Seed)
			}
		}
		slices.Sort(seeds)
		switch {
		case len(seeds) == 0:
			continue
		case len(seeds) == 1:
			all = append(all, fmt.Sprintf("%s: seed %d", panel.Title, seeds[0]))
		case kinds[p.Figure.Kind].means:
			all = append(all, fmt.Sprintf("%s: means and standard errors over the seeds %s", panel.Title, list(seeds)))
		default:
			all = append(all, fmt.Sprintf("%s: seeds %s", panel.Title, list(seeds)))
		}
	}
	return grouped(all)
}

// list writes 0, 1, 2.
func list(numbers []int) string {
	return strings.ReplaceAll(strings.Trim(fmt.Sprint(numbers), "[]"), " ", ", ")
}

// grouped joins lines "who: what." and names those of one what together.
func grouped(lines []string) string {
	var whats, out []string
	who := map[string][]string{}
	for _, l := range lines {
		a, b, _ := strings.Cut(l, ": ")
		if who[b] == nil {
			whats = append(whats, b)
		}
		who[b] = append(who[b], a)
	}
	for _, what := range whats {
		if len(whats) == 1 {
			return strings.ToUpper(what[:1]) + what[1:] + "."
		}
		out = append(out, strings.Join(who[what], "; ")+": "+what+".")
	}
	return strings.Join(out, " ")
}

// CSV returns the table that Save writes.
func (p Picture) CSV() ([]byte, error) {
	var csv bytes.Buffer
	err := table.WriteCSV(&csv, p.Cells)
	return csv.Bytes(), err
}

// Save writes dir/name/name.csv, .png, .svg, .pdf and, if there is Markdown, .md,
// and returns their paths. Each file is there whole or not at all. The CSV comes
// last: a new one has everything new beside it.
func (p Picture) Save(dir string) ([]string, error) {
	base := filepath.Join(dir, p.Name, p.Name)
	if err := os.MkdirAll(filepath.Dir(base), 0o755); err != nil {
		return nil, err
	}
	files := []string{base + ".csv"}
	for _, format := range figure.Formats() {
		var picture bytes.Buffer
		err := p.Figure.Encode(&picture, format)
		if err == nil {
			err = atomicfile.Write(base+"."+format, picture.Bytes())
		}
		if err != nil {
			return nil, err
		}
		files = append(files, base+"."+format)
	}
	if p.Markdown != "" {
		if err := atomicfile.Write(base+".md", []byte(p.Markdown)); err != nil {
			return nil, err
		}
		files = append(files, base+".md")
	}
	csv, err := p.CSV()
	if err == nil {
		err = atomicfile.Write(files[0], csv)
	}
	if err != nil {
		return nil, err
	}
	return files, nil
}
