//go:build linux && packages

// Package packages_test installs what `make release` has made, in machines of its own: upgrades, removes and purges it. It takes
// root and the directory of the packages, as in
//
//	DIST=$PWD/dist go test -tags packages ./test/packages
//
// It imports nothing of the project.
package packages_test
