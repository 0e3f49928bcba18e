package rpc

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// numbers makes a record of each socket whose index is in it, and counts how often it is asked.
type numbers struct {
	in    func(i int) bool
	asked int
}

func (n *numbers) appendRecord(buf []byte, i int) ([]byte, bool) {
	n.asked++
	if !n.in(i) {
		return buf, false
	}
	return strconv.AppendInt(buf, int64(i), 10), true
}

// list is what the records of the sockets below n are.
func (n *numbers) list(below int) string {
	var list []string
	for i := range below {
		if n.in(i) {
			list = append(list, fmt.Sprint(i))
		}
	}
	return strings.Join(list, ",")
}

// What one has encoded, who asks for the same copies, whatever steps the two of them see the dump in.
func TestSharedRecords(t *testing.T) {
	const sockets = 100
	for name, in := range map[string]func(i int) bool{
		"all":                     func(int) bool { return true },
		"none":                    func(int) bool { return false },
		"every third":             func(i int) bool { return i%3 == 0 },
		"a whole unit is without": func(i int) bool { return i/unit%2 == 1 },
		"the last alone":          func(i int) bool { return i == sockets-1 },
	} {
		t.Run(name, func(t *testing.T) {
			shared := new(sharedAnswer)
			for who, steps := range [][]int{{3, 50, 51, sockets}, {sockets}, {0, 1, 99, sockets}} {
				of := &numbers{in: in}
				w := recordsWriter{shared: shared}
				var out Reply
				for _, n := range steps {
					if err := w.write(&out, n, n == sockets, of); err != nil {
						t.Fatal(err)
					}
				}
				if want := of.list(sockets); string(out.Buf) != want {
					t.Errorf("reader %d has %q, want %q", who, out.Buf, want)
				}
				if want := map[bool]int{true: sockets}[who == 0]; of.asked != want {
					t.Errorf("reader %d has encoded %d sockets, want %d", who, of.asked, want)
				}
			}
		})
	}
}

// What was encoded long ago is encoded again, and does not take the place of what is newer.
func TestSharedRecordsAreBounded(t *testing.T) {
	const sockets = 3 * keptUnits * unit
	all := func(int) bool { return true }
	shared := new(sharedAnswer)
	for who, want := range []int{sockets, sockets - keptUnits*unit} {
		of := &numbers{in: all}
		w := recordsWriter{shared: shared}
		var out Reply
		if err := w.write(&out, sockets, true, of); err != nil {
			t.Fatal(err)
		}
		if string(out.Buf) != of.list(sockets) {
			t.Errorf("reader %d has %d bytes, want %d", who, len(out.Buf), len(of.list(sockets)))
		}
		if of.asked != want {
			t.Errorf("reader %d has encoded %d sockets, want %d", who, of.asked, want)
		}
	}
}

// Who asks for the same shares an answer, and who asks for one thing too many, or in too many words, has none.
func TestWhoSharesAnAnswer(t *testing.T) {
	all, _ := sharedAnswersAfter(nil).(*sharedAnswers)
	longest := strings.Repeat("a", maxAsked)
	for range 2 {
		if all.of(longest+"a") != nil {
			t.Errorf("a question of %d bytes is shared", maxAsked+1)
		}
	}
	answers := make(map[*sharedAnswer]string)
	for i := range maxShared - 1 {
		asked := strconv.Itoa(i)
		answers[all.of(asked)] = asked
	}
	answers[all.of(longest)] = longest
	if len(answers) != maxShared || answers[nil] != "" {
		t.Errorf("%d different answers to %d questions: %v", len(answers), maxShared, answers)
	}
	if got := all.of("one more"); got != nil {
		t.Errorf("%v is shared beyond %d answers", got, maxShared)
	}
	for answer, asked := range answers {
		if all.of(asked) != answer {
			t.Errorf("%.9q: another answer the second time", asked)
		}
	}
}

// The memory of answers is used again for those of another snapshot, which have nothing of what is in it.
func TestSharedRecordsOfAnotherSnapshot(t *testing.T) {
	const first, second = 10*unit + 1, 9 * unit
	all, _ := sharedAnswersAfter(nil).(*sharedAnswers)
	write := func(shared *sharedAnswer, sockets int) {
		t.Helper()
		of := &numbers{in: func(int) bool { return true }}
		w := recordsWriter{shared: shared}
		var out Reply
		if err := w.write(&out, sockets, true, of); err != nil {
			t.Fatal(err)
		}
		if of.asked != sockets || string(out.Buf) != of.list(sockets) {
			t.Errorf("the first reader of %d sockets has encoded %d, and has %q", sockets, of.asked, out.Buf)
		}
	}
	before := new(sharedAnswer)
	all.by["all"] = before
	write(before, first)
	next, _ := sharedAnswersAfter(all).(*sharedAnswers)
	if len(next.by) != 0 || len(next.spare) != 1 || next.spare[0] != before {
		t.Fatalf("%d answers and %d spare ones, want none and the one before", len(next.by), len(next.spare))
	}
	write(next.spare[0], second)
	for range 3 * maxShared {
		for i := range maxShared {
			next.by[strconv.Itoa(i)] = new(sharedAnswer)
		}
		next, _ = sharedAnswersAfter(next).(*sharedAnswers)
	}
	if len(next.spare) != maxShared {
		t.Errorf("%d spare answers, want %d", len(next.spare), maxShared)
	}
}

// A limit ends the answer, and what leaves it out is not shared.
func TestLimitedRecords(t *testing.T) {
	of := &numbers{in: func(i int) bool { return i%2 == 1 }}
	w := recordsWriter{limit: 5}
	var out Reply
	if err := w.write(&out, 100, true, of); err != nil {
		t.Fatal(err)
	}
	if string(out.Buf) != "1,3,5,7,9" || of.asked != 10 {
		t.Errorf("%q of %d sockets, want 1,3,5,7,9 of 10", out.Buf, of.asked)
	}
}

// Many who read and write at once have the same.
func TestSharedRecordsAtOnce(t *testing.T) {
	const sockets = 5000
	shared := new(sharedAnswer)
	var readers sync.WaitGroup
	for range 8 {
		readers.Go(func() {
			of := &numbers{in: func(i int) bool { return i%7 != 0 }}
			w := recordsWriter{shared: shared}
			var out Reply
			for n := 0; n <= sockets; n += 50 {
				if err := w.write(&out, n, n == sockets, of); err != nil {
					t.Error(err)
				}
			}
			if string(out.Buf) != of.list(sockets) {
				t.Errorf("%d bytes, want %d", len(out.Buf), len(of.list(sockets)))
			}
		})
	}
	readers.Wait()
}

func BenchmarkRecords(b *testing.B) {
	const readers = 8
	snap := crowd(10_000)
	for _, shared := range []*sharedAnswer{nil, new(sharedAnswer)} {
		b.Run(fmt.Sprintf("shared=%t", shared != nil), func(b *testing.B) {
			p := connectionsParams{}
			out := Reply{send: func(b []byte) ([]byte, error) { return b[:0], nil }}
			b.ReportAllocs()
			for b.Loop() {
				out.Buf = out.Buf[:0]
				for range readers { // one who encodes, and others who may copy
					w := connectionsWriter{p: &p, records: recordsWriter{shared: shared}}
					view := *snap
					view.Sockets = snap.Sockets[:keptUnits*unit]
					if err := w.write(&out, &view, true); err != nil {
						b.Fatal(err)
					}
				}
				if shared != nil {
					*shared = sharedAnswer{}
				}
			}
			b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(readers*b.N*keptUnits*unit), "ns/socket")
		})
	}
}
