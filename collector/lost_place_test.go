//go:build linux

package collector

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/connectionsd/connectionsd/collector/sockdiag"
	"github.com/connectionsd/connectionsd/collector/sockdiag/sockdiagtest"
	"github.com/connectionsd/connectionsd/model"
)

// Where a datagram ends, the kernel can lose its place if what the datagram ended with is closed. So that is looked up, if sockets
// come and go, and another dump is made if it is gone.
func TestLostPlace(t *testing.T) {
	type answers = []sockdiagtest.Dump
	whole, part := sockdiag.Only{}, sockdiag.NewOnly(&model.Filter{States: model.States(model.Established)})
	gone, refused := sockdiagtest.Dump{sockdiagtest.Refusal(unix.ENOENT)}, sockdiagtest.Dump{sockdiagtest.Refusal(unix.EPERM)}
	there := func(cookie uint64) sockdiagtest.Dump { return dumpOf(cookie)[:1] }
	in := func(datagrams ...[]uint64) (dump sockdiagtest.Dump) {
		for _, cookies := range datagrams {
			dump = append(dump, dumpOf(cookies...)[0])
		}
		return append(dump, sockdiagtest.Done(0))
	}
	full := make([]uint64, fullDatagram)
	for i := range full {
		full[i] = uint64(i + 1)
	}
	type cookies = []uint64
	for _, test := range []struct {
		name    string
		buckets int
		earlier answers // of all, one for each snapshot
		only    sockdiag.Only
		answers answers // all that the kernel is asked for the last snapshot
		want    cookies
	}{
		{
			"it is there", 1000,
			answers{dumpOf(1, 2, 3), dumpOf(1, 2, 4)},
			whole,
			answers{in(cookies{1, 2}, cookies{4, 5}), there(2)},
			cookies{1, 2, 4, 5},
		},
		{
			"it is gone", 1000,
			answers{dumpOf(1, 2, 3), dumpOf(1, 2, 4)},
			whole,
			answers{in(cookies{1, 2}, cookies{5}, cookies{6}), gone, dumpOf(1, 4, 5, 6)},
			cookies{1, 2, 5, 6, 4},
		},
		{
			"the second is gone", 1000,
			answers{dumpOf(1, 2, 3), dumpOf(1, 2, 4)},
			whole,
			answers{in(cookies{1, 2}, cookies{5}, cookies{6}), there(2), gone, dumpOf(1, 2, 4, 6)},
			cookies{1, 2, 5, 6, 4},
		},
		{
			"it is gone in a long dump", 1000,
			answers{dumpOf(1, 2, 3), dumpOf(1, 2, 4)},
			whole,
			answers{
				in(cookies{1}, cookies{2}, cookies{3}, cookies{4}, cookies{5}, cookies{6}, cookies{7}, cookies{8}, cookies{9}, cookies{11}, cookies{12}),
				there(1), there(2), there(3), there(4), there(5), there(6), there(7), there(8), gone,
				dumpOf(10, 11, 12),
			},
			cookies{1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 10},
		},
		{
			"it cannot be looked up", 1000,
			answers{dumpOf(1, 2, 3), dumpOf(1, 2, 4)},
			whole,
			answers{in(cookies{1, 2}, cookies{5}), refused, dumpOf(1, 2, 4, 5)},
			cookies{1, 2, 5, 4},
		},
		{
			"none has come or gone", 1000,
			answers{dumpOf(1, 2, 3), dumpOf(1, 2, 3)},
			whole,
			answers{in(cookies{1, 2}, cookies{3})},
			cookies{1, 2, 3},
		},
		{
			"one goes for the first time", 1000,
			answers{dumpOf(1, 2, 3, 4), dumpOf(1, 2, 3, 4)},
			whole,
			answers{in(cookies{1, 2}, cookies{4}), gone, dumpOf(1, 3, 4)},
			cookies{1, 2, 4, 3},
		},
		{
			"one goes for the first time, and not there", 1000,
			answers{dumpOf(1, 2, 3, 4), dumpOf(1, 2, 3, 4)},
			whole,
			answers{in(cookies{1, 2}, cookies{4}), there(2)},
			cookies{1, 2, 4},
		},
		{
			"three can be in a bucket", 48,
			answers{dumpOf(1, 2, 3, 4), dumpOf(1, 2, 3, 5)},
			whole,
			answers{in(cookies{1, 2}, cookies{5}), there(2), gone, dumpOf(2, 3, 5)},
			cookies{1, 2, 5, 3},
		},
		{
			"the first of three is not this dump's", 48,
			answers{dumpOf(1, 2, 3, 4), dumpOf(1, 2, 3, 5)},
			part,
			answers{listenerOf(99), in(cookies{2}, cookies{5}), there(2)},
			cookies{99, 2, 5},
		},
		{
			"a part, of which nobody can tell whether one has gone", 1000,
			answers{dumpOf(1, 2, 3), dumpOf(1, 2, 3)},
			part,
			answers{listenerOf(99), in(cookies{1, 2}, cookies{3}), gone, dumpOf(1, 3)},
			cookies{99, 1, 2, 3},
		},
		{
			"after those that listen there is nothing to look up", 1000,
			answers{dumpOf(1, 2), dumpOf(1, 3)},
			whole,
			answers{slices.Concat(listenerOf(99)[:1], dumpOf(1, 3))},
			cookies{99, 1, 3},
		},
		{
			"what was not full lacks nothing at its end", 1000,
			answers{dumpOf(1, 2), dumpOf(1, 3)},
			whole,
			answers{in(cookies{1, 3})},
			cookies{1, 3},
		},
		{
			"what was full can lack the last of all", 1 << 18,
			answers{dumpOf(1, 2), dumpOf(1, 3)},
			whole,
			answers{in(full), gone, in(append(slices.Clone(full), 99))},
			append(slices.Clone(full), 99),
		},
		{
			"a dump that is begun anew", 1000,
			answers{dumpOf(1, 2, 3), dumpOf(1, 2, 4)},
			whole,
			answers{
				append(in(cookies{1, 2}, cookies{4, 5})[:2], sockdiagtest.Datagram{Err: unix.ENOBUFS}), gone,
				in(cookies{1}, cookies{4, 5}), there(1),
			},
			cookies{1, 4, 5},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			kernel := sockdiagtest.Kernel{Dumps: slices.Concat(test.earlier, test.answers)}
			made := newSnapshots(t, &kernel, buckets{n: test.buckets})
			for range test.earlier {
				made.cookies(t, whole)
			}
			got := made.cookies(t, test.only)
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("the cookies (-want +got):\n%s", diff)
			}
			if got, want := kernel.Begun(), len(kernel.Dumps); got != want {
				t.Errorf("the kernel was asked %d times, want %d", got, want)
			}
		})
	}
}
