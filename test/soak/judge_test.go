//go:build linux

package main

import (
	"errors"
	"fmt"
	"os"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/connectionsd/connectionsd/test/malformed"
)

func TestMalformedVerdicts(t *testing.T) {
	v := &verdicts{answers: make(tally)}
	request := malformed.Request{Kind: "id", Bytes: []byte("x")}
	v.add(request, malformed.Answer{Status: 400, Took: time.Millisecond}, nil)
	v.add(request, malformed.Answer{Status: 200, Took: malformedWithin}, nil)
	v.add(request, malformed.Answer{Status: 0, Took: time.Millisecond}, nil)
	v.add(request, malformed.Answer{Status: 404, Took: malformedWithin + 1}, nil)
	v.add(request, malformed.Answer{Status: 500, Took: time.Millisecond}, errors.New("status 500"))
	got := v.section(options{}).figures
	want := []figure{
		told("malformed requests", "5 of 34 kinds"),
		told("answers", "1 x 400, 1 x 404, 1 x end of the connection, 1 x error of JSON-RPC"),
		wants("wrong answers (5xx, 200, none)", "1", "none", false),
		wants("slower than 100 ms", "1", "none", false),
		told("time", "p50 1.0 ms, p99 100.0 ms, max 100.0 ms"),
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(figure{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestJudgeEnd(t *testing.T) {
	none := fmt.Errorf("%w: %w", errNoAnswer, syscall.ECONNRESET)
	half := fmt.Errorf("read the body of the answer after 5 bytes: %w", os.ErrDeadlineExceeded)
	for _, tc := range []struct {
		name   string
		answer answer
		err    error
		silent time.Duration
		told   bool
		want   string
		right  bool
	}{
		{"answered", answer{status: 200}, nil, 0, false, "status 200", true},
		{"answered at the end", answer{status: 200, last: true}, nil, 0, true, "status 200", true},
		{"refused for the load", answer{status: 503}, nil, 0, true, "status 503", true},
		{"a fault", answer{status: 500}, nil, 0, true, "status 500", false},
		{"closed after silence", answer{}, none, silence, true, "closed after silence", true},
		{"closed though it asked", answer{}, none, silence - 1, true, "the connection ended without an answer: connection reset by peer", false},
		{"closed before the end", answer{}, none, silence, false, "the connection ended without an answer: connection reset by peer", false},
		{"half an answer", answer{status: 200}, half, silence, true, "read the body of the answer after 5 bytes: i/o timeout", false},
	} {
		got, right := judgeEnd(tc.answer, tc.err, tc.silent, tc.told)
		if got != tc.want || right != tc.right {
			t.Errorf("%s: %q, %v, want %q, %v", tc.name, got, right, tc.want, tc.right)
		}
	}
}

func TestRefusal(t *testing.T) {
	for _, tc := range []struct {
		name  string
		err   error
		told  bool
		want  string
		right bool
	}{
		{"refused at the end", syscall.ECONNREFUSED, true, "refused", true},
		{"refused before", syscall.ECONNREFUSED, false, "connect: connection refused", false},
		{"reset", syscall.ECONNRESET, true, "connect: connection reset by peer", false},
	} {
		if got, right := refusal(tc.err, tc.told); got != tc.want || right != tc.right {
			t.Errorf("%s: %q, %v, want %q, %v", tc.name, got, right, tc.want, tc.right)
		}
	}
}

func TestCalm(t *testing.T) {
	const limit = 10 * time.Millisecond
	row := func(from time.Duration, n int, took time.Duration, right bool) (all []asking) {
		for i := range n {
			all = append(all, asking{from + time.Duration(i)*time.Millisecond, took, right})
		}
		return all
	}
	for _, tc := range []struct {
		name  string
		all   []asking
		after time.Duration
		found bool
	}{
		{"at once", row(5, calmAnswers, limit, true), 5, true},
		{"one too few", row(5, calmAnswers-1, limit, true), 0, false},
		{"slow at first", append(row(0, 3, limit+1, true), row(time.Second, calmAnswers, limit, true)...), time.Second, true},
		{"refused at first", append(row(0, 3, 1, false), row(time.Second, calmAnswers, limit, true)...), time.Second, true},
		{"slow in between", append(append(row(0, calmAnswers-1, 1, true), row(time.Second, 1, limit+1, true)...), row(2*time.Second, calmAnswers, 1, true)...), 2 * time.Second, true},
		{"never", row(0, 100, limit+1, true), 0, false},
	} {
		e := experience{all: tc.all}
		if after, found := e.calm(limit); after != tc.after || found != tc.found {
			t.Errorf("%s: %v, %v, want %v, %v", tc.name, after, found, tc.after, tc.found)
		}
	}
}

// missed are the figures whose target is not met.
func missed(s *section) (names []string) {
	for _, f := range s.figures {
		if f.want != "" && !f.met {
			names = append(names, f.what)
		}
	}
	return names
}

// answered is the experience of a client whose answers took so long, a hundred of them.
func answered(took time.Duration) *experience {
	e := &experience{wrong: make(tally), opened: 1}
	for i := range 100 {
		e.took = append(e.took, took)
		e.all = append(e.all, asking{time.Duration(i) * time.Millisecond, took, true})
	}
	return e
}

func TestSlowTargets(t *testing.T) {
	o := options{slow: 10, slowFor: time.Second}
	fast, at, busy, broken := answered(1), answered(slowP99), answered(1), answered(1)
	busy.wrong[isBusy] = 1
	broken.wrong["read the answer: EOF"] = 1
	all := slowNews{Tried: 10}
	for _, tc := range []struct {
		name   string
		during honestly
		end    slowNews
		want   []string
	}{
		{"met", honestly{fast, fast}, all, nil},
		{"slow on its connection", honestly{at, fast}, all, []string{"honest client beside them, one connection"}},
		{"slow on new ones", honestly{fast, at}, all, []string{"honest client beside them, new connections"}},
		{"no answer at all", honestly{&experience{wrong: make(tally), opened: 1}, fast}, all, []string{"honest client beside them, one connection"}},
		{"refused", honestly{fast, busy}, all, []string{"refused to the honest clients with 503"}},
		{"broken", honestly{broken, fast}, all, []string{"what else was no answer to them"}},
		{"not all have come", honestly{fast, fast}, slowNews{Tried: 9}, []string{"all of them have come"}},
		{"one could not connect", honestly{fast, fast}, slowNews{Tried: 10, Failed: 1}, []string{"all of them have come"}},
	} {
		aside := honestly{fast, fast}
		if diff := cmp.Diff(tc.want, missed(slowSection(o, aside, tc.during, aside, slowNews{}, tc.end, usage{}))); diff != "" {
			t.Errorf("%s: missed (-want +got):\n%s", tc.name, diff)
		}
	}
}

func TestOverloadTargets(t *testing.T) {
	o := options{overload: time.Second, times: 20}
	const calm = "10 answers in a row within 20.0 ms of it (p99 before, and as much or 10 ms more)"
	for _, tc := range []struct {
		name string
		but  func(*overloaded)
		want []string
	}{
		{"met", func(*overloaded) {}, nil},
		{"too little was sent", func(f *overloaded) { f.made = 0.94 * f.offered }, []string{"offered for 1s"}},
		{"nothing was refused", func(f *overloaded) { f.answers = tally{"200": 5} }, []string{"refused by 429 and 503"}},
		{"a fault", func(f *overloaded) { f.answers["500"] = 1 }, []string{"other errors"}},
		{"a reset", func(f *overloaded) { f.wrong["read an answer: EOF"] = 1 }, []string{"other errors"}},
		{"too much memory", func(f *overloaded) { f.most.peak = overloadMemory + 1 }, []string{"resident memory at the most"}},
		{"an honest client refused", func(f *overloaded) { f.during.wrong[isBusy] = 1 }, nil},
		{"an honest client thrown out", func(f *overloaded) { f.during.wrong["connect: i/o timeout"] = 1 }, []string{"other errors"}},
		{"slow afterwards", func(f *overloaded) { f.after = answered(21 * time.Millisecond) }, []string{calm}},
	} {
		f := &overloaded{
			capacity: 10, offered: 200, made: 200, answers: tally{"200": 5, "503": 5, "429": 1}, wrong: make(tally),
			before: answered(10 * time.Millisecond), during: answered(1), after: answered(20 * time.Millisecond), most: usage{peak: overloadMemory},
		}
		tc.but(f)
		if diff := cmp.Diff(tc.want, missed(f.section(o))); diff != "" {
			t.Errorf("%s: missed (-want +got):\n%s", tc.name, diff)
		}
	}
}

func TestSIGTERMTargets(t *testing.T) {
	for _, tc := range []struct {
		name string
		but  func(*endings)
		want []string
	}{
		{"met", func(*endings) {}, nil},
		{"a request without an answer", func(e *endings) { e.wrong["x"] = 1 }, []string{"requests that were neither answered nor refused"}},
		{"an end that was not right", func(e *endings) { e.failed = []string{"exit code 1"} }, []string{"ends with another exit code than 0, or too late"}},
		{"a long end", func(e *endings) { e.took = append(e.took, sigtermWithin+1) }, []string{"the longest end"}},
	} {
		e := &endings{outcomes: tally{"status 200": 1}, wrong: make(tally), took: []time.Duration{sigtermWithin}}
		tc.but(e)
		if diff := cmp.Diff(tc.want, missed(e.section(options{}))); diff != "" {
			t.Errorf("%s: missed (-want +got):\n%s", tc.name, diff)
		}
	}
}

func TestIDOf(t *testing.T) {
	const body = `{"result":{"connections":[{"address":"127.0.0.1:1","connection_id":"a"},{"address":"127.0.0.1:2","connection_id":"b"}]}}`
	for _, tc := range []struct{ remote, want, err string }{
		{"127.0.0.1:2", "b", ""},
		{"127.0.0.1:3", "", "the answer has no connection to 127.0.0.1:3: " + body},
	} {
		if got, err := idOf([]byte(body), tc.remote); got != tc.want || errorText(err) != tc.err {
			t.Errorf("%s: %q, %q, want %q, %q", tc.remote, got, errorText(err), tc.want, tc.err)
		}
	}
}

func TestShortened(t *testing.T) {
	for _, tc := range []struct {
		err  error
		want string
	}{
		{errors.New("connect: dial tcp 127.0.0.2:0->127.0.0.1:5: connect: connection refused"), "connect: connection refused"},
		{errors.New("read the answer: unexpected EOF"), "read the answer: EOF"},
		{errors.New("an answer begins with what is none"), "an answer begins with what is none"},
	} {
		if got := shortened(tc.err); got != tc.want {
			t.Errorf("%v: %q, want %q", tc.err, got, tc.want)
		}
	}
}

// All kinds of slow clients are there, and of each twenty one does not read.
func TestSlowKinds(t *testing.T) {
	counts := make(map[int]int)
	for i := range 20 {
		counts[kindOf(i)]++
	}
	if diff := cmp.Diff(map[int]int{saysNothing: 4, sendsHalfHeaders: 5, sendsHalfBody: 5, keepsIdle: 5, doesNotRead: 1}, counts); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
