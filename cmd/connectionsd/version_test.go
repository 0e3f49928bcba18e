package main

import (
	"runtime"
	"runtime/debug"
	"testing"
)

func TestReadBuild(t *testing.T) {
	recorded := func(version string, settings ...debug.BuildSetting) *debug.BuildInfo {
		return &debug.BuildInfo{Main: debug.Module{Version: version}, Settings: settings}
	}
	revision := debug.BuildSetting{Key: "vcs.revision", Value: "0123abc"}
	modified := func(v string) debug.BuildSetting { return debug.BuildSetting{Key: "vcs.modified", Value: v} }
	platform := ", " + runtime.Version() + ", " + runtime.GOOS + "/" + runtime.GOARCH + ")"
	for _, tc := range []struct {
		name, linked string
		info         *debug.BuildInfo
		want         string
	}{
		{"nothing known", "", nil, "dev (commit unknown"},
		{"nothing recorded", "", recorded("(devel)"), "dev (commit unknown"},
		{"linked", "v1.2.3", nil, "v1.2.3 (commit unknown"},
		{"go install", "", recorded("v1.2.3"), "v1.2.3 (commit unknown"},
		{"linked wins", "v2.0.0", recorded("v1.2.3"), "v2.0.0 (commit unknown"},
		{"clean checkout", "v1.2.3", recorded("(devel)", revision, modified("false")), "v1.2.3 (commit 0123abc"},
		{"changed checkout", "v1.2.3", recorded("(devel)", modified("true"), revision), "v1.2.3 (commit 0123abc+changes"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if got, want := readBuild(tc.linked, tc.info).String(), tc.want+platform; got != want {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}
