// linear - is what the clients were told of each hot seat linearizable, reads and rejections included? Porcupine decides, seat by seat.
//
//	linear [-seconds N] < operations.jsonl
//
// Reads one operation a line (check/linear.py prepares them), prints one JSON object. A seat that is not decided in time is "unknown", and a caller
// must take that for a failure. Exit status: 0 all linearizable, 1 not, 2 not decided, 3 bad input.
package main

import (
	"bufio"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"sort"
	"time"

	"github.com/anishathalye/porcupine"
)

const evidenceMax = 12

type verdict struct {
	Seat       string  `json:"seat"`
	Operations int     `json:"operations"`
	Placed     int     `json:"placed"` // how many the longest order found explains
	Evidence   []input `json:"evidence"`
}

type result struct {
	Seats      int       `json:"seats"`
	Operations int       `json:"operations"`
	Illegal    []verdict `json:"illegal"`
	Unknown    []verdict `json:"unknown"`
	Seconds    float64   `json:"seconds"`
}

func read() (map[string][]input, error) {
	seats := map[string][]input{}
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(make([]byte, 1<<20), 1<<24)
	for number := 1; lines.Scan(); number++ {
		var op input
		if err := json.Unmarshal(lines.Bytes(), &op); err != nil {
			return nil, fmt.Errorf("line %d: %w", number, err)
		}
		if op.Return < op.Call {
			return nil, fmt.Errorf("line %d: it ends before it begins", number)
		}
		seats[op.Seat] = append(seats[op.Seat], op)
	}
	return seats, lines.Err()
}

// The longest order that Porcupine found, and the first operations that have no place in it.
func explain(name string, ops []input, info porcupine.LinearizationInfo) verdict {
	v := verdict{Seat: name, Operations: len(ops)}
	placed := map[int]bool{}
	for _, orders := range info.PartialLinearizations() {
		for _, order := range orders {
			if len(order) > v.Placed {
				v.Placed = len(order)
				placed = map[int]bool{}
				for _, at := range order {
					placed[at] = true
				}
			}
		}
	}
	rest := []input{}
	for at, op := range ops {
		if !placed[at] {
			rest = append(rest, op)
		}
	}
	sort.Slice(rest, func(i, j int) bool { return rest[i].Return < rest[j].Return })
	if len(rest) > evidenceMax {
		rest = rest[:evidenceMax]
	}
	v.Evidence = rest
	return v
}

func check(seats map[string][]input, limit time.Duration) result {
	began := time.Now()
	r := result{Seats: len(seats), Illegal: []verdict{}, Unknown: []verdict{}}
	names := make([]string, 0, len(seats))
	for name := range seats {
		names = append(names, name)
	}
	sort.Strings(names)
	for at, name := range names {
		ops := seats[name]
		history := make([]porcupine.Operation, len(ops))
		for i, op := range ops {
			history[i] = porcupine.Operation{ClientId: i, Input: op, Call: op.Call, Return: op.Return}
		}
		r.Operations += len(ops)
		left := limit - time.Since(began)
		share := left / time.Duration(len(names)-at) * 4 // a hard one may take from those to come
		if share > left {
			share = left
		}
		if share <= 0 {
			share = time.Millisecond // 0 would mean no limit
		}
		decided, info := porcupine.CheckOperationsVerbose(model, history, share)
		switch decided {
		case porcupine.Illegal:
			r.Illegal = append(r.Illegal, explain(name, ops, info))
		case porcupine.Unknown:
			r.Unknown = append(r.Unknown, explain(name, ops, info))
		}
	}
	r.Seconds = time.Since(began).Seconds()
	return r
}

func main() {
	seconds := flag.Float64("seconds", 120, "for all seats together")
	flag.Parse()
	seats, err := read()
	if err != nil {
		fmt.Fprintln(os.Stderr, "linear:", err)
		os.Exit(3)
	}
	r := check(seats, time.Duration(*seconds*float64(time.Second)))
	out := json.NewEncoder(os.Stdout)
	if err := out.Encode(r); err != nil {
		fmt.Fprintln(os.Stderr, "linear:", err)
		os.Exit(3)
	}
	switch {
	case len(r.Illegal) > 0:
		os.Exit(1)
	case len(r.Unknown) > 0:
		os.Exit(2)
	}
}
