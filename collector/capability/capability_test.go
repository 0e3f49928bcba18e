//go:build linux

package capability

import (
	"os"
	"testing"
)

func TestMissingError(t *testing.T) {
	err := &MissingError{What: "the owners of other users' sockets stay unknown", Names: []string{"CAP_SYS_PTRACE", "CAP_DAC_READ_SEARCH"}}
	want := "the owners of other users' sockets stay unknown without CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH"
	if err.Error() != want {
		t.Errorf("%q, want %q", err, want)
	}
}

func TestOwn(t *testing.T) {
	own, err := Own()
	if err != nil {
		t.Fatal(err)
	}
	if os.Getuid() != 0 && own != 0 {
		t.Errorf("an ordinary user has %x", own)
	}
	if own.Has(63) {
		t.Error("a capability that no kernel has yet")
	}
	if e := Effective(1<<1 | 1<<39); !e.Has(1) || !e.Has(39) || e.Has(0) || e.Has(38) {
		t.Errorf("%x has not just 1 and 39", e)
	}
}
