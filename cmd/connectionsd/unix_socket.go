package main

import (
	"errors"
	"path/filepath"
)

// maxSocketPath is how long the path of a socket can be: sun_path of unix(7), which ends in NUL.
const maxSocketPath = 107

// parseUnixSocket reads the path of a socket. Names in the abstract namespace are not taken: whoever is on the host may
// connect to those.
func parseUnixSocket(s string) (string, error) {
	if !filepath.IsAbs(s) || len(s) > maxSocketPath {
		return "", errors.New("want a path that begins with /, of at most 107 bytes")
	}
	return filepath.Clean(s), nil
}
