//go:build !linux

package main

// namedNamespaces returns none: only Linux has them.
func namedNamespaces() []string { return nil }
