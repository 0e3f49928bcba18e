//go:build linux

package owner

import (
	"context"
	"encoding/binary"
	"net/netip"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/connectionsd/connectionsd/collector/owner/taskfile"
	processes "github.com/connectionsd/connectionsd/collector/process"
	"github.com/connectionsd/connectionsd/model"
)

// recordsOf are the records that pairs of bytes stand for: the number of a process, and that of a socket. With few numbers
// of either there are many that share.
func recordsOf(b []byte) (records []taskfile.Record) {
	for pair := range slices.Chunk(b, 2) {
		if len(pair) == 2 {
			// Numbers that no process has, so that none is asked for its name.
			records = append(records, taskfile.Record{TGID: 1<<30 + uint32(pair[0]), Inode: uint32(pair[1])})
		}
	}
	return records
}

// Of any records each wanted socket that a process holds has the one with the lowest number as its owner, those of which
// all are wanted have the others too, each once, and nobody else is told of.
func FuzzRecords(f *testing.F) {
	f.Add([]byte{}, []byte{1}, []byte{2})
	f.Add([]byte{7, 1, 7, 1, 8, 1, 8, 2, 9, 2, 9, 3}, []byte{1, 2}, []byte{})
	f.Add([]byte{9, 1, 7, 1, 8, 1, 7, 1, 9, 1, 7, 0}, []byte{2, 0}, []byte{1, 0, 3})
	f.Fuzz(func(t *testing.T, b, first, every []byte) {
		records := recordsOf(b)
		wanted := new(Wanted)
		wanted.Reset(len(first))
		want := make(map[uint32][]int32) // the owners that are wanted of a socket
		for _, inode := range first {
			wanted.Add(uint32(inode), false)
			want[uint32(inode)] = nil
		}
		for _, inode := range every {
			wanted.Add(uint32(inode), true)
			want[uint32(inode)] = nil
		}
		delete(want, 0)
		for _, r := range records {
			if owners, wanted := want[r.Inode]; wanted && !slices.Contains(owners, int32(r.TGID)) {
				want[r.Inode] = append(owners, int32(r.TGID))
			}
		}
		for inode, owners := range want {
			slices.Sort(owners)
			if !slices.Contains(every, byte(inode)) {
				want[inode] = owners[:min(len(owners), 1)]
			}
		}

		it := &Iterator{reader: processes.NewReader("/proc"), read: func(_ context.Context, dst []taskfile.Record) ([]taskfile.Record, error) {
			return append(dst, records...), nil
		}}
		before := []model.Owner{{PID: 1}}
		owners, shared, err := it.Find(t.Context(), wanted, before, nil)
		if err != nil {
			t.Fatal(err)
		}
		got := make(map[uint32][]int32)
		told := make([]bool, len(owners))
		told[0] = true
		for inode := range want {
			got[inode] = nil
			if n := wanted.Owner(inode); n != model.NoOwner {
				got[inode] = []int32{owners[n].PID}
				told[n] = true
			}
		}
		for _, further := range shared {
			got[further.Inode] = append(got[further.Inode], owners[further.Owner].PID)
			told[further.Owner] = true
		}
		for _, list := range got {
			slices.Sort(list)
		}
		for inode, list := range want {
			if !slices.Equal(list, got[inode]) {
				t.Fatalf("socket %d has the owners %d, want %d", inode, got[inode], list)
			}
		}
		if len(got) != len(want) || slices.Contains(told, false) {
			t.Fatalf("owners %v, of which some are of no wanted socket; shared %v", owners, shared)
		}
		if !slices.IsSortedFunc(owners[1:], func(a, b model.Owner) int { return int(a.PID - b.PID) }) {
			t.Fatalf("owners %v, want them in the order of their numbers", owners)
		}
	})
}

// What BPF tells of a connection is told on as the members of a socket, and nothing where MPTCP is among them.
func FuzzConnections(f *testing.F) {
	f.Add([]byte("\xc0\x00\x02\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00"), []byte{}, uint16(1), uint16(2), uint16(unix.AF_INET), uint16(unix.IPPROTO_TCP))
	f.Add([]byte("\xfe\x80\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01"), []byte{1}, uint16(65535), uint16(256), uint16(unix.AF_INET6), uint16(unix.IPPROTO_TCP))
	f.Add([]byte{}, []byte{}, uint16(0), uint16(0), uint16(unix.AF_INET), uint16(unix.IPPROTO_TCP+256))
	f.Fuzz(func(t *testing.T, local, remote []byte, localPort, remotePort, family, protocol uint16) {
		held := taskfile.Connection{Inode: 1, NetNS: 2, Interface: 3, LocalPort: localPort, Family: family, Protocol: protocol}
		copy(held.Local[:], local)
		copy(held.Remote[:], remote)
		binary.BigEndian.PutUint16(held.RemotePort[:], remotePort)
		other := taskfile.Connection{Inode: 9, Family: unix.AF_INET6, Protocol: unix.IPPROTO_TCP}
		it := &Iterator{connections: func(_ context.Context, _ int32, dst []taskfile.Connection) ([]taskfile.Connection, error) {
			return append(dst, other, held), nil
		}}
		got, err := it.Connections(t.Context(), 7, []Connection{{Inode: 99}})
		if protocol != unix.IPPROTO_TCP {
			if err != ErrNoConnections || len(got) != 1 {
				t.Fatalf("protocol %d: %d connections, error %v, want %v", protocol, len(got)-1, err, ErrNoConnections)
			}
			return
		}
		want := Connection{Inode: 1, NetNS: 2, Interface: 3, Family: model.Family(family), LocalPort: localPort, RemotePort: remotePort, LocalIP: held.Local, RemoteIP: held.Remote}
		if model.Family(family) == model.IPv4 {
			want.LocalIP = netip.AddrFrom4([4]byte(held.Local[:4])).As16()
			want.RemoteIP = netip.AddrFrom4([4]byte(held.Remote[:4])).As16()
		}
		if diff := cmp.Diff([]Connection{{Inode: 99}, {Inode: 9, Family: model.IPv6}, want}, got); diff != "" || err != nil {
			t.Fatalf("error %v (-want +got):\n%s", err, diff)
		}
	})
}
