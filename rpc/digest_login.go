package rpc

import (
	"errors"
	"fmt"
	"io"
	"strings"
)

// Login is what a client has to know. However it is printed or marshalled, the password is not in it.
type Login struct {
	User     string
	Password string
}

// ParseLogin reads USER:PASSWORD. The first colon ends the user, as in monerod, so a password may have more. Unlike in
// monerod neither may be empty. The errors do not quote what they read.
func ParseLogin(s string) (Login, error) {
	user, password, ok := strings.Cut(s, ":")
	switch {
	case !ok:
		return Login{}, errors.New("the login has no colon: want USER:PASSWORD")
	case user == "":
		return Login{}, errors.New("the login has no user before the colon: want USER:PASSWORD")
	case password == "":
		return Login{}, errors.New("the login has no password after the colon: want USER:PASSWORD")
	}
	return Login{User: user, Password: password}, nil
}

const redacted = "[redacted]"

// Format prints the same for every verb, so that there is none that prints the fields.
func (l Login) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, l.String()) }

func (l Login) String() string { return l.User + ":" + redacted }

// MarshalText is what encoding/json and with it the log write.
func (l Login) MarshalText() ([]byte, error) { return []byte(l.String()), nil }
