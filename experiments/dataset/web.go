package dataset

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Limits of a download. An unreachable server must not delay the next origin.
const (
	dialTimeout   = 3 * time.Second
	headerTimeout = 20 * time.Second
	stallTimeout  = 30 * time.Second // without a byte
	maxTries      = 5                // each must have brought something
)

// A web origin serves a source's downloads under their names at an address,
// which ends in a slash.
type web string

func (o web) String() string { return string(o) }

func (o web) fetch(ctx context.Context, s Source, scratch string, report func(Progress)) (string, error) {
	for _, f := range s.downloads() {
		check := func(path string) error {
			got, err := sumFile(path)
			if err == nil && got != f.MD5 {
				err = fmt.Errorf("md5 %s, want %s", got, f.MD5)
			}
			return err
		}
		if err := Download(ctx, string(o)+f.Name, filepath.Join(scratch, f.Name), check, report); err != nil {
			return "", fmt.Errorf("%s: %w", f.Name, err)
		}
	}
	return scratch, nil
}

// Download brings the file at url to path, if nothing is there. What has come
// lies in path.part, with which an interrupted download goes on. check looks at
// the whole file before it gets its name; one that it refuses is removed. An
// unreachable server is given up after seconds. report may be nil.
func Download(ctx context.Context, url, path string, check func(path string) error, report func(Progress)) error {
	client := &http.Client{Transport: &http.Transport{
		Proxy:                 http.ProxyFromEnvironment,
		DialContext:           (&net.Dialer{Timeout: dialTimeout}).DialContext,
		TLSHandshakeTimeout:   headerTimeout,
		ResponseHeaderTimeout: headerTimeout,
	}}
	defer client.CloseIdleConnections()
	if report == nil {
		report = func(Progress) {}
	}
	return download{client, url, path, check, report}.run(ctx)
}

// A download brings one file to path.
type download struct {
	client    *http.Client
	url, path string
	check     func(path string) error
	report    func(Progress)
}

func (d download) run(ctx context.Context) error {
	if exists(d.path) {
		return nil
	}
	part := d.path + ".part"
	if exists(part) && d.check(part) == nil {
		return os.Rename(part, d.path)
	}
	for try := 1; ; try++ {
		before := size(part)
		err := d.more(ctx, part)
		if err == nil {
			break
		}
		if ctx.Err() != nil || try == maxTries || size(part) <= before {
			return err
		}
	}
	if err := d.check(part); err != nil {
		head := make([]byte, 512)
		if f, err := os.Open(part); err == nil {
			n, _ := io.ReadFull(f, head)
			head = head[:n]
			f.Close()
		}
		os.Remove(part)
		return fmt.Errorf("%w%s", err, appearance(head))
	}
	return os.Rename(part, d.path)
}

// more requests what part lacks and appends it.
func (d download) more(ctx context.Context, part string) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	stall := time.AfterFunc(stallTimeout, func() { cancel(fmt.Errorf("no data for %v", stallTimeout)) })
	defer stall.Stop()

	req, err := http.NewRequestWithContext(ctx, http.MethodGet, d.url, nil)
	if err != nil {
		return err
	}
	have := size(part)
	if have > 0 {
		req.Header.Set("Range", fmt.Sprintf("bytes=%d-", have))
	}
	resp, err := d.client.Do(req)
	if err != nil {
		return cause(ctx, err)
	}
	defer resp.Body.Close()
	switch {
	case resp.StatusCode == http.StatusPartialContent && strings.HasPrefix(resp.Header.Get("Content-Range"), fmt.Sprintf("bytes %d-", have)):
	case resp.StatusCode == http.StatusOK:
		have = 0 // the server sends all of it
	case have > 0 && (resp.StatusCode == http.StatusPartialContent || resp.StatusCode == http.StatusRequestedRangeNotSatisfiable):
		// Our part is not of the server's file: start again, with no range.
		if err := os.Remove(part); err != nil {
			return err
		}
		return d.more(ctx, part)
	default:
		return errors.New("server says " + resp.Status)
	}
	f, err := os.OpenFile(part, os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	p := Progress{File: filepath.Base(d.path), From: d.url, Done: have}
	if resp.ContentLength > 0 {
		p.Total = have + resp.ContentLength
	}
	body := meter{resp.Body, func(n int) {
		stall.Reset(stallTimeout)
		p.Done += int64(n)
		d.report(p)
	}}
	err = f.Truncate(have)
	if err == nil {
		_, err = f.Seek(have, io.SeekStart)
	}
	if err == nil {
		_, err = io.Copy(f, body)
	}
	return errors.Join(cause(ctx, err), f.Close())
}

// cause returns why ctx ended rather than that it did.
func cause(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// A meter tells each how much was read.
type meter struct {
	io.Reader
	each func(n int)
}

func (m meter) Read(b []byte) (int, error) {
	n, err := m.Reader.Read(b)
	m.each(n)
	return n, err
}

func size(path string) int64 {
	info, err := os.Stat(path)
	if err != nil {
		return 0
	}
	return info.Size()
}

func sumFile(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := md5.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
