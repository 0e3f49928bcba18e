package container

import (
	"net/netip"
	"strings"

	engineapi "github.com/moby/moby/api/types/container"
)

// Bounds of what is kept of an engine's answer.
const (
	maxContainers = 10_000
	maxName       = 255
)

// describe returns what is kept of an engine's list of containers. One without
// a proper id or name is left out.
func describe(summaries []engineapi.Summary) []known {
	var list []known
	for i := range summaries {
		s := &summaries[i]
		name := ownName(s.Names)
		if !isID(s.ID) || name == "" {
			continue
		}
		if len(list) == maxContainers {
			break
		}
		list = append(list, known{id: s.ID, name: name, addresses: addressesOf(s), ports: publicationsOf(s.Ports)})
	}
	return list
}

// ownName returns the name of a container among those that an engine gives for
// it: a legacy link adds /OTHER/ALIAS.
func ownName(names []string) string {
	for _, name := range names {
		if name = strings.TrimPrefix(name, "/"); isName(name) {
			return name
		}
	}
	return ""
}

// isName reports whether Docker and Podman let a container be called so:
// [a-zA-Z0-9][a-zA-Z0-9_.-]*, here of bounded length.
func isName(name string) bool {
	for i := range len(name) {
		switch c := name[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9':
		case i > 0 && (c == '_' || c == '.' || c == '-'):
		default:
			return false
		}
	}
	return 0 < len(name) && len(name) <= maxName
}

func addressesOf(s *engineapi.Summary) []netip.Addr {
	if s.NetworkSettings == nil {
		return nil
	}
	var addresses []netip.Addr
	for _, end := range s.NetworkSettings.Networks {
		if end == nil {
			continue
		}
		for _, addr := range [...]netip.Addr{end.IPAddress, end.GlobalIPv6Address} {
			if addr.IsValid() && !addr.IsUnspecified() && !addr.IsLoopback() {
				addresses = append(addresses, addr.Unmap())
			}
		}
	}
	return addresses
}

func publicationsOf(ports []engineapi.PortSummary) []publication {
	var list []publication
	for _, p := range ports {
		if p.Type != "tcp" || p.PublicPort == 0 {
			continue
		}
		at := []netip.Addr{p.IP.Unmap().WithZone("")}
		if !p.IP.IsValid() { // Podman says nothing of a port that is published everywhere
			at = []netip.Addr{netip.IPv4Unspecified(), netip.IPv6Unspecified()}
		}
		for _, addr := range at {
			list = append(list, publication{at: netip.AddrPortFrom(addr, p.PublicPort), private: p.PrivatePort})
		}
	}
	return list
}
