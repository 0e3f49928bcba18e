//go:build linux

package capability

import "strings"

// MissingError says what cannot be done for want of capabilities.
type MissingError struct {
	// What is a clause such as "other network namespaces cannot be collected".
	What string
	// Names are such as CAP_SYS_ADMIN.
	Names []string
}

func (e *MissingError) Error() string { return e.What + " without " + strings.Join(e.Names, " and ") }
