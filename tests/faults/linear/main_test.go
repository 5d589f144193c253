package main

import (
	"testing"
	"time"
)

// Operations one after the other unless told otherwise.
func after(ops ...input) []input {
	for i := range ops {
		if ops[i].Return == 0 {
			ops[i].Call, ops[i].Return = int64(10*i+1), int64(10*i+5)
		}
		ops[i].Seat = "s"
	}
	return ops
}

func take(claim, from, to int) input { return input{Kind: "take", Claim: claim, From: from, To: to, Was: held} }
func turn(claim, was, now int) input { return input{Kind: "turn", Claim: claim, Was: was, Now: now} }
func shown(text string) input        { return input{Kind: "read", Claim: -1, From: 0, To: 3, Text: text} }
func between(op input, call, end int64) input {
	op.Call, op.Return = call, end
	return op
}

func TestSeats(t *testing.T) {
	for name, one := range map[string]struct {
		ops     []input
		illegal bool
	}{
		"a hold, a booking and its end": {after(shown("f"), take(0, 0, 2), shown("h"), turn(0, held, booked), shown("b"), turn(0, booked, cancelled), shown("f")), false},
		"two that only touch":           {after(take(0, 0, 1), take(1, 1, 3)), false},
		"two on one segment":            {after(take(0, 0, 2), take(1, 1, 3)), true},
		"two on one segment, one of which had ended": {after(take(0, 0, 2), turn(0, held, expired), take(1, 1, 3)), false},
		"a confirmation after the expiry":            {after(take(0, 0, 2), turn(0, held, expired), turn(0, held, booked)), true},
		"a stale read":                               {after(take(0, 0, 2), shown("f")), true},
		"a read that may have been before":           {after(between(take(0, 0, 2), 1, 100), between(shown("f"), 2, 3)), false},
		"reads that go back":                         {after(between(take(0, 0, 2), 1, 100), between(shown("h"), 2, 3), between(shown("f"), 4, 5)), true},
		"a refusal of a free seat":                   {after(input{Kind: "taken", Claim: -1, From: 0, To: 1}), true},
		"a refusal of a taken seat":                  {after(take(0, 0, 2), input{Kind: "taken", Claim: -1, From: 0, To: 1}), false},
		"a stale refusal":                            {after(take(0, 0, 2), turn(0, held, released), input{Kind: "taken", Claim: -1, From: 0, To: 1}), true},
		"a booking that moves onto another":          {after(take(0, 0, 1), turn(0, held, booked), take(1, 1, 3), input{Kind: "move", Claim: 0, From: 0, To: 2}), true},
		"a booking that shrinks and makes room":      {after(take(0, 0, 2), turn(0, held, booked), input{Kind: "move", Claim: 0, From: 0, To: 1}, take(1, 1, 3)), false},
		"told released, and it was expired":          {after(take(0, 0, 2), turn(0, held, expired), input{Kind: "is", Claim: 0, Any: []int{released}}), true},
	} {
		t.Run(name, func(t *testing.T) {
			r := check(map[string][]input{"s": one.ops}, 10*time.Second)
			if (len(r.Illegal) == 1) != one.illegal || len(r.Unknown) != 0 {
				t.Errorf("illegal %v, unknown %v", r.Illegal, r.Unknown)
			}
		})
	}
}

func TestWhatIsNotDecidedInTimeIsUnknown(t *testing.T) {
	ops := []input{}
	for i := 0; i < 22; i++ { // all at once, none of which fits beside another: each order of each subset is to be tried
		ops = append(ops, between(take(i, 0, 1), 1, 1000), between(turn(i, held, released), 1, 1000))
	}
	ops = append(ops, between(shown("b"), 1, 1000))
	r := check(map[string][]input{"s": after(ops...)}, 50*time.Millisecond)
	if len(r.Unknown) != 1 {
		t.Errorf("unknown %v, illegal %v in %.1f s", len(r.Unknown), len(r.Illegal), r.Seconds)
	}
}
