package main

import (
	"errors"
	"strings"
)

// sandboxMode says whether the daemon gives up what it needs no more.
type sandboxMode string

const (
	sandboxAuto sandboxMode = "auto" // all that the kernel lets it
	sandboxOff  sandboxMode = "off"
)

func parseSandbox(s string) (sandboxMode, error) {
	switch mode := sandboxMode(s); mode {
	case sandboxAuto, sandboxOff:
		return mode, nil
	}
	return "", errors.New("want auto or off")
}

// parseUser reads USER or USER:GROUP. Whether there are such is found out where the daemon is started.
func parseUser(s string) (string, error) {
	user, group, hasGroup := strings.Cut(s, ":")
	if user == "" || hasGroup && (group == "" || strings.Contains(group, ":")) {
		return "", errors.New("want the name or the number of a user, and of a group after a colon if it is not the user's own")
	}
	return s, nil
}
