package torch

// Gather makes a batch and drops it.
func (s *Stack) Gather(x *Data, rows []int64) (err error) {
	defer catch(&err)
	sc := new(scope)
	defer sc.end()
	sc.gather(x, rows, nil, s.plan.channelsLast)
	return nil
}
