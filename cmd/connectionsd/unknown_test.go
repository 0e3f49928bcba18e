package main

import (
	"strings"
	"testing"
)

func TestNearest(t *testing.T) {
	known := []string{"height", "rpc-bind-ip", "rpc-bind-port", "rate-limit"}
	for _, tc := range []struct{ name, want string }{
		{"height", "height"},
		{"heigth", "height"},
		{"hight", "height"},
		{"heightt", "height"},
		{"", ""},
		{"h", ""},
		{"hei", ""},
		{"heig", "height"},
		{"rpc-bind", "rpc-bind-ip"},
		{"bind-port", "rpc-bind-port"},
		{"rpc-bind-p", "rpc-bind-ip"},
		{"ratelimit", "rate-limit"},
		{"zmq-pub", ""},
		{strings.Repeat("height", 1<<16), ""},
	} {
		if got := nearest(tc.name, known); got != tc.want {
			t.Errorf("nearest(%.20q) = %q, want %q", tc.name, got, tc.want)
		}
	}
}

func TestEdits(t *testing.T) {
	for _, tc := range []struct {
		a, b string
		want int
	}{
		{"", "", 0},
		{"", "abc", 3},
		{"abc", "", 3},
		{"abc", "abc", 0},
		{"abc", "adc", 1},
		{"abc", "ac", 1},
		{"ac", "abc", 1},
		{"ab", "ba", 2},
		{"kitten", "sitting", 3},
	} {
		if got := edits(tc.a, tc.b); got != tc.want {
			t.Errorf("edits(%q, %q) = %d, want %d", tc.a, tc.b, got, tc.want)
		}
	}
}
