package train

import (
	"fmt"

	"rarespurious/analysis/membership"
	"rarespurious/bridge/torch"
	"rarespurious/experiments/pattern"
	"rarespurious/experiments/run"
)

// ROCFile holds an attack's ROC curves: JSON, by the names of the values.
const ROCFile = "roc.json"

// attack measures how well membership in the training set of From[0], the
// target model, can be told from its outputs by an attack that learnt what
// membership looks like on From[1], the shadow model. The pattern is on both
// sides of what is called spurious here: members that carry it, and held-out
// images of the same class that were given it.
//
// Values, all in [0, 1]: membership_accuracy on members and non-members;
// membership_tpr on spurious members, which is what the paper plots;
// membership_fpr on the control; membership_balanced of the two;
// membership_auc and membership_auc_spurious; membership_tpr_at_01 and
// membership_tpr_at_001 against clean non-members, membership_tpr_at_01_control
// against the control; membership_upstream. What has too few examples to mean
// anything is absent.
func attack(m *measuring) (map[string]float64, error) {
	if len(m.job.From) != 2 || m.job.Step.From[1].Train == nil {
		return nil, fmt.Errorf("train: a membership attack starts from a target and a shadow model")
	}
	shadow, err := m.shadow()
	if err != nil {
		return nil, err
	}
	target, err := m.target()
	if err != nil {
		return nil, err
	}
	r, err := shadow.Evaluate(target)
	if err != nil {
		return nil, err
	}
	v := map[string]float64{
		"membership_accuracy":          r.All.Accuracy(),
		"membership_tpr":               r.Spurious.TPR(),
		"membership_fpr":               r.Spurious.FPR(),
		"membership_balanced":          r.Spurious.BalancedAccuracy(),
		"membership_auc":               r.All.AUC(),
		"membership_auc_spurious":      r.Spurious.AUC(),
		"membership_tpr_at_01":         r.SpuriousVsClean.TPRAt(0.01),
		"membership_tpr_at_001":        r.SpuriousVsClean.TPRAt(0.001),
		"membership_tpr_at_01_control": r.Spurious.TPRAt(0.01),
		"membership_tpr_all_at_01":     r.All.TPRAt(0.01),
		"membership_upstream":          r.Upstream,
	}
	return v, m.writeCurves(map[string]membership.ROC{"all": r.All.ROC, "spurious": r.Spurious.ROC, "spurious_vs_clean": r.SpuriousVsClean.ROC})
}

// each returns how many members, and as many non-members, of src are looked at:
// all, or Size. With unequal numbers an attack that learnt which are more would
// look accurate.
func (m *measuring) each(src *source) int {
	n := min(src.set.Train.Len(), src.set.Test.Len())
	if m.score.Size > 0 {
		n = min(n, m.score.Size)
	}
	return n
}

// shadow trains the attack on what the shadow model says of its own members
// and non-members.
func (m *measuring) shadow() (*membership.Attack, error) {
	t := m.job.Step.From[1].Train
	if t.Poison.Count > 0 {
		return nil, fmt.Errorf("train: a shadow model is clean, this one has %d poisoned examples", t.Poison.Count)
	}
	src, done, err := m.e.data.get(m.ctx, m.d, t.Data)
	if err != nil {
		return nil, err
	}
	defer done()
	stack, err := loadStack(m.d, m.job.From[1], t)
	if err != nil {
		return nil, err
	}
	defer stack.Close()
	n := m.each(src)
	members, err := outputs(stack, src.train, first(n), torch.Forward{})
	if err != nil {
		return nil, err
	}
	others, err := outputs(stack, src.test, first(n), torch.Forward{})
	if err != nil {
		return nil, err
	}
	return membership.Train(members, others)
}

// target returns what the target model says of the sets that the attack is
// judged on. Members are shown as they were in training, pattern and all.
func (m *measuring) target() (t membership.Target, err error) {
	set := m.src.set
	p, err := pattern.New(m.score.Pattern, set.Shape, uint32(m.score.Seed))
	if err != nil {
		return t, err
	}
	data, rows, poisoned, err := trained(m.d, m.src, m.model)
	if err != nil {
		return t, err
	}
	defer data.Close()
	n := min(m.each(m.src), len(rows)) // rows lack the examples that were dropped
	if t.Members, err = outputs(m.stack, data, rows[:n], torch.Forward{}); err != nil {
		return t, err
	}
	if t.NonMembers, err = outputs(m.stack, m.src.test, first(n), torch.Forward{}); err != nil {
		return t, err
	}
	if t.Spurious, err = outputs(m.stack, data, poisoned, torch.Forward{}); err != nil {
		return t, err
	}
	var control []int64
	for i, y := range set.Test.Labels {
		if int(y) == m.score.Target {
			control = append(control, int64(i))
		}
	}
	if m.score.Size > 0 {
		control = control[:min(len(control), m.score.Size)]
	}
	t.Control, err = outputs(m.stack, m.src.test, control, torch.Forward{Delta: p.Delta()})
	return t, err
}

// trained returns the training images as a model saw them: the row of each,
// and the rows of the poisoned ones, which are the last.
func trained(d *torch.Device, src *source, t *run.Train) (data *torch.Data, rows, poisoned []int64, err error) {
	n := src.set.Train.Len()
	rows, own, err := seen(src.set, t, n)
	if err != nil {
		return nil, nil, nil, err
	}
	data, err = src.train.Overlay(d, own.pixels, own.labels)
	return data, rows, first(n + len(own.labels))[n:], err
}

// first returns the rows 0 to n-1.
func first(n int) []int64 {
	rows := make([]int64, n)
	for i := range rows {
		rows[i] = int64(i)
	}
	return rows
}

// outputs returns a model's logits for rows of data.
func outputs(s *torch.Stack, data *torch.Data, rows []int64, f torch.Forward) (o membership.Outputs, err error) {
	if len(rows) == 0 {
		return o, nil
	}
	logits, err := s.Logits(data, rows, f)
	if err != nil {
		return o, err
	}
	o.Logits = logits[0]
	for _, r := range rows {
		o.Labels = append(o.Labels, data.Label(int(r)))
	}
	return o, nil
}
