package scan

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"html/template"
	"io"
)

// WriteHTML writes the report as one page that needs no other file.
func (r *Report) WriteHTML(w io.Writer) error {
	var png bytes.Buffer
	if err := r.Figure().Encode(&png, "png"); err != nil {
		return fmt.Errorf("scan: picture: %w", err)
	}
	return page.Execute(w, struct {
		*Report
		Picture template.URL
	}{r, template.URL("data:image/png;base64," + base64.StdEncoding.EncodeToString(png.Bytes()))})
}

// three prints a number, or what points at one, with three decimals.
func three(v any) string {
	if p, ok := v.(*float64); ok {
		v = *p
	}
	return fmt.Sprintf("%.3f", v)
}

var page = template.Must(template.New("scan").Funcs(template.FuncMap{
	"three": three,
}).Parse(`{{define "over"}}<td title="{{three .From}} to {{three .To}}, 95 % over draws">{{three .Mean}}<td>{{three .Low}}{{end}}<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>Scan of {{.Model}}</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 72rem; padding: 0 1rem; }
table { border-collapse: collapse; font-size: .85rem; }
td, th { padding: .15rem .6rem; text-align: right; }
td:nth-child(-n+2), th:nth-child(-n+2) { text-align: left; }
tbody tr:nth-child(even) { background: #f4f4f4; }
tr.suspicious td { background: #fbdcd5; font-weight: 600; }
img { max-width: 100%; }
</style>
<h1>Scan of {{.Model}}</h1>
<p><strong>{{.Verdict}}</strong></p>
<p>{{.Images}}; clean accuracy {{three .Accuracy}}.
{{if .Judged}}A class is suspicious if its distance z from the clean models is above {{three .Threshold}}.
A clean model, trained like those of the calibration, has such a class with probability at most {{.Level}}.{{end}}</p>
<img src="{{.Picture}}" alt="Statistics, responses and sensitivity; the numbers are in the table below.">
<h2>Every pattern and class</h2>
<table>
<thead><tr><th>Pattern<th>Class<th>Score<th>Lowest draw<th>Highest shuffle<th>Pull<th>Lowest draw<th>Highest shuffle{{if .Judged}}<th>Clean median<th>Clean highest<th>z{{end}}</tr></thead>
<tbody>
{{range .Rows}}<tr{{if .Suspicious}} class="suspicious"{{end}}><td>{{.Pattern}}<td>{{.Name}}{{template "over" .Score}}<td>{{with .ControlScore}}{{three .}}{{end}}{{template "over" .Pull}}<td>{{with .ControlPull}}{{three .}}{{end}}{{if $.Judged}}<td>{{three .CleanMedian}}<td>{{three .CleanHigh}}<td>{{three .Z}}{{end}}</tr>
{{end}}</tbody>
</table>
<p>The score is the share of test images of other classes whose probability of the class rises by more than 0.1 when the pattern is put on.
The pull says how far the pattern moves those images towards the class, as a share of the way in log-odds, less the median of the classes; it is what is judged.
The page says what was found with the patterns that were looked for, and nothing about others.</p>
</html>
`))
