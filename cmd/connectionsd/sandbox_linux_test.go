package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"

	"github.com/connectionsd/connectionsd/collector"
	"github.com/connectionsd/connectionsd/collector/capability"
	"github.com/connectionsd/connectionsd/privilege"
)

// What each kind of work takes, as docs/privileges.md has it.
func TestWork(t *testing.T) {
	const (
		handles, namespaces, ptrace, bpf = "CAP_DAC_READ_SEARCH", "CAP_SYS_ADMIN", "CAP_SYS_PTRACE", "CAP_BPF"

		looksAtAll  = "--netns all looks at the namespaces of other processes, which Landlock forbids"
		looksAtProc = "without BPF the owners of sockets are found in the descriptors of other processes, which Landlock forbids"
		procHides   = "/proc is mounted with hidepid, and shows other processes to those alone who may trace them, which Landlock forbids"
	)
	all, named := collector.NetNS{All: true}, collector.NetNS{Name: "blue"}
	needsBPF := []capability.Need{{Name: bpf, AnyOf: []int{unix.CAP_BPF, unix.CAP_SYS_ADMIN}}}
	for _, test := range []struct {
		name       string
		work       work
		needs      []string
		noLandlock string
		files      privilege.Files
		calls      privilege.Calls
	}{
		{
			name: "the default", work: work{netNS: all, iterator: true, sockets: []string{"/run/docker.sock"}},
			needs: []string{handles, namespaces, ptrace}, noLandlock: looksAtAll,
			calls: privilege.Calls{EnterNetNS: true, BPFIterators: true, OpenByHandle: true, ConnectUnix: true},
		},
		{
			name: "without engines", work: work{netNS: all, iterator: true},
			needs: []string{handles, namespaces, ptrace}, noLandlock: looksAtAll,
			calls: privilege.Calls{EnterNetNS: true, BPFIterators: true, OpenByHandle: true},
		},
		{
			name: "the default without BPF", work: work{netNS: all},
			needs: []string{handles, namespaces, ptrace}, noLandlock: looksAtAll,
			calls: privilege.Calls{EnterNetNS: true, OpenByHandle: true},
		},
		{
			name: "the default on an older kernel", work: work{netNS: all, iterator: true, bpf: needsBPF},
			needs: []string{bpf, handles, namespaces, ptrace}, noLandlock: looksAtAll,
			calls: privilege.Calls{EnterNetNS: true, BPFIterators: true, OpenByHandle: true},
		},
		{
			name: "its own namespace", work: work{iterator: true, sockets: []string{"/run/docker.sock", "@notify"}, made: "/run/c.sock"},
			needs: []string{handles},
			files: privilege.Files{Read: []string{"/proc"}, Connect: []string{"/run/docker.sock", "@notify"}, Remove: []string{"/run/c.sock"}},
			calls: privilege.Calls{BPFIterators: true, OpenByHandle: true, ConnectUnix: true, Remove: true},
		},
		{
			name: "settings in files", work: work{iterator: true, settings: []string{"/etc/connectionsd", "/srv/tls"}},
			needs: []string{handles},
			files: privilege.Files{Read: []string{"/proc", "/etc/connectionsd", "/srv/tls"}},
			calls: privilege.Calls{BPFIterators: true, OpenByHandle: true},
		},
		{
			name: "its own namespace without BPF", work: work{},
			needs: []string{handles, ptrace}, noLandlock: looksAtProc,
			calls: privilege.Calls{OpenByHandle: true},
		},
		{
			name: "one that has a name", work: work{netNS: named, iterator: true},
			needs: []string{handles, namespaces},
			files: privilege.Files{Read: []string{"/proc", "/run/netns"}},
			calls: privilege.Calls{EnterNetNS: true, BPFIterators: true, OpenByHandle: true},
		},
		{
			name: "one that has a name, without BPF", work: work{netNS: named},
			needs: []string{handles, namespaces, ptrace}, noLandlock: looksAtProc,
			calls: privilege.Calls{EnterNetNS: true, OpenByHandle: true},
		},
		{
			name: "its own namespace where /proc hides processes", work: work{iterator: true, procHides: true},
			needs: []string{handles, ptrace}, noLandlock: procHides,
			calls: privilege.Calls{BPFIterators: true, OpenByHandle: true},
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			var needs []string
			for _, need := range test.work.needs() {
				needs = append(needs, need.Name)
			}
			if diff := cmp.Diff(test.needs, needs); diff != "" {
				t.Errorf("capabilities (-want +got):\n%s", diff)
			}
			if got := test.work.noLandlock(); got != test.noLandlock {
				t.Errorf("no Landlock because %q, want %q", got, test.noLandlock)
			}
			if diff := cmp.Diff(test.files, test.work.files()); test.noLandlock == "" && diff != "" {
				t.Errorf("files (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.calls, test.work.calls()); diff != "" {
				t.Errorf("calls (-want +got):\n%s", diff)
			}
		})
	}
}

func TestWorkOf(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "@notify")
	got, err := workOf(Config{
		NetNS: collector.NetNS{Name: "blue"}, ContainerAPIs: []string{"unix:///run/docker.sock", noContainerAPI},
	}, nil, &unixSocket{path: "/run/c.sock"}, zerolog.Nop())
	if err != nil {
		t.Fatal(err)
	}
	want := work{
		netNS: collector.NetNS{Name: "blue"}, sockets: []string{"/run/docker.sock", "@notify"}, made: "/run/c.sock", procHides: got.procHides,
	}
	if diff := cmp.Diff(want, got, cmp.AllowUnexported(work{})); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
