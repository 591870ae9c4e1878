package train

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"rarespurious/bridge/torch"
	"rarespurious/bridge/weights"
)

// checkpointEvery is the default of [Options]' Checkpoint.
const checkpointEvery = 20 * time.Second

// checkpointFile holds θ, buffers and the optimizer's state of a group, in the
// scratch folder of its first Job.
const checkpointFile = "checkpoint.safetensors"

// members names the models of the group, in order: a checkpoint is of use only
// to the same group.
func (f *fit) members() string {
	ids := make([]string, len(f.jobs))
	for i, j := range f.jobs {
		ids[i] = j.ID.Full()
	}
	return strings.Join(ids, " ")
}

// vectors are the parts of a checkpoint, by name. Generators are not among
// them: every epoch starts its own.
func (f *fit) vectors() map[string]*torch.Vec {
	v := map[string]*torch.Vec{"theta": f.stack.Theta(), "first": f.opt.First, "second": f.opt.Second}
	if b := f.stack.Buffers(); b != nil {
		v["buffers"] = b
	}
	return v
}

func (f *fit) checkpoint() error {
	var dict weights.Dict
	vectors := f.vectors()
	for _, name := range slices.Sorted(maps.Keys(vectors)) {
		values, err := vectors[name].Get()
		if err != nil {
			return err
		}
		dict = append(dict, weights.FromFloat32s(name, []int{len(values)}, values))
	}
	diverged := make([]byte, len(f.diverged))
	for m, d := range f.diverged {
		diverged[m] = '0'
		if d {
			diverged[m] = '1'
		}
	}
	return weights.Save(filepath.Join(f.jobs[0].Scratch, checkpointFile), weights.Safetensors, dict, map[string]string{
		"members": f.members(), "epoch": strconv.Itoa(f.epoch), "step": strconv.FormatInt(f.opt.Step, 10), "diverged": string(diverged),
	})
}

// resume loads a checkpoint of this group if there is one. One that cannot be
// read is an error, not a fresh start: it says that the disk lies.
func (f *fit) resume() error {
	path := filepath.Join(f.jobs[0].Scratch, checkpointFile)
	file, err := weights.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("train: checkpoint (remove it to start the run anew): %w", err)
	}
	m := file.Metadata
	if m["members"] != f.members() {
		return os.Remove(path) // of a group that was cut otherwise
	}
	epoch, err1 := strconv.Atoi(m["epoch"])
	step, err2 := strconv.ParseInt(m["step"], 10, 64)
	if err := errors.Join(err1, err2); err != nil || len(m["diverged"]) != len(f.diverged) {
		return fmt.Errorf("train: checkpoint %s is damaged (remove it to start the run anew): %v", path, err)
	}
	vectors := f.vectors()
	for _, t := range file.Tensors {
		values, err := t.Float32s()
		if err == nil && vectors[t.Name] == nil {
			err = fmt.Errorf("unknown part %q", t.Name)
		}
		if err == nil {
			err = vectors[t.Name].Set(values)
		}
		if err != nil {
			return fmt.Errorf("train: checkpoint %s: %w", path, err)
		}
	}
	f.epoch, f.opt.Step = epoch, step
	for i := range f.diverged {
		f.diverged[i] = m["diverged"][i] == '1'
	}
	for _, j := range f.jobs {
		j.Log.Info().Int("epoch", epoch).Msg("resumed")
	}
	return nil
}
