package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/prometheus/procfs"
	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"

	"github.com/connectionsd/connectionsd/collector"
	"github.com/connectionsd/connectionsd/collector/capability"
	"github.com/connectionsd/connectionsd/collector/netns"
	"github.com/connectionsd/connectionsd/collector/owner"
	"github.com/connectionsd/connectionsd/privilege"
)

// work is what the daemon does from its start on that takes privilege. docs/privileges.md tells how each was found.
type work struct {
	netNS collector.NetNS
	// iterator is set where the owners of sockets come from a BPF iterator, else they come from /proc; bpf is what opening
	// one takes on this kernel.
	iterator bool
	bpf      []capability.Need
	// procHides is set where /proc shows processes to those alone who may trace them (hidepid of proc(5)), or may do so.
	procHides bool
	// sockets are the unix sockets that the daemon connects to, and made is the one that it removes at its end, "" if none.
	sockets []string
	made    string
	profile bool     // it measures itself
	traced  *tracing // where it sends traces; nil: nowhere
	// settings are the directories of the files that are read again at SIGHUP.
	settings []string
}

// needs are the capabilities that the work takes.
func (w work) needs() []capability.Need {
	ptrace := capability.Need{Name: "CAP_SYS_PTRACE", AnyOf: []int{unix.CAP_SYS_PTRACE}}
	needs := append([]capability.Need(nil), w.bpf...)
	// Cgroups are opened by their ids. The descriptors of other users' processes take it too.
	needs = append(needs, capability.Need{Name: "CAP_DAC_READ_SEARCH", AnyOf: []int{unix.CAP_DAC_READ_SEARCH, unix.CAP_DAC_OVERRIDE}})
	if w.netNS != (collector.NetNS{}) {
		needs = append(needs, capability.Need{Name: "CAP_SYS_ADMIN", AnyOf: []int{unix.CAP_SYS_ADMIN}})
	}
	if w.traces() {
		needs = append(needs, ptrace)
	}
	return needs
}

// traces reports whether the work looks at what of other processes only who may trace them can see.
func (w work) traces() bool { return !w.iterator || w.netNS.All || w.procHides }

// noLandlock says why the work cannot be done in a Landlock domain, "" if it can.
func (w work) noLandlock() string {
	const forbids = "which Landlock forbids"
	switch {
	case w.netNS.All:
		return "--netns all looks at the namespaces of other processes, " + forbids
	case !w.iterator:
		return "without BPF the owners of sockets are found in the descriptors of other processes, " + forbids
	case w.procHides:
		return "/proc is mounted with hidepid, and shows other processes to those alone who may trace them, " + forbids
	}
	return ""
}

func (w work) files() privilege.Files {
	files := privilege.Files{Read: append([]string{"/proc"}, w.settings...), Connect: w.sockets}
	if w.netNS.Name != "" {
		files.Read = append(files.Read, netns.RunDir)
	}
	if w.traced != nil {
		files.Ports = []uint16{w.traced.port}
	}
	if w.made != "" {
		files.Remove = []string{w.made}
	}
	return files
}

func (w work) calls() privilege.Calls {
	return privilege.Calls{
		EnterNetNS: w.netNS != (collector.NetNS{}), BPFIterators: w.iterator, OpenByHandle: true, Profile: w.profile,
		Connect: w.traced != nil, ConnectUnix: len(w.sockets) > 0, Remove: w.made != "",
	}
}

// workOf returns the work that cfg asks for. iterator finds the owners of sockets by BPF, and is nil where that cannot be.
func workOf(cfg Config, iterator collector.OwnerFinder, made *unixSocket, log zerolog.Logger) (w work, err error) {
	w = work{netNS: cfg.NetNS, iterator: iterator != nil, settings: settingsDirectories(cfg), profile: cfg.Pprof}
	for _, host := range cfg.ContainerAPIs {
		if path, ok := strings.CutPrefix(host, "unix://"); ok {
			w.sockets = append(w.sockets, path)
		}
	}
	if socket := os.Getenv("NOTIFY_SOCKET"); socket != "" {
		w.sockets = append(w.sockets, socket)
	}
	if made != nil {
		w.made = made.path
	}
	if w.procHides, err = procHides(); err != nil {
		log.Warn().Err(err).Msg("/proc may hide processes: CAP_SYS_PTRACE is kept, and Landlock is off")
		w.procHides = true
	}
	if w.iterator {
		w.bpf, err = iteratorNeeds(iterator)
		if err != nil {
			return work{}, fmt.Errorf("find out what the BPF program takes: %w", err)
		}
	}
	return w, nil
}

// settingsDirectories returns the directories of the files that cfg names: a file that is replaced is another one. Where one is
// a symbolic link, what it points to is most often replaced together with others: its directory counts too.
func settingsDirectories(cfg Config) []string {
	var all []string
	add := func(path string) {
		if directory := filepath.Dir(path); !slices.Contains(all, directory) {
			all = append(all, directory)
		}
	}
	for _, name := range []string{cfg.ConfigFile, cfg.RPCLoginFile, cfg.RPCSSLCertificate, cfg.RPCSSLPrivateKey, cfg.RPCSSLCACertificates} {
		path, err := filepath.Abs(name)
		if name == "" || err != nil {
			continue
		}
		add(path)
		if target, err := filepath.EvalSymlinks(path); err == nil {
			add(target)
		}
	}
	return all
}

// procHides reports whether /proc is mounted so that it hides processes.
func procHides() (bool, error) {
	mounts, err := procfs.GetMounts()
	if err != nil {
		return false, fmt.Errorf("look how /proc is mounted: %w", err)
	}
	hides := false
	for _, mount := range mounts {
		if mount.MountPoint == "/proc" { // the last one is on top
			level := mount.SuperOptions["hidepid"]
			hides = level != "" && level != "0" && level != "off"
		}
	}
	return hides, nil
}

// iteratorNeeds finds out by trial what it takes to open iterators. Where unprivileged BPF is disabled, Linux before 5.19
// asks for CAP_BPF at every call of bpf(2).
func iteratorNeeds(iterator collector.OwnerFinder) ([]capability.Need, error) {
	need := capability.Need{Name: "CAP_BPF", AnyOf: []int{unix.CAP_BPF, unix.CAP_SYS_ADMIN}}
	all := capability.Effective(1<<unix.CAP_BPF | 1<<unix.CAP_PERFMON | 1<<unix.CAP_SYS_ADMIN)
	err := privilege.Without(all, func() error {
		if err := iterator.Look(context.Background()); err != nil {
			return err
		}
		_, err := iterator.Connections(context.Background(), int32(os.Getpid()), nil)
		if errors.Is(err, owner.ErrNoConnections) { // which is no question of privilege
			return nil
		}
		return err
	})
	switch {
	case err == nil:
		return nil, nil
	case errors.Is(err, unix.EPERM):
		return []capability.Need{need}, nil
	default:
		return nil, err
	}
}

// otherUser is who cfg says the daemon is to become, nil if nobody.
func otherUser(cfg Config) (*privilege.User, error) {
	if cfg.User == "" {
		return nil, nil
	}
	user, err := privilege.LookUp(cfg.User)
	if err != nil {
		return nil, err
	}
	if err := privilege.CheckBecome(user); err != nil {
		return nil, fmt.Errorf("%w: start it as root, or as that user without --user", err)
	}
	return &user, nil
}

// confine gives up, once all is open, what the daemon needs no more, and becomes user unless that is nil. What the kernel
// lacks for it is worked around; what should work and does not is an error. What is in force is said once.
func confine(cfg Config, finder collector.OwnerFinder, made *unixSocket, user *privilege.User, traced *tracing, degraded *degradations, log zerolog.Logger) (sandbox, error) {
	if cfg.Sandbox == sandboxOff && user == nil {
		log.Warn().Msg("the sandbox is off: the daemon keeps all privileges that it was started with")
		return sandbox{}, nil
	}
	w, err := workOf(cfg, finder, made, log)
	if err != nil {
		return sandbox{}, err
	}
	w.traced = traced
	kept, err := privilege.Of(w.needs())
	if err != nil {
		return sandbox{}, err
	}
	if iterator, ok := finder.(*owner.Iterator); ok && !w.traces() {
		iterator.WithoutProc()
	}
	if cfg.Sandbox == sandboxOff {
		log.Warn().Strs("capabilities", privilege.Names(kept)).Int("uid", user.UID).Msg("the sandbox is off, but for what --user takes")
		return sandbox{}, privilege.Become(*user, kept)
	}
	event := log.Info()
	s := sandbox{capabilities: true, noNewPrivileges: true}
	if err := privilege.NoNewPrivileges(); err != nil {
		return s, err
	}
	if reason := w.noLandlock(); reason != "" {
		event.Str("landlock", "off: "+reason)
	} else if version, err := privilege.RestrictFiles(w.files()); err != nil {
		event.Str("landlock", "off: "+err.Error())
		degraded.add("landlock", err.Error())
	} else {
		s.landlock = true
		event.Str("landlock", fmt.Sprintf("version %d", version))
	}
	if user != nil {
		err = privilege.Become(*user, kept)
	} else {
		err = privilege.KeepOnly(kept)
	}
	if err != nil {
		return s, err
	}
	if err := privilege.Undumpable(); err != nil {
		return s, err
	}
	if err := privilege.FilterCalls(w.calls()); err != nil {
		event.Str("seccomp", "off: "+err.Error())
		degraded.add("seccomp", err.Error())
	} else {
		s.seccomp = true
		event.Str("seccomp", "on")
	}
	event.Bool("no_new_privs", true).Strs("capabilities", privilege.Names(kept)).Int("uid", os.Getuid()).Int("gid", os.Getgid()).
		Msg("gave up all privileges but those needed")
	return s, nil
}

// sandbox is what holds of the daemon since it is started.
type sandbox struct {
	capabilities, noNewPrivileges, landlock, seccomp bool
}

// restrictions are the four by the names that the metrics have for them.
func (s sandbox) restrictions() map[string]bool {
	return map[string]bool{
		"capabilities": s.capabilities, "no_new_privs": s.noNewPrivileges, "landlock": s.landlock, "seccomp": s.seccomp,
	}
}
