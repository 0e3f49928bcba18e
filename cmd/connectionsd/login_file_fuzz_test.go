package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/connectionsd/connectionsd/rpc"
)

// The login is what the first line of its file says, and nothing of the others matters; what is wrong with it is not
// repeated.
func FuzzLoginFile(f *testing.F) {
	for _, text := range []string{
		"user:password", "user:password\n", "user:password\r\nuser:another", "\nuser:password", "", ":", "user", "user: # no comment \n", "u:\x00\xff\n", "u:p\r\r\n",
		"user:" + strings.Repeat("x", maxLogin-6) + "\n", "user:" + strings.Repeat("x", maxLogin-4), "\xef\xbb\xbfuser:password",
	} {
		f.Add([]byte(text))
	}
	path := filepath.Join(f.TempDir(), "login")
	f.Fuzz(func(t *testing.T, text []byte) {
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
		login, err := readLogin(path)
		line, _, ended := bytes.Cut(text, []byte("\n"))
		length := len(line)
		if ended {
			length++
		}
		want, wantErr := rpc.ParseLogin(strings.TrimRight(string(line), "\r"))
		if length > maxLogin {
			if err == nil || err.Error() != "the first line of "+path+" is too long: want at most 4096 bytes" {
				t.Fatalf("a line of %d bytes: error %v", length, err)
			}
			return
		}
		if login != want || (err == nil) != (wantErr == nil) {
			t.Fatalf("%q: user %q, error %v, want user %q, error %v", text, login.User, err, want.User, wantErr)
		}
		if err != nil && err.Error() != "the first line of "+path+": "+wantErr.Error() {
			t.Fatalf("%q: error %v, want %v", text, err, wantErr)
		}
	})
}
