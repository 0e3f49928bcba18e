package rpc

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"github.com/rs/zerolog"
)

func TestParseLogin(t *testing.T) {
	for _, test := range []struct {
		text string
		want Login
		err  string
	}{
		{"user:pass", Login{"user", "pass"}, ""},
		{"user:a:b", Login{"user", "a:b"}, ""},
		{"user::", Login{"user", ":"}, ""},
		{" u : p ", Login{" u ", " p "}, ""},
		{"", Login{}, "the login has no colon: want USER:PASSWORD"},
		{"secret", Login{}, "the login has no colon: want USER:PASSWORD"},
		{":secret", Login{}, "the login has no user before the colon: want USER:PASSWORD"},
		{"user:", Login{}, "the login has no password after the colon: want USER:PASSWORD"},
		{":", Login{}, "the login has no user before the colon: want USER:PASSWORD"},
	} {
		got, err := ParseLogin(test.text)
		text := ""
		if err != nil {
			text = err.Error()
		}
		if got != test.want || text != test.err {
			t.Errorf("%q: user %q, password %q, error %q; want %q, %q, %q",
				test.text, got.User, got.Password, text, test.want.User, test.want.Password, test.err)
		}
	}
}

func TestPrintedLoginsHaveNoPassword(t *testing.T) {
	login := Login{User: "user", Password: "secret"}
	const want = "user:[redacted]"
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t", "%10s", "%U"} {
		for _, value := range []any{login, &login} {
			if got := fmt.Sprintf(verb, value); got != want {
				t.Errorf("%s of a %T: %s, want %s", verb, value, got, want)
			}
		}
	}
	if got := login.String(); got != want {
		t.Errorf("String: %s, want %s", got, want)
	}

	holder := struct {
		Login   Login
		Pointer *Login
		List    []Login
		Map     map[string]Login
	}{login, &login, []Login{login}, map[string]Login{"a": login}}
	var lines bytes.Buffer
	marshalled, err := json.Marshal(holder)
	if err != nil {
		t.Fatal(err)
	}
	lines.Write(marshalled)
	fmt.Fprintf(&lines, "%v %+v %#v", holder, holder, holder)
	log := zerolog.New(&lines)
	log.Info().Any("login", login).Any("holder", holder).Stringer("stringer", login).Msgf("%v", login)
	slog.New(slog.NewTextHandler(&lines, nil)).Info("login", "login", login, "holder", holder)
	slog.New(slog.NewJSONHandler(&lines, nil)).Info("login", "login", login, "holder", holder)
	if got := lines.String(); strings.Contains(got, "secret") || strings.Count(got, want) < 20 {
		t.Errorf("%s\nwant %s in place of each password", got, want)
	}
}
