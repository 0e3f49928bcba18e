//go:build !linux

package main

// blank does nothing: elsewhere the daemon does not run.
func blank(string) {}
