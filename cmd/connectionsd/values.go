package main

import (
	"errors"
	"fmt"
	"math"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"github.com/rs/zerolog"

	"github.com/connectionsd/connectionsd/collector"
)

// These parsers of values say in their error what they want; who calls them adds where the text comes from.

// parseBindIP reads an IP address, or none. An IPv4 address written as IPv6 (::ffff:127.0.0.1) is the IPv4 one.
func parseBindIP(s string) (netip.Addr, error) {
	if s == "none" {
		return netip.Addr{}, nil
	}
	ip, err := netip.ParseAddr(s)
	if err != nil {
		return netip.Addr{}, errors.New("want an IP address such as 127.0.0.1 or ::1, or none")
	}
	return ip.Unmap(), nil
}

func parsePort(s string) (uint16, error) { return parsePortOr(s, "any free port") }

func parseScope(s string) (uint16, error) { return parsePortOr(s, "the whole host") }

// parsePortOr reads a port, or 0, which means otherwise.
func parsePortOr(s, otherwise string) (uint16, error) {
	port, err := strconv.ParseUint(s, 10, 16)
	if err != nil {
		return 0, fmt.Errorf("want a port from 1 to 65535 (0: %s)", otherwise)
	}
	return uint16(port), nil
}

func parseBool(s string) (bool, error) {
	switch s {
	case "1", "true":
		return true, nil
	case "0", "false":
		return false, nil
	}
	return false, errors.New("want 1, 0, true or false")
}

func parseRate(s string) (float64, error) {
	rate, err := strconv.ParseFloat(s, 64)
	// ParseFloat knows NaN and infinity, which are no rates.
	if err != nil || rate < 0 || math.IsNaN(rate) || math.IsInf(rate, 0) {
		return 0, errors.New("want a number of requests a second, 0 or more (0: no limit)")
	}
	return rate, nil
}

func parseBurst(s string) (int, error) {
	return parseCount(s, 1, "want a whole number from 1 to 2147483647")
}

func parseConnections(s string) (int, error) {
	return parseCount(s, 1, "want a whole number of connections from 1 to 2147483647")
}

func parseConnectionsPerIP(s string) (int, error) {
	return parseCount(s, 0, "want a whole number of connections from 0 to 2147483647 (0: no limit)")
}

// parseCount reads a number of 31 bits that is not below least.
func parseCount(s string, least int64, want string) (int, error) {
	n, err := strconv.ParseInt(s, 10, 32)
	if err != nil || n < least {
		return 0, errors.New(want)
	}
	return int(n), nil
}

// parsePrefix reads an address range (10.0.0.0/8) or one address. Bits beyond the prefix are cleared, and a range of IPv4
// addresses written as IPv6 is the IPv4 one: netip.Prefix.Contains would never match it.
func parsePrefix(s string) (netip.Prefix, error) {
	want := errors.New("want an address range such as 10.0.0.0/8, or one IP address")
	prefix, err := netip.ParsePrefix(s)
	if err != nil {
		ip, err := netip.ParseAddr(s)
		if err != nil || ip.Zone() != "" {
			return netip.Prefix{}, want
		}
		prefix = netip.PrefixFrom(ip, ip.BitLen())
	}
	if ip := prefix.Addr(); ip.Is4In6() {
		if prefix.Bits() < 96 {
			return netip.Prefix{}, want
		}
		prefix = netip.PrefixFrom(ip.Unmap(), prefix.Bits()-96)
	}
	return prefix.Masked(), nil
}

// parseFile reads the name of a file that protects the daemon, which is why there is no empty one.
func parseFile(s string) (string, error) {
	if s == "" {
		return "", errors.New("want the name of a file")
	}
	return s, nil
}

// bpfMode says whether BPF finds the owners of sockets.
type bpfMode string

const (
	bpfAuto bpfMode = "auto"
	bpfOn   bpfMode = "on"
	bpfOff  bpfMode = "off"
)

func parseBPF(s string) (bpfMode, error) {
	switch mode := bpfMode(s); mode {
	case bpfAuto, bpfOn, bpfOff:
		return mode, nil
	}
	return "", errors.New("want auto, on or off")
}

// defaultContainerAPIs are where the packages of Docker and Podman put their
// sockets.
const defaultContainerAPIs = "unix:///run/docker.sock,unix:///run/podman/podman.sock"

// noContainerAPI is the one that is none.
const noContainerAPI = "none"

// parseContainerAPI reads the URL of a unix socket, or none.
func parseContainerAPI(s string) (string, error) {
	if path, ok := strings.CutPrefix(s, "unix://"); ok && strings.HasPrefix(path, "/") || s == noContainerAPI {
		return s, nil
	}
	return "", errors.New("want the URL of a socket such as unix:///run/docker.sock, or none")
}

// parseNetNS takes self, all or a name as ip-netns(8) allows it.
func parseNetNS(s string) (collector.NetNS, error) {
	switch {
	case s == "self":
		return collector.NetNS{}, nil
	case s == "all":
		return collector.NetNS{All: true}, nil
	case s == "", s == ".", s == "..", strings.ContainsRune(s, '/'), len(s) > 255:
		return collector.NetNS{}, errors.New("want all, self, or the name of a network namespace under /run/netns")
	default:
		return collector.NetNS{Name: s}, nil
	}
}

func parseHeight(s string) (uint64, error) {
	height, err := strconv.ParseUint(s, 10, 64)
	if err != nil {
		return 0, errors.New("want a whole number from 0 to 18446744073709551615")
	}
	return height, nil
}

func parseLogLevel(s string) (zerolog.Level, error) {
	levels := []zerolog.Level{zerolog.TraceLevel, zerolog.DebugLevel, zerolog.InfoLevel, zerolog.WarnLevel, zerolog.ErrorLevel}
	i := slices.IndexFunc(levels, func(l zerolog.Level) bool { return l.String() == s })
	if i < 0 {
		return 0, errors.New("want trace, debug, info, warn or error")
	}
	return levels[i], nil
}

func parseLogFormat(s string) (logFormat, error) {
	switch f := logFormat(s); f {
	case logAuto, logJSON, logConsole:
		return f, nil
	}
	return "", errors.New("want auto, json or console")
}

// parseAccessLog reads of how many requests one is logged, 0 for none.
func parseAccessLog(s string) (int, error) {
	switch s {
	case "off":
		return 0, nil
	case "all":
		return 1, nil
	}
	return parseCount(s, 1, "want off, all, or a whole number from 1 to 2147483647: one of so many requests")
}
