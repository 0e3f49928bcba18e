//go:build linux

package collector

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/connectionsd/connectionsd/collector/container"
	"github.com/connectionsd/connectionsd/collector/netns"
	"github.com/connectionsd/connectionsd/collector/sockdiag"
	"github.com/connectionsd/connectionsd/model"
)

// ofPort is a snapshot of four owners: of a connection of port 18080, of the listener there, of the one that the connection
// goes to, and of one that has nothing to do with it.
func ofPort() *model.Snapshot {
	snap := &model.Snapshot{Sockets: []model.Socket{
		{State: model.Listen, LocalPort: 18080, NetNS: 1},
		{State: model.Listen, LocalPort: 443, NetNS: 1},
		{State: model.Listen, LocalPort: 22, NetNS: 1},
		{State: model.Listen, LocalPort: 25, NetNS: 1},
		{State: model.Established, LocalPort: 18080, RemotePort: 443, NetNS: 1},
	}}
	for owner, pid := range []int32{5, 6, 7, 8} {
		snap.Known = append(snap.Known, model.Known{Owner: [...]int32{1, 2, 3, model.NoOwner}[owner], Container: model.NoContainer})
		snap.Owners = append(snap.Owners, model.Owner{PID: pid, Name: "a"})
	}
	snap.Known = append(snap.Known, model.Known{Owner: 0, Container: model.NoContainer})
	return snap
}

// onlyPort is who asks for a port.
func onlyPort(port uint16) sockdiag.Only {
	return sockdiag.NewOnly(&model.Filter{LocalPorts: []uint16{port}})
}

func TestToldOwners(t *testing.T) {
	two := ofPort()
	two.Sockets[3].NetNS = 2
	for _, test := range []struct {
		what string
		snap *model.Snapshot
		only sockdiag.Only
		want Want
		told []bool
	}{
		{"a port", ofPort(), onlyPort(18080), Want{Owners: true}, []bool{true, true, true, false}},
		{"another port", ofPort(), onlyPort(22), Want{Owners: true}, []bool{true, false, true, true}},
		{"all", ofPort(), sockdiag.Only{}, Want{Owners: true}, []bool{true, true, true, true}},
		{"a remote port", ofPort(), sockdiag.NewOnly(&model.Filter{RemotePorts: []uint16{443}}), Want{Owners: true}, []bool{true, true, true, true}},
		{"two ports", ofPort(), sockdiag.NewOnly(&model.Filter{LocalPorts: []uint16{18080, 22}}), Want{Owners: true}, []bool{true, true, true, true}},
		{"all owners of listeners", ofPort(), onlyPort(18080), Want{Owners: true, ListenerOwners: true}, []bool{true, true, true, true}},
		{"two namespaces", two, onlyPort(18080), Want{Owners: true}, []bool{true, true, true, true}},
		{"no sockets", &model.Snapshot{}, onlyPort(18080), Want{Owners: true}, nil},
	} {
		told := toldOwners{owners: []bool{true, true, true, true}} // of a snapshot before
		told.find(test.snap, test.only, test.want)
		var got []bool
		for i := range test.snap.Owners {
			got = append(got, told.has(int32(i)))
		}
		if diff := cmp.Diff(test.told, got); diff != "" {
			t.Errorf("%s: told (-want +got):\n%s", test.what, diff)
		}
		if !told.all && told.has(model.NoOwner) {
			t.Errorf("%s: nobody is told", test.what)
		}
	}
}

// The container of an owner is looked for where it can be told.
func TestContainersOfToldOwners(t *testing.T) {
	proc := t.TempDir()
	id := strings.Repeat("a", 64)
	for _, pid := range []string{"5", "6", "7", "8"} {
		if err := os.Mkdir(filepath.Join(proc, pid), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(proc, pid, "cgroup"), []byte("0::/system.slice/docker-"+id+".scope\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	cgroups, err := container.NewCgroups()
	if err != nil {
		t.Fatal(err)
	}
	c := New(Options{Dumper: sockdiag.New(sockdiag.Dial, func() time.Duration { return 0 }, 1), Self: 1, IDs: model.NewConnectionIDs([16]byte{}), Proc: proc, Cgroups: cgroups})
	t.Cleanup(c.containers.close)
	snap := ofPort()
	c.joinProcesses(snap, onlyPort(18080), Want{Owners: true, Containers: true})
	var got []int32
	for i := range snap.Owners {
		got = append(got, snap.Owners[i].Container)
	}
	if diff := cmp.Diff([]int32{0, 0, 0, model.NoContainer}, got); diff != "" {
		t.Errorf("containers of the owners (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]model.Container{{ID: id, Runtime: "docker"}}, snap.Containers); diff != "" {
		t.Errorf("containers (-want +got):\n%s", diff)
	}
}

// What is known of the addresses of the own namespace by the end of the dump is not asked for again.
func TestAddressesThatAreKnown(t *testing.T) {
	other, err := netns.Self()
	if err != nil {
		t.Fatal(err)
	}
	self := other + 1
	c := New(Options{Dumper: sockdiag.New(sockdiag.Dial, func() time.Duration { return 0 }, self), Self: self, IDs: model.NewConnectionIDs([16]byte{})})
	c.namespaces.others[other] = c.namespaces.newNamespace(netns.Namespace{Inode: other, Path: "/proc/thread-self/ns/net"})
	t.Cleanup(c.namespaces.close)
	c.namespaces.dumped = []uint32{self, other}
	here := model.Address{NetNS: self, IP: [16]byte{15: 77}}
	snap := new(model.Snapshot)
	c.joinInterfaces(snap, true, &model.Snapshot{Bound: map[model.Address]uint32{here: 7}})
	loopback := [16]byte{10: 0xff, 11: 0xff, 12: 127, 15: 1}
	for at, want := range map[model.Address]uint32{here: 7, {NetNS: self, IP: loopback}: 0, {NetNS: other, IP: loopback}: 1} {
		if got := snap.Bound[at]; got != want {
			t.Errorf("%v of namespace %d is at interface %d, want %d", at.IP, at.NetNS, got, want)
		}
	}
	c.joinInterfaces(snap, true, nil)
	if got := snap.Bound[model.Address{NetNS: self, IP: loopback}]; got != 1 {
		t.Errorf("without it the loopback address is at interface %d, want 1", got)
	}
	if _, still := snap.Bound[here]; still {
		t.Error("an address of before is still known")
	}
}
