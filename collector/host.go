//go:build linux

package collector

import (
	"encoding/hex"
	"fmt"
	"os"
	"strings"

	"github.com/connectionsd/connectionsd/collector/age"
	"github.com/connectionsd/connectionsd/collector/netns"
	"github.com/connectionsd/connectionsd/collector/owner"
	"github.com/connectionsd/connectionsd/collector/sockdiag"
	"github.com/connectionsd/connectionsd/model"
)

// bootIDPath is a random UUID that the kernel makes anew at each boot
// (drivers/char/random.c).
const bootIDPath = "/proc/sys/kernel/random/boot_id"

// NewHost returns a Collector of this host. The calling thread is in the
// daemon's own network namespace; which others are collected want says.
// onSampleError is Options.OnSampleError.
func NewHost(want NetNS, onSampleError func(error)) (*Collector, error) {
	boot, err := readBootID(bootIDPath)
	if err != nil {
		return nil, err
	}
	ns, err := netns.Self()
	if err != nil {
		return nil, err
	}
	clock := age.NewClock()
	return New(Options{
		Dumper:        sockdiag.New(sockdiag.Dial, clock, ns),
		NetNS:         want,
		Self:          ns,
		Owners:        owner.NewFinder("/proc"),
		Clock:         clock,
		IDs:           model.NewConnectionIDs(boot),
		OnSampleError: onSampleError,
	}), nil
}

// readBootID reads a UUID in its usual form.
func readBootID(path string) (id [16]byte, err error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return id, fmt.Errorf("read the boot id: %w", err)
	}
	digits := strings.ReplaceAll(strings.TrimSpace(string(b)), "-", "")
	if n, err := hex.Decode(id[:], []byte(digits)[:min(len(digits), 2*len(id))]); err != nil || n != len(id) {
		return id, fmt.Errorf("read the boot id: %q in %s is no UUID", strings.TrimSpace(string(b)), path)
	}
	return id, nil
}
