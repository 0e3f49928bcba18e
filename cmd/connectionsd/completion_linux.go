package main

import (
	"os"

	"github.com/connectionsd/connectionsd/collector/netns"
)

// namedNamespaces returns the names of network namespaces, none where they cannot be read.
func namedNamespaces() []string {
	entries, _ := os.ReadDir(netns.RunDir)
	var names []string
	for _, e := range entries {
		if plainWord(e.Name()) == e.Name() {
			names = append(names, e.Name())
		}
	}
	return names
}
