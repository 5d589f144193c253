// One seat of a trip as a sequential object: who has it on which segments, and what became of those who had it.
//
// Steps on several seats (a hold of two, a change from one seat to another) are told to each seat as its own part of them: if the whole is
// linearizable then so is each part, so what is called illegal here is illegal.
package main

import "github.com/anishathalye/porcupine"

// What happened, as prepared by check/linear.py. An operation with Call and Return took effect at one moment between them.
type input struct {
	Seat   string `json:"seat"`
	Call   int64  `json:"call"`
	Return int64  `json:"return"`
	Kind   string `json:"kind"`
	Claim  int    `json:"claim"` // numbered within the seat; -1: none
	From   int    `json:"from"`
	To     int    `json:"to"`
	Was    int    `json:"was"` // status that it must have, or that a new claim begins with
	Now    int    `json:"now"` // status that it gets
	Any    []int  `json:"any"` // statuses of which it has one
	Text   string `json:"text"`
}

const (
	absent = iota
	held
	booked
	released
	expired
	cancelled
)

type claim struct{ id, from, to, status int }

// Claims in the order of their ids. Never changed in place: Porcupine goes back to older states.
type seat []claim

func (s seat) find(id int) (int, claim) {
	for i, c := range s {
		if c.id == id {
			return i, c
		}
	}
	return -1, claim{id: id}
}

func (s seat) isTaken(from, to, but int) bool {
	for _, c := range s {
		if c.id != but && (c.status == held || c.status == booked) && c.from < to && from < c.to {
			return true
		}
	}
	return false
}

func (s seat) with(c claim) seat {
	next := make(seat, 0, len(s)+1)
	placed := c.status == absent
	for _, old := range s {
		if !placed && old.id >= c.id {
			next = append(next, c)
			placed = true
		}
		if old.id != c.id {
			next = append(next, old)
		}
	}
	if !placed {
		next = append(next, c)
	}
	return next
}

func (s seat) shown(from, to int) string {
	letter := "f"
	for _, c := range s {
		if c.from < to && from < c.to {
			if c.status == booked {
				return "b"
			}
			if c.status == held {
				letter = "h"
			}
		}
	}
	return letter
}

func contains(all []int, one int) bool {
	for _, x := range all {
		if x == one {
			return true
		}
	}
	return false
}

func step(state, in, _ interface{}) (bool, interface{}) {
	s, op := state.(seat), in.(input)
	_, c := s.find(op.Claim)
	switch op.Kind {
	case "take": // a hold, or a booking that comes from another seat
		if c.status != absent || s.isTaken(op.From, op.To, -1) {
			return false, s
		}
		return true, s.with(claim{op.Claim, op.From, op.To, op.Was})
	case "move": // a booking's other stretch on this seat
		if c.status != booked || s.isTaken(op.From, op.To, op.Claim) {
			return false, s
		}
		return true, s.with(claim{op.Claim, op.From, op.To, booked})
	case "turn": // held to booked, or to an end; absent: nobody asks about it any more
		if c.status != op.Was {
			return false, s
		}
		c.status = op.Now
		return true, s.with(c)
	case "is": // a refusal, or "already so"
		return contains(op.Any, c.status), s
	case "taken":
		return s.isTaken(op.From, op.To, op.Claim), s
	case "free":
		return !s.isTaken(op.From, op.To, op.Claim), s
	case "read":
		return s.shown(op.From, op.To) == op.Text, s
	}
	panic("no such kind: " + op.Kind)
}

func equal(a, b interface{}) bool {
	x, y := a.(seat), b.(seat)
	if len(x) != len(y) {
		return false
	}
	for i := range x {
		if x[i] != y[i] {
			return false
		}
	}
	return true
}

var model = porcupine.Model{
	Init:  func() interface{} { return seat{} },
	Step:  step,
	Equal: equal,
}
