package rpc

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"
)

// printed is what of a value can get into a log or an answer.
func printed(t *testing.T, v any) string {
	t.Helper()
	marshalled, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%v %+v %#v %s %q %x %d %s", v, v, v, v, v, v, v, marshalled)
}

// A token is 16 to 256 characters that stand in a URL as they are; it opens the door to itself alone, and nothing that is
// printed tells it.
func FuzzAccessToken(f *testing.F) {
	for _, s := range []string{firstToken, "", strings.Repeat("a", 15), strings.Repeat("~", 16), strings.Repeat("Z", 256), strings.Repeat("0", 257), "abcdefghijklmno/", "abcdefghijklmno%", "abcdefghijklmnop\n", "ÿbcdefghijklmnop"} {
		f.Add(s, firstToken)
	}
	token := regexp.MustCompile(`^[A-Za-z0-9._~-]{16,256}\z`)
	want := "want 16 to 256 characters of A-Z, a-z, 0-9, ., _, ~ and -, as openssl rand -hex 16 prints"
	f.Fuzz(func(t *testing.T, s, other string) {
		parsed, err := ParseAccessToken(s)
		if (err == nil) != token.MatchString(s) {
			t.Fatalf("%q: error %v", s, err)
		}
		if err != nil {
			if err.Error() != want {
				t.Fatalf("error %q", err)
			}
			return
		}
		if out := printed(t, parsed); strings.Contains(out, s) || strings.Contains(out, fmt.Sprintf("%x", sha256.Sum256([]byte(s)))[:16]) {
			t.Fatalf("%q is printed as %s", s, out)
		}
		for candidate, opens := range map[string]bool{s: true, other: other == s, s + "x": false, s[1:]: false, "": false} {
			if isOneOf(candidate, []AccessToken{{}, parsed}, subtle.ConstantTimeCompare) != opens {
				t.Fatalf("%q opens the door of %q: %t", candidate, s, !opens)
			}
		}
	})
}

// A login is what stands around the first colon, neither part empty; the password is not printed, nor is anything of what
// is wrong.
func FuzzParseLogin(f *testing.F) {
	for _, s := range []string{"user:password", "", ":", "user", "user:", ":password", "u:p:q", "user:\x00", "a:[redacted]", "\xff:\xfe"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		login, err := ParseLogin(s)
		colon := strings.IndexByte(s, ':')
		if right := colon > 0 && colon < len(s)-1; (err == nil) != right {
			t.Fatalf("%q: error %v", s, err)
		}
		if err != nil {
			if !strings.HasPrefix(err.Error(), "the login has no ") || !strings.HasSuffix(err.Error(), ": want USER:PASSWORD") || login != (Login{}) {
				t.Fatalf("%q: %q, error %v", s, login.User, err)
			}
			return
		}
		if login.User+":"+login.Password != s || strings.Contains(login.User, ":") {
			t.Fatalf("%q is the user %q", s, login.User)
		}
		without := Login{User: login.User, Password: "another"}
		if printed(t, login) != printed(t, without) {
			t.Fatalf("%q is printed as %s", s, printed(t, login))
		}
	})
}
