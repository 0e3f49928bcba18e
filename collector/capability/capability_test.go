//go:build linux

package capability

import (
	"errors"
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

func TestCheck(t *testing.T) {
	own, err := Own()
	if err != nil {
		t.Fatal(err)
	}
	const nobodys = 63 // no kernel has it yet
	if err := Check("nothing"); err != nil {
		t.Errorf("error %v where nothing is needed", err)
	}
	err = Check("this", Need{Name: "CAP_A", AnyOf: []int{nobodys}}, Need{Name: "CAP_B", AnyOf: []int{nobodys, nobodys}})
	var missing *MissingError
	if !errors.As(err, &missing) || err.Error() != "this without CAP_A and CAP_B" {
		t.Errorf("error %v, want both to be missing", err)
	}
	for number := range 41 {
		err := Check("this", Need{Name: "CAP", AnyOf: []int{nobodys, number}})
		if (err == nil) != own.Has(number) {
			t.Errorf("capability %d: error %v, has it: %v", number, err, own.Has(number))
		}
	}
}
