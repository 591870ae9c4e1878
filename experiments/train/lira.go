package train

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"rarespurious/analysis/membership"
	"rarespurious/bridge/torch"
	"rarespurious/experiments/run"
)

// LiRAVariants lists the likelihood-ratio attacks that are computed, by name.
// The first is the one that is best with the few models that we can afford.
var LiRAVariants = []struct {
	Name   string
	Attack membership.LiRA
}{
	{"online", membership.LiRA{Pooled: true}},
	{"offline", membership.LiRA{Offline: true, Pooled: true}},
	{"online_own", membership.LiRA{}},
	{"offline_own", membership.LiRA{Offline: true}},
}

// lira attacks every model of From with all others as its shadows. They were
// trained on different halves of one Pool of candidates. Members that carry the
// pattern are compared with images that carry it and were left out, clean
// members with clean images that were left out.
//
// Values, for each of "spurious" and "clean" and of LiRAVariants:
// lira_auc_spurious_online, and the true-positive rates
// lira_tpr_at_01_spurious_online and lira_tpr_at_001_spurious_online, absent
// where there are too few left out for them to mean anything. All are in [0, 1].
func lira(m *measuring) (map[string]float64, error) {
	models, err := m.pooled()
	if err != nil {
		return nil, err
	}
	values := map[string]float64{}
	curves := map[string]membership.ROC{}
	for group, models := range models {
		for _, v := range LiRAVariants {
			in, out, _, err := v.Attack.LeaveOneOut(models)
			if err != nil {
				return nil, err
			}
			roc := membership.NewROC(in, out)
			name := group + "_" + v.Name
			curves[name] = roc
			values["lira_auc_"+name] = roc.AUC()
			values["lira_tpr_at_01_"+name] = roc.TPRAt(0.01)
			values["lira_tpr_at_001_"+name] = roc.TPRAt(0.001)
		}
	}
	return values, m.writeCurves(curves)
}

// pooled returns what each model says of the spurious and of the clean
// candidates.
func (m *measuring) pooled() (map[string][]membership.Model, error) {
	if m.model.Pool == nil || len(m.job.From) < 4 {
		return nil, fmt.Errorf("train: a likelihood-ratio attack starts from at least 4 models of one pool")
	}
	c, err := newCandidates(m.src.set, m.model)
	if err != nil {
		return nil, err
	}
	spurious, clean := make([]int64, len(c.spurious.Indices)), make([]int64, len(c.clean))
	labels := make([]uint8, len(spurious))
	for j := range spurious {
		spurious[j] = int64(m.src.set.Train.Len() + j)
		labels[j] = uint8(c.spurious.Target)
	}
	for j, i := range c.clean {
		clean[j] = int64(i)
	}
	data, err := m.src.train.Overlay(m.d, c.spurious.Rows, labels)
	if err != nil {
		return nil, err
	}
	defer data.Close()
	out := map[string][]membership.Model{}
	for i, step := range m.job.Step.From {
		t := step.Train
		if t == nil || t.Pool == nil || t.Pool.Clean != m.model.Pool.Clean || t.Poison != m.model.Poison || t.Data != m.model.Data {
			return nil, fmt.Errorf("train: model %d of a likelihood-ratio attack has other candidates than the first", i)
		}
		phi, err := confidences(m.d, m.job.From[i], t, data, spurious, clean)
		if err != nil {
			return nil, err
		}
		withPattern, without := c.members(t)
		out["spurious"] = append(out["spurious"], membership.Model{Phi: phi[0], In: withPattern})
		if len(clean) > 0 {
			out["clean"] = append(out["clean"], membership.Model{Phi: phi[1], In: without})
		}
	}
	return out, nil
}

// confidences returns what one model says of lists of rows.
func confidences(d *torch.Device, from run.Parent, t *run.Train, data *torch.Data, lists ...[]int64) ([][]float64, error) {
	stack, err := loadStack(d, from, t)
	if err != nil {
		return nil, err
	}
	defer stack.Close()
	phi := make([][]float64, len(lists))
	for i, rows := range lists {
		o, err := outputs(stack, data, rows, torch.Forward{})
		if err != nil {
			return nil, err
		}
		if phi[i], err = membership.Confidences(o); err != nil {
			return nil, err
		}
	}
	return phi, nil
}

// writeCurves leaves ROC curves in ROCFile.
func (m *measuring) writeCurves(curves map[string]membership.ROC) error {
	b, err := json.Marshal(curves)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(m.job.Dir, ROCFile), b, 0o666)
}
