//go:build linux && interop

package interop_test

import (
	"fmt"
	"maps"
	"net"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestNodes compares the records of two nodes with ours.
func TestNodes(t *testing.T) {
	hosts(t)
	// Before the nodes, so that the ages of their connections are known.
	host := newClient(t, serve(t).url)
	ofPort := make(map[int]*client)
	for _, port := range []int{firstP2P, secondP2P} {
		ofPort[port] = newClient(t, serve(t, "--scope", fmt.Sprint(port)).url)
	}
	firstData, secondData := t.TempDir(), t.TempDir()
	first, second := startFirst(t, firstData), startSecond(t, secondData)
	ofFirst := peers{incoming: secondConnects, outgoing: firstConnects}
	ofSecond := peers{incoming: firstConnects, outgoing: secondConnects}
	waitConnected(t, first, ofFirst)
	waitConnected(t, second, ofSecond)
	stranger(t, "127.0.0.9", fmt.Sprintf("127.0.0.1:%d", firstP2P), strangerPayload)
	waitConnected(t, first, ofFirst, "127.0.0.9")
	mineAndSpread(t, first, second, 10)

	nodes := map[string]*monerod{"first": first, "second": second}
	byParameter := func(n *monerod) ([]record, error) {
		return host.connections(fmt.Sprintf(`{"scope":%d}`, n.p2pPort))
	}
	byFlag := func(n *monerod) ([]record, error) {
		return ofPort[n.p2pPort].connections("{}")
	}

	t.Run("other ports", func(t *testing.T) { testOtherPorts(t, host, first) })
	t.Run("parameter", func(t *testing.T) { compareNodes(t, nodes, byParameter, true) })
	t.Run("flag", func(t *testing.T) { compareNodes(t, nodes, byFlag, false) })
	t.Run("companions", func(t *testing.T) { testCompanions(t, nodes, ofPort) })
	t.Run("link-local peer", func(t *testing.T) { testLinkLocalPeer(t, first, byParameter) })
	t.Run("restart", func(t *testing.T) {
		second.stop(t)
		for name, ask := range map[string]func(*monerod) ([]record, error){"parameter": byParameter, "flag": byFlag} {
			if records, err := ask(second); err != nil || len(records) != 0 {
				t.Errorf("%s: %d records, %v, of a port that nobody listens on, want none", name, len(records), err)
			}
		}
		again := startSecond(t, secondData)
		waitConnected(t, again, ofSecond)
		waitConnected(t, first, ofFirst, "127.0.0.9")
		mineAndSpread(t, again, first, 5)
		nodes := map[string]*monerod{"first": first, "second": again}
		t.Run("parameter", func(t *testing.T) { compareNodes(t, nodes, byParameter, false) })
		t.Run("flag", func(t *testing.T) { compareNodes(t, nodes, byFlag, false) })
	})
}

// compareNodes compares every record of every node with ours. It prints the
// table, or only its counts and what is wrong.
func compareNodes(t *testing.T, nodes map[string]*monerod, ask func(*monerod) ([]record, error), whole bool) {
	t.Helper()
	var rows []comparison
	for _, name := range slices.Sorted(maps.Keys(nodes)) {
		theirs, ours := atRest(t, nodes[name], ask)
		for address, record := range theirs {
			if ours[address] == nil {
				t.Errorf("%s node: monerod has a connection with %s, connectionsd has not", name, address)
				continue
			}
			rows = append(rows, compareRecords(name, record, ours[address])...)
		}
		for address := range ours {
			if theirs[address] == nil {
				t.Errorf("%s node: connectionsd has a connection with %s, monerod has not", name, address)
			}
		}
	}
	slices.SortStableFunc(rows, func(a, b comparison) int { return strings.Compare(a.node+a.connection, b.node+b.connection) })
	bad := slices.DeleteFunc(slices.Clone(rows), func(r comparison) bool { return r.verdict != wrong })
	if whole {
		printTable(t.Output(), rows)
		t.Log("Why there are differences:")
		for _, field := range slices.Sorted(maps.Keys(fieldDifferences)) {
			t.Logf("%s: %s", field, fieldDifferences[field])
		}
	}
	t.Logf("%d fields compared: %s", len(rows), count(rows))
	if len(bad) > 0 {
		t.Errorf("%d fields are wrong:", len(bad))
		printTable(t.Output(), bad)
	}
}

// atRest asks us, the node and us again, until our two answers agree on the
// bytes and no connection has carried any for some seconds: then nothing was on
// its way while the node answered. It returns the node's records and our later
// ones, by address.
//
// It asks late in a second of the wall clock. monerod takes the difference of
// two whole seconds, which just after a tick is up to one too many; the quarter
// of a second between our looks at the kernel must not come on top of that.
func atRest(t *testing.T, node *monerod, ask func(*monerod) ([]record, error)) (theirs, ours map[string]record) {
	t.Helper()
	eventually(t, time.Minute, func() (bool, string) {
		before, err := ask(node)
		if err != nil {
			t.Fatal(err)
		}
		asked := time.Now()
		between := must[[]record](t)(node.connections("{}"))
		if asked.Nanosecond() < 4e8 || time.Now().Unix() != asked.Unix() {
			return false, "a moment late in a second"
		}
		after, err := ask(node)
		if err != nil {
			t.Fatal(err)
		}
		theirs, ours = byAddress(t, between), byAddress(t, after)
		if !maps.EqualFunc(byAddress(t, before), ours, func(a, b record) bool {
			return a.text("recv_count") == b.text("recv_count") && a.text("send_count") == b.text("send_count") &&
				a.text("connection_id") == b.text("connection_id")
		}) {
			return false, "two equal answers of connectionsd, one before and one after monerod's"
		}
		for address, r := range ours {
			received, _ := r.number("recv_idle_time")
			sent, _ := r.number("send_idle_time")
			if received < 3 || sent < 3 {
				return false, "the connection with " + address + " to be idle"
			}
		}
		return true, ""
	})
	return theirs, ours
}

// byAddress are the records by remote address, which is one of each.
func byAddress(t *testing.T, records []record) map[string]record {
	t.Helper()
	all, ids := make(map[string]record), make(map[string]bool)
	for _, r := range records {
		address, id := r.text("address"), r.text("connection_id")
		if all[address] != nil || ids[id] {
			t.Fatalf("two records of %s, or with connection_id %s", address, id)
		}
		all[address], ids[id] = r, true
	}
	return all
}

// Clients of a node's RPC and ZMQ ports are connections of the host, not of the
// node.
func testOtherPorts(t *testing.T, host *client, node *monerod) {
	for name, port := range map[string]int{"RPC": firstRPC, "ZMQ": firstZMQ} {
		t.Run(name, func(t *testing.T) {
			c, err := net.Dial("tcp4", fmt.Sprintf("127.0.0.1:%d", port))
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			own := c.LocalAddr().String() // the remote address of the node's end
			eventually(t, 10*time.Second, func() (bool, string) {
				all, err := host.connections(fmt.Sprintf(`{"local_port":%d}`, port))
				if err != nil {
					t.Fatal(err)
				}
				return byAddress(t, all)[own] != nil, "the connection with " + own + " in the answer for the host"
			})
			scoped, err := host.connections(fmt.Sprintf(`{"scope":%d}`, node.p2pPort))
			if err != nil {
				t.Fatal(err)
			}
			if r := byAddress(t, scoped)[own]; r != nil {
				t.Errorf("the answer for the node has %v", r)
			}
			if want := len(secondConnects) + len(firstConnects) + 1; len(scoped) != want {
				t.Errorf("%d records, want %d", len(scoped), want)
			}
		})
	}
}
