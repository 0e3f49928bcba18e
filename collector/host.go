//go:build linux

package collector

import (
	"encoding/hex"
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/connectionsd/connectionsd/collector/age"
	"github.com/connectionsd/connectionsd/collector/container"
	"github.com/connectionsd/connectionsd/collector/netns"
	"github.com/connectionsd/connectionsd/collector/owner"
	"github.com/connectionsd/connectionsd/collector/process"
	"github.com/connectionsd/connectionsd/collector/service"
	"github.com/connectionsd/connectionsd/collector/sockdiag"
	"github.com/connectionsd/connectionsd/model"
)

// bootIDPath is a random UUID that the kernel makes anew at each boot
// (drivers/char/random.c).
const bootIDPath = "/proc/sys/kernel/random/boot_id"

// HostOptions say what a Collector of this host collects.
type HostOptions struct {
	// NetNS are the network namespaces.
	NetNS NetNS
	// Owners, unless it is nil, finds the owners of sockets in place of a walk of
	// /proc.
	Owners OwnerFinder
	// Services, CommandLines, Engines and what follows them are those of Options.
	Services      *service.Table
	CommandLines  process.CommandLines
	Engines       func() *container.List
	OnDumpError   func(error)
	OnDump        func(sockets int)
	Observe       func(Dump)
	ObserveSample func(cost time.Duration)
}

// NewHost returns a Collector of this host. The calling thread is in the
// daemon's own network namespace.
func NewHost(o HostOptions) (*Collector, error) {
	boot, err := readBootID(bootIDPath)
	if err != nil {
		return nil, err
	}
	ns, err := netns.Self()
	if err != nil {
		return nil, err
	}
	cgroups, err := container.NewCgroups()
	if err != nil {
		return nil, err
	}
	if o.Owners == nil {
		o.Owners = owner.NewFinder(procPath)
	}
	clock := age.NewClock()
	return New(Options{
		Dumper:        sockdiag.New(sockdiag.Dial, clock, ns),
		NetNS:         o.NetNS,
		Self:          ns,
		Owners:        o.Owners,
		Proc:          procPath,
		Services:      o.Services,
		CommandLines:  o.CommandLines,
		Cgroups:       cgroups,
		Engines:       o.Engines,
		Clock:         clock,
		Spent:         spent,
		IDs:           model.NewConnectionIDs(boot),
		OnDumpError:   o.OnDumpError,
		OnDump:        o.OnDump,
		Observe:       o.Observe,
		ObserveSample: o.ObserveSample,
	}), nil
}

// spent is how long this process has been on a core (clock_getres(2)).
func spent() (time.Duration, error) {
	var t unix.Timespec
	err := unix.ClockGettime(unix.CLOCK_PROCESS_CPUTIME_ID, &t)
	return time.Duration(t.Nano()), err
}

// procPath is where the proc file system is mounted.
const procPath = "/proc"

// readBootID reads a UUID in its usual form.
func readBootID(path string) (id [16]byte, err error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return id, fmt.Errorf("read the boot id: %w", err)
	}
	text := strings.TrimSpace(string(b))
	digits, err := hex.DecodeString(strings.ReplaceAll(text, "-", ""))
	if err != nil || len(digits) != len(id) {
		return id, fmt.Errorf("read the boot id: %q in %s is no UUID", text, path)
	}
	return [16]byte(digits), nil
}
