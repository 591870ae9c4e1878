package figure

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"time"

	"codeberg.org/go-pdf/fpdf"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgimg"
	"gonum.org/v1/plot/vg/vgpdf"
	"gonum.org/v1/plot/vg/vgsvg"
)

// dpi is the resolution of PNGs.
const dpi = 200

// Formats are the formats that Save writes.
func Formats() []string { return []string{"png", "svg", "pdf"} }

// init makes PDFs depend on their content alone. The PDF library stamps the
// time and lists images in map order, and gonum/plot hides the document on
// which one would turn that off, so the library's defaults must be set.
func init() {
	fpdf.SetDefaultCatalogSort(true)
	fpdf.SetDefaultCreationDate(time.Unix(0, 0).UTC())
	fpdf.SetDefaultModificationDate(time.Unix(0, 0).UTC())
}

// Save draws f once and writes it as base + ".png", ".svg" and ".pdf". The
// same Figure gives the same bytes. Its error names the file.
func (f *Figure) Save(base string) error {
	for _, format := range Formats() {
		if err := f.save(base+"."+format, format); err != nil {
			return fmt.Errorf("figure: %w", err)
		}
	}
	return nil
}

func (f *Figure) save(path, format string) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	if err := f.Encode(file, format); err != nil {
		file.Close()
		return fmt.Errorf("%s: %w", path, err)
	}
	return file.Close()
}

// Encode writes f to w in one of Formats; it panics on another. It returns w's
// error.
func (f *Figure) Encode(w io.Writer, format string) error { return f.encode(w, format, dpi) }

func (f *Figure) encode(w io.Writer, format string, dpi int) error {
	p := f.layOut()
	var c vg.CanvasWriterTo
	switch format {
	case "png":
		c = vgimg.PngCanvas{Canvas: vgimg.NewWith(vgimg.UseWH(p.w, p.h), vgimg.UseDPI(dpi))}
	case "svg":
		c = vgsvg.New(p.w, p.h)
	case "pdf":
		c = vgpdf.New(p.w, p.h)
	default:
		panic("figure: unknown format " + format)
	}
	p.draw(draw.NewCanvas(outlined{c, map[int]bool{}, format == "pdf"}, p.w, p.h))
	var buf bytes.Buffer
	if _, err := c.WriteTo(&buf); err != nil {
		return err
	}
	out := buf.Bytes()
	if format == "svg" {
		// The backend embeds PNGs and calls them JPEGs, which some viewers refuse.
		out = bytes.ReplaceAll(out, []byte(`"data:image/jpg;`), []byte(`"data:image/png;`))
	}
	_, err := w.Write(out)
	return err
}
