package predict

import (
	"cmp"
	"slices"

	"rarespurious/experiments/run"
)

// A Task is one Step to run.
type Task struct {
	ID      run.ID
	After   []run.ID // Steps that it starts from; those that are no Task are there
	Seconds float64
}

// Makespan returns how many seconds jobs workers take for tasks, of which each
// comes after those that it starts from. As a Runner does, a free worker takes
// of what can run the end of the longest chain, then the first.
func Makespan(tasks []Task, jobs int) float64 {
	type state struct {
		depth, waits int
		next         []int // those that start from it
	}
	states := make([]state, len(tasks))
	at := map[run.ID]int{}
	for i, t := range tasks {
		at[t.ID] = i
		states[i].depth = 1
		for _, id := range t.After {
			if j, ok := at[id]; ok {
				states[i].waits++
				states[j].next = append(states[j].next, i)
				states[i].depth = max(states[i].depth, states[j].depth+1)
			}
		}
	}
	var ready []int // sorted by priority
	enqueue := func(i int) {
		k, _ := slices.BinarySearchFunc(ready, i, func(a, b int) int {
			return cmp.Or(cmp.Compare(states[b].depth, states[a].depth), cmp.Compare(a, b))
		})
		ready = slices.Insert(ready, k, i)
	}
	for i := range tasks {
		if states[i].waits == 0 {
			enqueue(i)
		}
	}
	type job struct {
		task int
		end  float64
	}
	var busy []job
	now := 0.0
	for len(ready)+len(busy) > 0 {
		for len(ready) > 0 && len(busy) < max(1, jobs) {
			busy = append(busy, job{ready[0], now + tasks[ready[0]].Seconds})
			ready = ready[1:]
		}
		first := 0
		for k, b := range busy {
			if b.end < busy[first].end {
				first = k
			}
		}
		done := busy[first]
		busy = slices.Delete(busy, first, first+1)
		now = done.end
		for _, i := range states[done.task].next {
			if states[i].waits--; states[i].waits == 0 {
				enqueue(i)
			}
		}
	}
	return now
}
