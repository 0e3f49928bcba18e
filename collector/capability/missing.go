//go:build linux

package capability

import "strings"

// Need is a capability that something takes.
type Need struct {
	// Name is such as CAP_SYS_ADMIN.
	Name string
	// AnyOf are the numbers of the capabilities of which one is enough.
	AnyOf []int
}

// MissingError says what cannot be done for want of capabilities.
type MissingError struct {
	// What is a clause such as "other network namespaces cannot be collected".
	What string
	// Names are those of the needs that are not met.
	Names []string
}

func (e *MissingError) Error() string { return e.What + " without " + strings.Join(e.Names, " and ") }

// Check returns a *MissingError with what unless this process has all that is
// needed.
func Check(what string, needs ...Need) error {
	own, err := Own()
	if err != nil {
		return err
	}
	var missing []string
	for _, need := range needs {
		if !own.hasAny(need.AnyOf) {
			missing = append(missing, need.Name)
		}
	}
	if missing == nil {
		return nil
	}
	return &MissingError{What: what, Names: missing}
}

func (e Effective) hasAny(numbers []int) bool {
	for _, number := range numbers {
		if e.Has(number) {
			return true
		}
	}
	return false
}
