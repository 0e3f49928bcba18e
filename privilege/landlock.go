//go:build linux

package privilege

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/landlock-lsm/go-landlock/landlock"
	llsyscall "github.com/landlock-lsm/go-landlock/landlock/syscall"
)

// Files are what a process may still do with files.
type Files struct {
	// Read are the directories below which files may be read and directories
	// listed.
	Read []string
	// Ports are the TCP ports that may be connected to.
	Ports []uint16
	// Remove are the files that may be removed. The kernel knows this right of
	// directories alone: it is given for all that lies beside and below them.
	Remove []string
	// Connect are the unix sockets that may be connected to, whether they are
	// there yet or not. Names in the abstract namespace begin with @.
	Connect []string
}

// ErrNoLandlock is the reason where the kernel has no Landlock, or was started
// without it.
var ErrNoLandlock = errors.New("this kernel has no Landlock, or it is not among those of the parameter lsm=")

// RestrictFiles puts this process into a Landlock domain, where it may do no
// more with files than those say, bind and connect to no TCP port (but by
// multipath TCP), and send no signal out of the domain; how much of this depends
// on the kernel. It returns the version of Landlock's interface that the kernel
// has.
//
// From within a domain the kernel allows no access to processes outside of it
// that ptrace(2) would need: to their descriptors and namespaces in /proc,
// whatever the capabilities (hook_ptrace_access_check in
// security/landlock/task.c).
//
// It sets no_new_privs as well.
func RestrictFiles(files Files) (version int, err error) {
	version, err = llsyscall.LandlockGetABIVersion()
	if err != nil || version < 1 {
		return 0, ErrNoLandlock
	}
	config, rules := ruleset(files)
	if err := config.BestEffort().Restrict(rules...); err != nil {
		return 0, fmt.Errorf("enter a Landlock domain: %w", err)
	}
	return version, nil
}

// ruleset is files in the words of Landlock.
func ruleset(files Files) (landlock.Config, []landlock.Rule) {
	config := landlock.V11
	var rules []landlock.Rule
	allow := func(path string, access landlock.AccessFSSet) {
		rules = append(rules, landlock.PathAccess(access, existing(path)))
	}
	for _, path := range files.Read {
		allow(path, llsyscall.AccessFSReadFile|llsyscall.AccessFSReadDir)
	}
	for _, path := range files.Remove {
		allow(filepath.Dir(path), llsyscall.AccessFSRemoveFile)
	}
	for _, path := range files.Connect {
		if path[0] == '@' {
			config.Scoped &^= llsyscall.ScopeAbstractUnixSocket
			continue
		}
		allow(path, llsyscall.AccessFSResolveUnix)
	}
	for _, port := range files.Ports {
		rules = append(rules, landlock.ConnectTCP(port))
	}
	return config, rules
}

// existing is path, or the nearest directory above it that is there: a rule has
// to be of something that is.
func existing(path string) string {
	for {
		if _, err := os.Stat(path); err == nil || path == filepath.Dir(path) {
			return path
		}
		path = filepath.Dir(path)
	}
}
