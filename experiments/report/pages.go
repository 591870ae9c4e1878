package report

const style = `{{define "head"}}<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width"><meta name="color-scheme" content="light dark"><style>
:root{color-scheme:light dark;--line:#8884;--soft:#8881;--ink:#0b62b0}
@media(prefers-color-scheme:dark){:root{--ink:#7cb8f5}}
body{font:15px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem}
a{color:var(--ink);text-decoration:none}a:hover{text-decoration:underline}
table{border-collapse:collapse;font-variant-numeric:tabular-nums;font-size:.87rem}
th,td{text-align:left;padding:.2rem .7rem;border-bottom:1px solid var(--line);vertical-align:top}
td.n{text-align:right}td.c,code{font-family:ui-monospace,monospace;font-size:.8rem;overflow-wrap:anywhere}
pre{background:var(--soft);padding:1rem;overflow:auto;max-height:30rem;font-size:.8rem}
img{max-width:100%;background:#fff;border-radius:6px;padding:8px;box-sizing:border-box}
.box{background:var(--soft);border-left:4px solid #3a9d5d;padding:.6rem 1rem}.bad{border-color:#c33}
.wide{overflow:auto}:focus-visible{outline:2px solid var(--ink);outline-offset:2px}nav a{margin-right:1rem}tr.bad td{border-left:4px solid #c33}summary{cursor:pointer;margin:1rem 0}svg{max-width:40rem}svg text{fill:currentColor;font-size:13px}
polyline{fill:none;stroke:var(--ink);stroke-width:2}</style>{{end}}`

const indexPage = `{{define "index"}}{{template "head"}}<title>Results</title><h1>Results</h1>
{{with .Audit}}<div class="box{{if .Problems}} bad{{end}}"><b>{{if .Problems}}Audit: {{len .Problems}} problem(s){{else}}Audit: clean, everything is as it was written{{end}}</b><br>
{{.Records}} runs stored: {{.Done}} done, {{.Diverged}} diverged. {{len .Failed}} failed and {{len .Interrupted}} interrupted without a result. {{.Files}} files compared, {{.Dropped}} dropped to save space.
{{if .Problems}}<ul>{{range .Problems}}<li><code>{{.Place}}</code> {{.What}}{{end}}</ul>{{end}}
{{if .Notes}}<ul>{{range .Notes}}<li>Note: <code>{{.Place}}</code> {{.What}}{{end}}</ul>{{end}}
{{if .Failed}}<ul>{{range .Failed}}<li>Failed: <code>{{.ID}}</code> {{.Note}}{{end}}</ul>{{end}}</div>
<h2>Where runs come from</h2>{{if gt (len .Envs) 1}}<p>Where device, instructions, libtorch or threads differ, numbers agree within a tolerance only.</p>{{end}}
<div class="wide" tabindex="0"><table><tr><th scope="col">runs<th scope="col">device<th scope="col">instructions<th scope="col">host<th scope="col">libtorch<th scope="col">threads<th scope="col">revision</tr>{{range .Envs}}<tr><td class="n">{{.Records}}<td>{{.Env.Device}}<td>{{.Env.CPU}}<td>{{.Env.Host}}<td>{{.Env.Libtorch}}<td class="n">{{.Env.Threads}}<td class="c">{{or .Env.Revision "unknown"}}{{if .Env.Dirty}} (changed){{end}}</tr>{{end}}</table></div>{{end}}
{{if .Figures}}<h2>Figures and tables</h2><nav aria-label="figures">{{range .Figures}}<a href="#{{.Name}}">{{.Name}}</a> {{end}}</nav>
{{if .Published}}<p>Of the numbers that the paper prints, {{.Published}} are here: {{if .Differing}}<b>{{.Differing}} of ours differ</b>{{else}}ours agree with all, to the printed digits{{end}}.</p>{{end}}{{end}}
{{range .Figures}}{{$f := .}}<h2 id="{{.Name}}">{{.Name}}</h2><p>{{.Profile}} profile{{if .State}} · {{.State}}{{end}}</p>{{range .Notes}}<p>{{.}}</p>{{end}}
{{if .Picture}}<img src="{{.Picture}}" alt="picture of {{.Name}}; the table below has its numbers">{{end}}
{{with .Published}}<details{{if differing .}} open{{end}}><summary>Beside the paper: {{if differing .}}{{differing .}} of {{len .}} printed numbers differ{{else}}all {{len .}} printed numbers agree{{end}}</summary><div class="wide" tabindex="0" role="region" aria-label="ours beside the published numbers of {{$f.Name}}"><table><tr><th scope="col">panel<th scope="col">series<th scope="col">x<th scope="col">metric<th scope="col">published<th scope="col">ours<th scope="col">difference<th scope="col">to the printed digits</tr>
{{range .}}<tr{{if not .Agrees}} class="bad"{{end}}><td>{{.Panel}}<td>{{.Series}}<td>{{.X}}<td>{{.Metric}}<td class="n">{{.Published}}<td class="n">{{exact .Ours}}<td class="n">{{signed .Difference}}<td>{{if .Agrees}}agrees{{else}}differs{{end}}</tr>
{{end}}</table></div></details>{{end}}
<details><summary>Table, {{len .Cells}} rows</summary><div class="wide" tabindex="0"><table><tr><th scope="col">panel<th scope="col">series<th scope="col">x<th scope="col">metric<th scope="col">mean ± SE<th scope="col">n<th scope="col">diverged<th scope="col">p<th scope="col">runs</tr>
{{range .Cells}}<tr><td>{{.Panel}}<td>{{.Series}}<td>{{.X}}<td>{{.Metric}}<td class="n">{{num .Mean}}{{if eq .SE .SE}} ± {{num .SE}}{{end}}<td class="n">{{.N}}<td class="n">{{.Diverged}}<td class="n">{{num .P}}<td class="c">{{range .Runs}}{{$to := index $f.Runs .}}{{if $to}}<a href="{{$to}}">{{.}}</a>{{else}}{{.}}{{end}} {{end}}</tr>
{{end}}</table></div></details>{{end}}
<h2>All runs</h2><details><summary>{{len .Runs}} runs</summary><table><tr><th scope="col">run<th scope="col">kind<th scope="col">status<th scope="col">seconds</tr>{{range .Runs}}<tr><td class="c"><a href="report/{{.ID.Full}}.html">{{.ID}}</a><td>{{.Step.Kind}}<td>{{.Status}}<td class="n">{{num .Seconds}}</tr>{{end}}</table></details>{{end}}`

const runPage = `{{define "run"}}{{template "head"}}<title>Run {{.ID}}</title><p><a href="../index.html">Results</a></p><h1>{{.Step.Kind}} {{.ID}}</h1>
<p>{{.Status}}, {{num .Seconds}} s, <code>{{.ID.Full}}</code></p>{{if .Step.From}}<p>Starts from {{range .Step.From}}<a href="{{.ID.Full}}.html">{{.Kind}} {{.ID}}</a> {{end}}</p>{{end}}
{{if .Curve}}<h2>Loss</h2>{{.Curve}}{{end}}
{{if .Values}}<h2>Values</h2><table>{{range $k, $v := .Values}}<tr><td>{{$k}}<td class="n">{{$v}}</tr>{{end}}</table>{{end}}
<h2>Files</h2><table><tr><th scope="col">file<th scope="col">SHA-256</tr>{{$r := .}}{{range $name := sorted .Files}}<tr><td>{{if index $r.Gone $name}}{{$name}} (not there){{else}}<a href="../store/{{$r.ID.Full}}/{{$name}}">{{$name}}</a>{{end}}<td class="c">{{index $r.Files $name}}</tr>{{end}}</table>
<h2>Environment</h2><p>{{with .Env}}{{.Device}} ({{.CPU}}) on {{.Host}}, {{.OS}}, libtorch {{.Libtorch}}, {{.Threads}} thread(s), {{.Models}} model(s) at a time, {{.Go}}, revision {{or .Revision "unknown"}}{{if .Dirty}} (changed){{end}}{{end}}</p>
<h2>Configuration</h2><pre tabindex="0">{{.Config}}</pre>{{if .Log}}<h2>Log</h2><pre tabindex="0">{{.Log}}</pre>{{end}}{{end}}`
