package run

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"os"
	"testing"
	"time"
)

// TestGoldenID freezes the ID of one Step. If it fails, stored runs are no
// longer found: undo the change to Step or nn.Arch, or raise Version, say so in
// CHANGELOG.md and write the new IDs here.
func TestGoldenID(t *testing.T) {
	for step, want := range map[*Step]string{
		new(training(7)):                    "138394003da06e07254ae4c270323931e4373093d202d6898308ceae7407b8af",
		new(scoring(deleting(training(7)))): "1b24870a37c665c4f3c038a5e5c5f6de72f405a8ddd53fb7e7c8d7948b486a9b",
	} {
		if got := step.ID().Full(); got != want {
			t.Errorf("%s step has ID %s, want %s; its canonical text is\n%s", step.Kind(), got, want, step.Canonical())
		}
	}
}

// TestEveryFieldIsInTheID changes one thing at a time.
func TestEveryFieldIsInTheID(t *testing.T) {
	seen := map[ID]bool{training(0).ID(): true}
	for name, change := range map[string]func(*Step){
		"seed":      func(s *Step) { s.Train.Seed = 9 },
		"arch":      func(s *Step) { s.Train.Arch.Layers[1].Out = 3 },
		"lr":        func(s *Step) { s.Train.LR = math.Nextafter(.01, 1) },
		"poison":    func(s *Step) { s.Train.Poison.Count = 4 },
		"data":      func(s *Step) { s.Train.Data.Train = 100 },
		"precision": func(s *Step) { s.Train.Precision = "bf16" },
		"pool":      func(s *Step) { s.Train.Pool = &Pool{} },
		"half":      func(s *Step) { s.Train.Pool = &Pool{Model: 1} },
		"from":      func(s *Step) { s.From = []Step{training(1)} },
	} {
		s := training(0)
		if change(&s); seen[s.ID()] {
			t.Errorf("a change of %s keeps the ID", name)
		}
		seen[s.ID()] = true
	}
}

func TestIDText(t *testing.T) {
	id := training(0).ID()
	if got, err := parseID(id.Full()); err != nil || got != id {
		t.Errorf("parse %s: %v, %v", id.Full(), got, err)
	}
	upper := bytes.ToUpper([]byte(id.Full()))
	for _, bad := range []string{"", "ab", id.Full() + "00", id.Full()[:63] + "g", string(upper)} {
		if _, err := parseID(bad); err == nil {
			t.Errorf("%q was accepted", bad)
		}
	}
}

func testRecord() Record {
	now := time.Date(2026, 1, 2, 3, 4, 5, 678, time.UTC)
	return Record{
		ID: training(0).ID(), Status: Done, Files: map[string]string{"theta": digest(nil)},
		Values:  map[string]float64{"zero": math.Copysign(0, -1), "tiny": math.SmallestNonzeroFloat64, "third": 1. / 3, "big": math.MaxFloat64},
		Env:     Env{Device: "cpu", Models: 1, Threads: 1, Libtorch: "2.11.0", CPU: "AVX512", Go: "go1.26", Host: "h", OS: "linux/amd64"},
		Started: now, Finished: now.Add(time.Second), Seconds: 1,
	}
}

func TestRecordRoundTrip(t *testing.T) {
	r := testRecord()
	text, err := r.encode()
	if err != nil {
		t.Fatal(err)
	}
	got, err := decodeRecord(text)
	if err != nil {
		t.Fatal(err)
	}
	for name, v := range r.Values {
		if math.Float64bits(got.Values[name]) != math.Float64bits(v) {
			t.Errorf("%s: %v came back as %v", name, v, got.Values[name])
		}
	}
	if c := Compare(r, got, 0); !c.Same() || got.Env != r.Env || !got.Started.Equal(r.Started) || got.ID != r.ID {
		t.Errorf("%+v came back as %+v", r, got)
	}
	if !json.Valid(text) {
		t.Error("a sealed record is not JSON")
	}
}

func TestRecordRefusesWhatIsNotFinite(t *testing.T) {
	for _, v := range []float64{math.NaN(), math.Inf(1), math.Inf(-1)} {
		if _, err := (Record{Status: Done, Values: map[string]float64{"x": v}}).encode(); err == nil {
			t.Errorf("%v was accepted", v)
		}
	}
}

// TestSealSeesEveryByte changes each byte of a record and of a line.
func TestSealSeesEveryByte(t *testing.T) {
	record, err := testRecord().encode()
	if err != nil {
		t.Fatal(err)
	}
	line, err := Line{Seq: 1, Time: time.Now(), Event: EventStart, ID: training(0).ID()}.encode()
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		text   []byte
		decode func([]byte) error
	}{
		"record": {record, func(b []byte) error { _, err := decodeRecord(b); return err }},
		"line":   {line, func(b []byte) error { _, err := decodeLine(b); return err }},
	} {
		if err := c.decode(c.text); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		for i := range c.text {
			changed := bytes.Clone(c.text)
			changed[i] ^= 1
			if err := c.decode(changed); !errors.Is(err, ErrIntegrity) {
				t.Errorf("%s: a change of byte %d gives %v", name, i, err)
			}
		}
	}
}

func TestCompare(t *testing.T) {
	a, b := testRecord(), testRecord()
	b.Values = map[string]float64{"zero": 0, "tiny": 0, "third": math.Nextafter(1./3, 1), "new": 1}
	b.Env.Threads = 2
	c := Compare(a, b, 0)
	if len(c.Differences) != 5 || c.MustAgree { // -0 and 0, tiny, third, big absent, new
		t.Errorf("bit for bit: %+v", c)
	}
	c = Compare(a, b, 1e-6)
	if len(c.Differences) != 2 {
		t.Errorf("within a tolerance: %+v", c)
	}
	if c := Compare(a, a, 0); !c.Same() || !c.MustAgree {
		t.Errorf("a record and itself: %+v", c)
	}
	gpu := a
	gpu.Env.Device = "cuda:0"
	if Compare(gpu, gpu, 0).MustAgree {
		t.Error("a GPU does not promise bits")
	}
}

func FuzzRecord(f *testing.F) {
	text, err := testRecord().encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add(recordLayout.seal([]byte(`{"status":"done","values":{"x":1e999}`)))
	f.Add(recordLayout.seal([]byte(`{"status":"done","files":{"../x":""}`)))
	f.Fuzz(func(t *testing.T, b []byte) {
		// As it is, and sealed, so that what is behind the seal is reached too.
		for _, text := range [][]byte{b, recordLayout.seal(bytes.Clone(b))} {
			r, err := decodeRecord(text)
			if err != nil {
				continue
			}
			again, err := r.encode()
			if err != nil {
				t.Fatalf("accepted %q, but cannot write it: %v", text, err)
			}
			if _, err := decodeRecord(again); err != nil {
				t.Fatalf("accepted %q, but not %q: %v", text, again, err)
			}
		}
	})
}

func FuzzStep(f *testing.F) {
	step := scoring(deleting(training(0)))
	f.Add(step.Canonical())
	f.Add([]byte(`{"version":1,"step":{"train":{}}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		var id ID
		if err := id.UnmarshalText([]byte(digest(b))); err != nil {
			t.Fatal(err)
		}
		s, err := decodeStep(b, id)
		if err == nil && bytes.Contains(b, []byte("\"version\": 1,")) && s.ID() != id {
			t.Fatalf("accepted %q as another Step", b)
		}
	})
}

func TestFind(t *testing.T) {
	s := open(t, t.TempDir())
	records := sweepAll(t, &Runner{Store: s, Exec: &fake{}}, []Step{training(0), training(1)})
	id := records[0].ID
	if got, err := s.Find(id.String()); got != id || err != nil {
		t.Errorf("Find(%v) = %v, %v", id, got, err)
	}
	if _, err := s.Find("zz"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Find of nothing: %v", err)
	}
	if _, err := s.Find(""); err == nil {
		t.Error("Find of an ambiguous prefix succeeded")
	}
}
