//go:build linux && interop

package interop_test

import (
	"encoding/binary"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"
)

// stranger opens a connection to a node and speaks enough of Monero's protocol to send bytes that a node
// reads and passes over: it never shakes hands. It leaves with the test.
func stranger(t *testing.T, from, to string, payload int) {
	t.Helper()
	dialer := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}, Timeout: 10 * time.Second}
	c, err := dialer.DialContext(t.Context(), "tcp", to)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	message := make([]byte, strangerHeader+payload)
	binary.LittleEndian.PutUint64(message, 0x0101010101012101) // the protocol's mark
	binary.LittleEndian.PutUint64(message[8:], uint64(payload))
	binary.LittleEndian.PutUint32(message[25:], 0x4|0x8) // flags: first and last of a noise message
	binary.LittleEndian.PutUint32(message[29:], 1)       // the protocol's version
	if _, err := c.Write(message); err != nil {
		t.Fatal(err)
	}
}

const (
	strangerHeader  = 33
	strangerPayload = 200_000 // below what a node takes before the handshake
)

// A link-local address has a zone, which monerod tells.
func testLinkLocalPeer(t *testing.T, node *monerod, ask func(*monerod) ([]record, error)) {
	stranger(t, "", fmt.Sprintf("[fe80::1%%lo]:%d", node.p2pPort), 100)
	ofPeer := func(records []record) record {
		for _, r := range records {
			if strings.Contains(r.text("address"), "fe80::1") {
				return r
			}
		}
		return nil
	}
	eventually(t, 10*time.Second, func() (bool, string) {
		theirs := ofPeer(must[[]record](t)(node.connections("{}")))
		return theirs != nil && theirs.text("recv_count") == fmt.Sprint(strangerHeader+100), "monerod's record of the link-local peer"
	})
	theirs := ofPeer(must[[]record](t)(node.connections("{}")))
	ours := ofPeer(must[[]record](t)(ask(node)))
	if theirs == nil || ours == nil {
		t.Fatalf("monerod's record %v, ours %v", theirs, ours)
	}
	for _, field := range []string{"address", "address_type", "host", "incoming", "local_ip", "localhost", "recv_count", "send_count"} {
		if v := compareField(field, theirs, ours); v != equal {
			t.Errorf("%s: monerod has %s, connectionsd has %s", field, quoted(theirs, field), quoted(ours, field))
		}
	}
}
