//go:build linux

package privilege

import (
	"errors"
	"os"
	"testing"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"github.com/connectionsd/connectionsd/collector/capability"
)

// set is a set of capabilities.
func set(numbers ...int) (s capability.Effective) {
	for _, number := range numbers {
		s |= 1 << number
	}
	return s
}

func TestNames(t *testing.T) {
	for _, test := range []struct {
		set  capability.Effective
		want []string
	}{
		{0, []string{}},
		{set(unix.CAP_CHOWN), []string{"CAP_CHOWN"}},
		{set(unix.CAP_BPF, unix.CAP_SYS_PTRACE, unix.CAP_DAC_READ_SEARCH), []string{"CAP_DAC_READ_SEARCH", "CAP_SYS_PTRACE", "CAP_BPF"}},
	} {
		if diff := cmp.Diff(test.want, Names(test.set)); diff != "" {
			t.Errorf("%x (-want +got):\n%s", test.set, diff)
		}
	}
}

// Of each need the first capability that is there counts.
func TestOf(t *testing.T) {
	own, err := capability.Own()
	if err != nil {
		t.Fatal(err)
	}
	const nobodys = 63 // no kernel has it yet
	for number := range 41 {
		want := own & set(number)
		for _, anyOf := range [][]int{{number}, {nobodys, number}, {number, nobodys}, {number, number}} {
			got, err := Of([]capability.Need{{Name: "CAP", AnyOf: anyOf}, {Name: "CAP", AnyOf: []int{nobodys}}})
			if err != nil || got != want {
				t.Errorf("any of %v: %x, %v, want %x", anyOf, got, err, want)
			}
		}
	}
	if os.Getuid() == 0 {
		got, err := Of([]capability.Need{{Name: "CAP_SETUID", AnyOf: []int{unix.CAP_SETUID, unix.CAP_SETGID}}})
		if err != nil || got != set(unix.CAP_SETUID) {
			t.Errorf("of two %x, %v, want the first alone", got, err)
		}
	}
}

var kept = set(unix.CAP_DAC_READ_SEARCH, unix.CAP_SYS_PTRACE)

func keepChild() (any, error) {
	return threads(func() error { return errors.Join(NoNewPrivileges(), KeepOnly(kept)) })
}

// What is given up is so for every thread, those that are started later too.
func TestKeepOnly(t *testing.T) {
	needsRoot(t)
	var got map[string][]string
	child(t, "keep", &got)
	none, two := []string{"0000000000000000"}, []string{"0000000000080004"}
	want := map[string][]string{
		"CapInh": none, "CapPrm": two, "CapEff": two, "CapBnd": none, "CapAmb": none, "NoNewPrivs": {"1"},
		"Uid": {"0 0 0 0"}, "Gid": {"0 0 0 0"}, "Groups": got["Groups"], "Seccomp": got["Seccomp"],
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("threads (-want +got):\n%s", diff)
	}
}

// Without tells whether something works without a capability, and leaves it to everybody else.
func TestWithout(t *testing.T) {
	needsRoot(t)
	before, err := capability.Own()
	if err != nil {
		t.Fatal(err)
	}
	var without capability.Effective
	if err := Without(set(unix.CAP_SYS_PTRACE, unix.CAP_BPF), func() (err error) { without, err = capability.Own(); return err }); err != nil {
		t.Fatal(err)
	}
	if want := before &^ set(unix.CAP_SYS_PTRACE, unix.CAP_BPF); without != want {
		t.Errorf("%x, want %x", without, want)
	}
	if after, err := capability.Own(); err != nil || after != before {
		t.Errorf("afterwards %x, %v, want %x", after, err, before)
	}
	failure := errors.New("failure")
	if err := Without(0, func() error { return failure }); !errors.Is(err, failure) {
		t.Errorf("error %v, want that of the function", err)
	}
}

func undumpableChild() (any, error) {
	if err := Undumpable(); err != nil {
		return nil, err
	}
	return unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0)
}

func TestUndumpable(t *testing.T) {
	got := -1
	child(t, "undumpable", &got)
	if got != 0 {
		t.Errorf("PR_GET_DUMPABLE is %d, want 0", got)
	}
}
