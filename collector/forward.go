package collector

import (
	"net/netip"
	"strconv"
)

// isForwarder reports whether a program of that name listens on the host for
// ports of containers: docker-proxy for one each, which its arguments tell, the
// others for those that the engine says it has published.
func isForwarder(name string) bool {
	switch name {
	case dockerProxy, "rootlessport", "rootlesskit", "conmon", "slirp4netns", "pasta", "pasta.avx2":
		return true
	default:
		return false
	}
}

const dockerProxy = "docker-proxy"

// proxyTarget reads from the arguments of docker-proxy to where it forwards:
// -container-ip and -container-port (cmd/docker-proxy of Moby).
func proxyTarget(args []string) (netip.AddrPort, bool) {
	var ip netip.Addr
	var port uint64
	for i := 1; i+1 < len(args); i += 2 {
		var err error
		switch args[i] {
		case "-container-ip":
			ip, err = netip.ParseAddr(args[i+1])
		case "-container-port":
			port, err = strconv.ParseUint(args[i+1], 10, 16)
		case "-use-listen-fd": // has no value
			i--
		}
		if err != nil {
			return netip.AddrPort{}, false
		}
	}
	return netip.AddrPortFrom(ip.Unmap(), uint16(port)), ip.IsValid() && port != 0
}
