//go:build linux

package main

import (
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
