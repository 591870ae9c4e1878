package torch

// TrainLogits returns, for each model, logits (B, K) in train mode: dropout,
// and batch norm with the batch's statistics, which it mixes into the buffers.
// seed starts the generator of dropout.
func (s *Stack) TrainLogits(b Batch, seed uint64) (logits [][]float32, err error) {
	defer catch(&err)
	sc := new(scope)
	defer sc.end()
	gens := make([]*generator, s.m)
	for m := range gens {
		gens[m] = newGenerator(s.theta.t, seed+uint64(m))
		defer gens[m].close()
	}
	for m, z := range s.logits(sc, s.theta.t, b, true, nil, gens) {
		logits = append(logits, make([]float32, len(b.Rows[m])*s.plan.arch.Classes))
		sc.floats(z, logits[m])
	}
	return logits, nil
}
