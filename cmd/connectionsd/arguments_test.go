package main

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSecretValues(t *testing.T) {
	for _, tc := range []struct {
		name string
		args []string
		want []string
	}{
		{"none", []string{"serve", "--height=1"}, nil},
		{"one word", []string{"serve", "--rpc-login=user:a=b"}, []string{"user:a=b"}},
		{"two words", []string{"serve", "--rpc-login", "user:pass", "--height", "1"}, []string{"user:pass"}},
		{"no value", []string{"serve", "--rpc-login"}, nil},
		{"an empty value", []string{"serve", "--rpc-login=", "user:pass"}, []string{""}},
		{"a value like a flag", []string{"--access-token", "--height"}, []string{"--height"}},
		{
			"all of them",
			[]string{"--access-token=a", "--rpc-login", "b", "--access-token", "c", "--access-token", "d"},
			[]string{"b", "a", "c", "d"},
		},
		{"the name of the file is none", []string{"--rpc-login-file", "f", "--rpc-login-file=g"}, nil},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, secretValues(tc.args)); diff != "" {
				t.Errorf("values (-want +got):\n%s", diff)
			}
		})
	}
}
