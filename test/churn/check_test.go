//go:build linux

package churn

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// ofOpener and ofAcceptor are records as they should be.
func ofOpener() record {
	return record{ends: ends{peer, server}, incoming: new(bool), pid: 11, name: "holder-0", state: "ESTABLISHED", id: "a", cookie: 1}
}

func ofAcceptor() record {
	incoming := true
	return record{ends: ends{server, peer}, incoming: &incoming, pid: 12, name: "holder-1", state: "ESTABLISHED", id: "b", cookie: 2}
}

// change returns a record with something else in it.
func change(r record, f func(*record)) record {
	f(&r)
	return r
}

// kinds are those of findings, in order.
func kinds(findings []Finding) (k []Kind) {
	for _, f := range findings {
		k = append(k, f.Kind)
	}
	slices.Sort(k)
	return k
}

// Each thing that can be wrong is found, and nothing where nothing is.
func TestCheck(t *testing.T) {
	stranger := netip.MustParseAddrPort("127.0.0.1:50000")
	other := func(r *record) { r.id, r.cookie = "c", 3 }
	turn := func(r *record) { turned := !*r.incoming; r.incoming = &turned }
	tests := map[string]struct {
		said    *conversation
		from    instant // of the request, which takes 50 ms
		query   query
		records []record
		want    []Kind
		lived   int
	}{
		"right":           {said: say(), from: 50, records: []record{ofAcceptor(), ofOpener()}, lived: 2},
		"missing":         {said: say(), from: 50, records: []record{ofOpener()}, want: []Kind{Missing}, lived: 2},
		"empty":           {said: say(), from: 50, want: []Kind{Missing, Missing}, lived: 2},
		"too young":       {said: say(), from: 25, records: []record{ofOpener()}, lived: 1},
		"too old":         {said: say().openerDoes(aborted, 60), from: 50},
		"twice":           {said: say(), from: 50, records: []record{ofAcceptor(), ofOpener(), change(ofOpener(), other)}, want: []Kind{Repeated}, lived: 2},
		"twice the same":  {said: say(), from: 50, records: []record{ofAcceptor(), ofOpener(), ofOpener()}, want: []Kind{Repeated, Repeated, Repeated}, lived: 2},
		"no owner":        {said: say(), from: 50, records: []record{ofAcceptor(), change(ofOpener(), func(r *record) { r.pid, r.name = 0, "" })}, want: []Kind{OwnerUnknown}, lived: 2},
		"wrong process":   {said: say(), from: 50, records: []record{ofAcceptor(), change(ofOpener(), func(r *record) { r.pid = 12 })}, want: []Kind{WrongOwner}, lived: 2},
		"wrong name":      {said: say(), from: 50, records: []record{ofAcceptor(), change(ofOpener(), func(r *record) { r.name = "holder-1" })}, want: []Kind{WrongOwner}, lived: 2},
		"wrong direction": {said: say(), from: 50, records: []record{change(ofAcceptor(), turn), ofOpener()}, want: []Kind{WrongDirection}, lived: 2},
		"wrong state":     {said: say(), from: 50, records: []record{ofAcceptor(), change(ofOpener(), func(r *record) { r.state = "CLOSE_WAIT" })}, want: []Kind{WrongState}, lived: 2},
		"half closed": {
			said: say().openerDoes(shut, 40), from: 50,
			records: []record{change(ofAcceptor(), func(r *record) { r.state = "CLOSE_WAIT" }), change(ofOpener(), func(r *record) { r.state = "FIN_WAIT2" })}, lived: 2,
		},
		"half closed, where what is established is asked for": {said: say().openerDoes(shut, 40), from: 50, query: query{established: true}},
		"gone":                         {said: say().openerDoes(aborted, 40).acceptorDoes(aborted, 42), from: 50, records: []record{ofAcceptor()}, want: []Kind{Gone}},
		"perhaps gone":                 {said: say().openerDoes(aborted, 40).acceptorDoes(aborted, 47), from: 50, records: []record{ofAcceptor()}},
		"there never was":              {said: say().openerDoes(aborted, 60), from: 50, records: []record{change(ofOpener(), func(r *record) { r.local = stranger })}, want: []Kind{Gone}},
		"of no port":                   {said: say().openerDoes(aborted, 60), from: 50, records: []record{change(ofOpener(), func(r *record) { r.local = netip.AddrPortFrom(r.local.Addr(), 0) })}, want: []Kind{Gone}},
		"not asked for":                {said: say(), from: 50, query: query{selects: func(e *end) bool { return e.opener }}, records: []record{ofAcceptor(), ofOpener()}, want: []Kind{Unasked}, lived: 1},
		"in passing, right":            {said: say().openerDoes(aborted, 60), from: 50, records: []record{ofAcceptor(), ofOpener()}},
		"in passing, turned":           {said: say().openerDoes(aborted, 60), from: 50, records: []record{ofAcceptor(), change(ofOpener(), turn)}, want: []Kind{PassingDirection}},
		"in passing, twice":            {said: say().openerDoes(aborted, 60), from: 50, records: []record{ofAcceptor(), change(ofAcceptor(), other)}, want: []Kind{PassingRepeated}},
		"in passing, somebody else's":  {said: say().openerDoes(aborted, 60), from: 50, records: []record{change(ofOpener(), func(r *record) { r.pid = 12 })}, want: []Kind{PassingOwner}},
		"in passing, without an owner": {said: say().openerDoes(aborted, 60), from: 50, records: []record{change(ofOpener(), func(r *record) { r.pid, r.name = 0, "" })}},
		"let go of, and said to be held": {
			said: say().openerDoes(closed, 40), from: 50, records: []record{
				change(ofAcceptor(), func(r *record) { r.state = "CLOSE_WAIT" }), change(ofOpener(), func(r *record) { r.state = "FIN_WAIT2" }),
			}, want: []Kind{PassingOwner}, lived: 1,
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			ms := instant(time.Millisecond)
			q := test.query
			if q.selects == nil {
				q.selects = everything
			}
			a := &answer{query: &q, from: test.from * ms, to: (test.from + 50) * ms, records: test.records}
			findings, lived, err := test.said.heard(t, false).check(a)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, kinds(findings)); diff != "" || lived != test.lived {
				t.Errorf("%d ends lived, want %d; findings %v:\n%s", lived, test.lived, findings, diff)
			}
		})
	}
}

// Where only remote ends are told, records are counted.
func TestCount(t *testing.T) {
	remote := func(r record) record { return record{ends: ends{remote: r.remote}, incoming: r.incoming, id: r.id} }
	turn := func(r record) record { turned := !*r.incoming; r.incoming = &turned; return r }
	opener, acceptor := remote(ofOpener()), remote(ofAcceptor())
	another := change(opener, func(r *record) { r.id = "c" })
	tests := map[string]struct {
		said    *conversation
		records []record
		want    []Kind
	}{
		"right":              {say(), []record{opener, acceptor}, nil},
		"missing":            {say(), []record{opener}, []Kind{Missing}},
		"twice":              {say(), []record{opener, acceptor, another}, []Kind{PassingRepeated}},
		"turned":             {say(), []record{opener, turn(acceptor)}, []Kind{WrongDirection}},
		"in passing":         {say().openerDoes(aborted, 60), []record{opener}, nil},
		"in passing, turned": {say().openerDoes(aborted, 60), []record{turn(opener)}, []Kind{PassingDirection}},
		"gone":               {say().openerDoes(aborted, 20).acceptorDoes(aborted, 30), []record{opener}, []Kind{Gone}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			ms := instant(time.Millisecond)
			a := &answer{query: &query{remoteOnly: true, selects: everything}, from: 50 * ms, to: 100 * ms, records: test.records}
			findings, _, err := test.said.heard(t, false).check(a)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, kinds(findings)); diff != "" {
				t.Errorf("findings %v:\n%s", findings, diff)
			}
		})
	}
}

// The connection_id of an end stays what it was.
func TestRenamed(t *testing.T) {
	truth := say().heard(t, false)
	ms := instant(time.Millisecond)
	for n, want := range [][]Kind{nil, {Renamed}} {
		a := &answer{query: &query{selects: everything}, from: 50 * ms, to: 60 * ms, records: []record{ofAcceptor(), ofOpener()}}
		a.records[1].id += string(rune('x' + n))
		if findings, _, err := truth.check(a); err != nil || !slices.Equal(kinds(findings), want) {
			t.Errorf("answer %d: %v, %v, want %v", n, findings, err, want)
		}
	}
}
