//go:build linux

package privilege

import (
	"strings"

	"kernel.org/pub/linux/libs/security/libcap/cap"
)

// name is what a capability is called, as capabilities(7) writes it.
func name(value cap.Value) string { return strings.ToUpper(value.String()) }
