package run

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

func openTestJournal(t *testing.T, dir string) *Journal {
	t.Helper()
	j, err := openJournal(dir, false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { j.Close() })
	return j
}

// written makes a journal of n lines in a new folder and returns the folder and
// the lines.
func written(t *testing.T, n int) (dir string, lines []string) {
	t.Helper()
	dir = t.TempDir()
	j := openTestJournal(t, dir)
	for i := range n {
		if err := j.Append(Line{Event: EventStart, ID: training(i).ID(), Note: fmt.Sprint("number ", i)}); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(filepath.Join(dir, "journal.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	return dir, strings.SplitAfter(strings.TrimSuffix(string(text), "\n"), "\n")
}

// problems writes lines as the journal in dir and audits it.
func problems(t *testing.T, dir string, lines []string) []Problem {
	t.Helper()
	text := strings.Join(lines, "")
	if !strings.HasSuffix(text, "\n") {
		text += "\n"
	}
	if err := os.WriteFile(filepath.Join(dir, "journal.jsonl"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	j, err := openJournal(dir, true)
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	found, err := j.Problems()
	if err != nil {
		t.Fatal(err)
	}
	return found
}

func TestJournalNamesWhatWasChanged(t *testing.T) {
	dir, lines := written(t, 6)
	cut := func(ranges ...[]string) (all []string) {
		for _, r := range ranges {
			all = append(all, r...)
		}
		return all
	}
	resealed := func(line, old, new string) string {
		line = strings.Replace(line, old, new, 1)
		body := line[:strings.LastIndex(line, lineLayout.before)]
		return string(lineLayout.seal([]byte(body)))
	}
	for name, c := range map[string]struct {
		lines []string
		place []string
	}{
		"nothing":      {lines, nil},
		"letter":       {cut(lines[:2], []string{strings.Replace(lines[2], "number 2", "number 3", 1)}, lines[3:]), []string{"line 3"}},
		"prev":         {cut(lines[:2], []string{strings.Replace(lines[2], `"prev":"`, `"prev":"0`, 1)}, lines[3:]), []string{"line 3"}},
		"last letter":  {cut(lines[:5], []string{strings.Replace(lines[5], "number 5", "number 6", 1)}), []string{"line 6", "line 6"}},
		"garbage":      {cut(lines[:1], []string{"what\n"}, lines[2:]), []string{"line 2"}},
		"sealed anew":  {cut(lines[:2], []string{resealed(lines[2], "number 2", "number 3")}, lines[3:]), []string{"line 4"}},
		"last one too": {cut(lines[:5], []string{resealed(lines[5]+"\n", "number 5", "number 6")}), []string{"line 6"}},
		"first gone":   {lines[1:], []string{"line 1"}},
		"middle gone":  {cut(lines[:2], lines[4:]), []string{"line 3"}},
		"last gone":    {lines[:4], []string{"line 5"}},
		"all gone":     {nil, []string{"line 1", "line 2"}},
		"doubled":      {cut(lines[:3], lines[2:]), []string{"line 4"}},
		"swapped":      {cut(lines[:1], lines[2:3], lines[1:2], lines[3:]), []string{"line 2", "line 3", "line 4"}},
	} {
		t.Run(name, func(t *testing.T) {
			found := problems(t, dir, c.lines)
			if len(found) != len(c.place) {
				t.Fatalf("found %v, want %v", found, c.place)
			}
			for i, p := range found {
				if !strings.HasSuffix(p.Place, c.place[i]) {
					t.Errorf("problem %d is at %v, want %s", i, p, c.place[i])
				}
			}
		})
	}
}

// TestJournalEndCannotBeHidden appends after the end was deleted.
func TestJournalEndCannotBeHidden(t *testing.T) {
	dir, lines := written(t, 4)
	if err := os.WriteFile(filepath.Join(dir, "journal.jsonl"), []byte(strings.Join(lines[:2], "")), 0o644); err != nil {
		t.Fatal(err)
	}
	j := openTestJournal(t, dir)
	if err := j.Append(Line{Event: EventDraw}, Line{Event: EventDraw}, Line{Event: EventDraw}); err != nil {
		t.Fatal(err)
	}
	found, err := j.Problems()
	if err != nil || len(found) != 1 || found[0].Place != "journal.jsonl line 3" || !strings.Contains(found[0].What, "up to line 4") {
		t.Errorf("found %v, %v", found, err)
	}
}

func TestJournalWithoutHead(t *testing.T) {
	dir, lines := written(t, 2)
	for _, damage := range []func(name string) error{
		os.Remove,
		func(name string) error { return os.WriteFile(name, []byte("who knows"), 0o644) },
	} {
		if err := damage(filepath.Join(dir, "journal.head")); err != nil {
			t.Fatal(err)
		}
		if found := problems(t, dir, lines); len(found) != 1 || found[0].Place != "journal.head" {
			t.Errorf("found %v", found)
		}
	}
}

// TestTornLine cuts the journal at every byte of its last line, as a crash
// would before the head was written.
func TestTornLine(t *testing.T) {
	dir, lines := written(t, 2)
	headName := filepath.Join(dir, "journal.head")
	name := filepath.Join(dir, "journal.jsonl")
	j := openTestJournal(t, dir)
	head, err := os.ReadFile(headName)
	if err != nil {
		t.Fatal(err)
	}
	if err := j.Append(Line{Event: EventDraw, Note: "torn"}); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	start := len(strings.Join(lines, "")) + 1 // of line 3; the last of lines lost its newline
	for end := start; end < len(text); end += 7 {
		for file, b := range map[string][]byte{name: text[:end], headName: head} {
			if err := os.WriteFile(file, b, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		j, err := openJournal(dir, false)
		if err != nil {
			t.Fatal(err)
		}
		if err := j.Append(Line{Event: EventDraw, Note: "after"}); err != nil {
			t.Fatal(err)
		}
		found, err := j.Problems()
		if err != nil || len(found) > 0 {
			t.Fatalf("cut at byte %d of %d: %v, %v", end, len(text), found, err)
		}
		now, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		want := 4 // two lines, the repair, the new one
		if end == start {
			want = 3
		}
		if !bytes.HasPrefix(now, text[:start]) || bytes.Count(now, []byte("\n")) != want || bytes.Contains(now, []byte("torn")) {
			t.Fatalf("cut at byte %d: the journal became\n%s", end, now)
		}
		j.Close()
	}
}

func TestClockGoingBackwards(t *testing.T) {
	j := openTestJournal(t, t.TempDir())
	now := time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)
	j.now = func() time.Time { now = now.Add(-time.Hour); return now }
	id := training(0).ID()
	for _, e := range []Event{EventStart, EventFinish, EventStart, EventFail} {
		if err := j.Append(Line{Event: e, ID: id, Note: string(e), Digest: "d"}); err != nil {
			t.Fatal(err)
		}
	}
	if found, err := j.Problems(); err != nil || len(found) > 0 {
		t.Errorf("found %v, %v", found, err)
	}
	if s := j.State(id); s.Event != EventFail || s.Note != "fail" || s.Record != "d" || s.Starts != 2 {
		t.Errorf("the order of lines should count, not their times: %+v", s)
	}
}

// TestJournalShared appends from several journals on one file.
func TestJournalShared(t *testing.T) {
	dir := t.TempDir()
	var done sync.WaitGroup
	for k := range 4 {
		j := openTestJournal(t, dir)
		done.Go(func() {
			for i := range 10 {
				if err := j.Append(Line{Event: EventHit, ID: training(k).ID()}, Line{Event: EventPlan, Note: fmt.Sprint(i)}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	done.Wait()
	j := openTestJournal(t, dir)
	if found, err := j.Problems(); err != nil || len(found) > 0 || j.chain.lines != 80 {
		t.Errorf("%d lines, %v, %v", j.chain.lines, found, err)
	}
}

func TestFold(t *testing.T) {
	id := training(0).ID()
	states := map[ID]State{}
	for _, l := range []Line{
		{Event: EventStart}, {Event: EventFail, Note: "no"}, {Event: EventStart}, {Event: EventFinish, Digest: "r"},
		{Event: EventDrop, File: "a"}, {Event: EventDrop, File: "b"}, {Event: EventKeep}, {Event: EventHit}, {Event: EventVerify, Note: "the same"},
		{Event: EventRestore, File: "a"}, {Event: EventDiscard, File: "a"},
	} {
		l.ID = id
		fold(states, l)
	}
	s := states[id]
	if s.Event != EventFinish || s.Record != "r" || !s.Kept || s.Starts != 2 || len(s.Dropped) != 1 || !s.Dropped["b"] {
		t.Errorf("%+v", s)
	}
	fold(states, Line{Event: EventDiscard, ID: id, Note: "damaged"})
	if s := states[id]; s.Event != EventDiscard || s.Record != "" || len(s.Dropped) != 0 {
		t.Errorf("after a discard: %+v", s)
	}
}

func FuzzJournal(f *testing.F) {
	whole, err := Line{Seq: 1, Event: EventStart, ID: training(0).ID()}.encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	f.Add(append(bytes.Clone(whole), whole...))
	f.Add(lineLayout.seal([]byte(`{"seq":-1,"event":"repair","digest":"x"`)))
	f.Add([]byte("\n\n{}\n"))
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, text []byte) {
		if err := os.WriteFile(filepath.Join(dir, "journal.jsonl"), text, 0o644); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, "journal.head"), nil, 0o644); err != nil {
			t.Fatal(err)
		}
		j, err := openJournal(dir, false)
		if err != nil {
			t.Fatal(err)
		}
		defer j.Close()
		before, err := j.Problems()
		if err != nil {
			t.Fatal(err)
		}
		// Whatever was there, appending goes on and hides nothing.
		if err := j.Append(Line{Event: EventDraw}); err != nil {
			t.Fatal(err)
		}
		after, err := j.Problems()
		if err != nil || len(after) < len(before) {
			t.Fatalf("%v became %v, %v", before, after, err)
		}
	})
}
