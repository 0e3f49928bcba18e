//go:build linux

package main

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// met are the names of the targets that are met.
func met(targets []target) (names []string) {
	for _, g := range targets {
		if g.met {
			names = append(names, g.what)
		}
	}
	return names
}

// largeTook returns what large would measure if all took a second, but for
// these.
func largeTook(but map[string]timing) (rows []timing) {
	for _, name := range []string{bareName, bareNoneName, jsonrpcName, restBPFName, restProcName, ssName, ssOwnersName} {
		row, ok := but[name]
		if !ok {
			row = timing{took: time.Second, ratio: 100}
		}
		row.name = name
		rows = append(rows, row)
	}
	return rows
}

func TestLargeTargets(t *testing.T) {
	ms := time.Millisecond
	for _, tc := range []struct {
		name string
		but  map[string]timing
		want []string
	}{
		{"to the bare dump, as much as may be", map[string]timing{
			jsonrpcName:  {took: time.Second, ratio: 1.6},
			restBPFName:  {took: time.Second, ratio: 2.2},
			restProcName: {took: time.Second, ratio: 2.5},
		}, []string{jsonrpcName, restBPFName, restProcName}},
		{"to ss, as much as is wanted", map[string]timing{
			jsonrpcName: {took: 250 * ms, ratio: 100},
			restBPFName: {took: 50 * ms, ratio: 100},
		}, []string{jsonrpcName + " against " + ssName, restBPFName + " against " + ssOwnersName}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, met(largeTargets(largeTook(tc.but)))); diff != "" {
				t.Errorf("met (-want +got):\n%s", diff)
			}
		})
	}
}

// Half the time is a walk's here: it is what comes above that counts.
func TestFewTargets(t *testing.T) {
	got := fewTargets([]fewTiming{
		{name: "as much as may be", took: 7 * time.Millisecond, walk: 6 * time.Millisecond, above: time.Millisecond},
		{name: "a little more", took: 7 * time.Millisecond, walk: 6 * time.Millisecond, above: time.Millisecond + 1},
		{name: "less than a walk", took: time.Millisecond, walk: 6 * time.Millisecond, above: -5 * time.Millisecond},
	})
	if diff := cmp.Diff([]string{"as much as may be: 20 sockets", "less than a walk: 20 sockets"}, met(got)); diff != "" {
		t.Errorf("met (-want +got):\n%s", diff)
	}
}

// A task is held against the walks before and after it, so that what grows from one to the next is nobody's.
func TestMeasureFew(t *testing.T) {
	now := 0 * time.Millisecond
	takes := func(d time.Duration) func() error {
		return func() error {
			now += time.Millisecond
			time.Sleep(d + now)
			return nil
		}
	}
	synctest.Test(t, func(t *testing.T) {
		rows, err := measureFew(3, task{run: takes(10 * time.Millisecond)}, []task{{name: "two more", run: takes(12 * time.Millisecond)}, {name: "one less", run: takes(9 * time.Millisecond)}})
		if err != nil {
			t.Fatal(err)
		}
		if rows[0].above != 2*time.Millisecond || rows[1].above != -time.Millisecond || rows[0].took-rows[0].walk != 2*time.Millisecond {
			t.Errorf("%+v", rows)
		}
	})
}

func TestSmallTargets(t *testing.T) {
	theirs := load{perSecond: 1000, p99: time.Millisecond}
	const rate, p99, fresh = "small host, 8 clients, requests a second", "small host, 8 clients, p99", "small host, 8 clients, answers from a fresh dump"
	for _, tc := range []struct {
		name           string
		ours           load
		fresh, answers int
		want           []string
	}{
		{"all", load{perSecond: 2000, p99: time.Millisecond}, 5, 5, []string{rate, p99, fresh}},
		{"none", load{perSecond: 1999, p99: time.Millisecond + 1}, 4, 5, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, met(smallTargets(tc.ours, theirs, tc.fresh, tc.answers))); diff != "" {
				t.Errorf("met (-want +got):\n%s", diff)
			}
		})
	}
}

func TestReceivedFrom(t *testing.T) {
	const answer = `{"connections":[{"address":"127.0.0.1:18081","recv_count":1,"send_count":9},` +
		`{"address":"127.0.0.1:40000","recv_count":234,"send_count":8},{"address":"127.0.0.1:4","recv_count":-,"x":1}]}`
	for _, tc := range []struct {
		remote string
		want   int
		err    string
	}{
		{"127.0.0.1:40000", 234, ""},
		{"127.0.0.1:4000", 0, "an answer has no connection from 127.0.0.1:4000, which asked for it"},
		{"127.0.0.1:4", 0, `recv_count of the connection from 127.0.0.1:4: strconv.Atoi: parsing "-": invalid syntax`},
	} {
		got, err := receivedFrom([]byte(answer), tc.remote)
		if got != tc.want || errorText(err) != tc.err {
			t.Errorf("%s: %d, error %q, want %d, %q", tc.remote, got, errorText(err), tc.want, tc.err)
		}
	}
}
