//go:build linux && cgo

package privilege

const isCgo = true
