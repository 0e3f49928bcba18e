//go:build linux && interop

package interop_test

import (
	"fmt"
	"net"
	"slices"
	"testing"
	"time"
)

// The two nodes. The first listens on all addresses, the second on one of each
// family, and each is told to connect to the other. monerod takes no second
// connection from an address that it has one with, so no two are alike.
const (
	firstP2P, firstRPC, firstZMQ = 28080, 28081, 28082
	secondP2P, secondRPC         = 18080, 18081
)

// firstConnects and secondConnects are the hosts that a node connects to.
var (
	firstConnects  = []string{"10.1.0.2", "fd00::2"}
	secondConnects = []string{"127.0.0.1", "172.16.0.1", "192.168.1.1", "198.51.100.1", "::1", "2001:db8::1"}
)

func exclusive(connects []string, port int) (args []string) {
	for _, host := range connects {
		args = append(args, "--add-exclusive-node", net.JoinHostPort(host, fmt.Sprint(port)))
	}
	return args
}

func startFirst(t *testing.T, data string) *monerod {
	t.Helper()
	return startMonerod(t, data, firstP2P, firstRPC, append(exclusive(firstConnects, secondP2P),
		"--p2p-bind-ip", "0.0.0.0", "--p2p-use-ipv6", "--p2p-bind-ipv6-address", "::", "--p2p-bind-port-ipv6", fmt.Sprint(firstP2P),
		"--zmq-rpc-bind-port", fmt.Sprint(firstZMQ))...)
}

func startSecond(t *testing.T, data string) *monerod {
	t.Helper()
	return startMonerod(t, data, secondP2P, secondRPC, append(exclusive(secondConnects, firstP2P),
		"--p2p-bind-ip", "10.1.0.2", "--p2p-use-ipv6", "--p2p-bind-ipv6-address", "fd00::2", "--p2p-bind-port-ipv6", fmt.Sprint(secondP2P),
		"--no-zmq")...)
}

// peers are the hosts that a node has connections with.
type peers struct{ incoming, outgoing []string }

// waitConnected waits until the node has just these connections, all past the
// handshake, and those of strangers.
func waitConnected(t *testing.T, node *monerod, want peers, strangers ...string) {
	t.Helper()
	expected := append(prefixed("in ", want.incoming), prefixed("out ", want.outgoing)...)
	expected = append(expected, prefixed("in ", strangers)...)
	slices.Sort(expected)
	eventually(t, time.Minute, func() (bool, string) {
		records, err := node.connections("{}")
		if err != nil {
			return false, err.Error()
		}
		var got []string
		for _, r := range records {
			if r.text("state") != "normal" && !slices.Contains(strangers, r.text("host")) {
				return false, fmt.Sprintf("%s is in state %s", r.text("address"), r.text("state"))
			}
			direction := "out "
			if r["incoming"] == true {
				direction = "in "
			}
			got = append(got, direction+r.text("host"))
		}
		slices.Sort(got)
		return slices.Equal(got, expected), fmt.Sprintf("connections %q, want %q", got, expected)
	})
}

func prefixed(prefix string, words []string) (all []string) {
	for _, w := range words {
		all = append(all, prefix+w)
	}
	return all
}

// mineAndSpread mines on one node and waits until another has the blocks.
func mineAndSpread(t *testing.T, on, to *monerod, blocks int) {
	t.Helper()
	on.mine(t, blocks)
	want := must[int](t)(on.height())
	eventually(t, time.Minute, func() (bool, string) {
		height, err := to.height()
		if err != nil {
			return false, err.Error()
		}
		return height == want, fmt.Sprintf("height %d, want %d", height, want)
	})
}
