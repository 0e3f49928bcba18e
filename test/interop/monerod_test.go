//go:build linux && interop

package interop_test

import (
	"encoding/json"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"
	"time"
)

// monerod is a running node with a chain of its own.
type monerod struct {
	*process
	*client
	p2pPort int
}

// startMonerod starts a node that listens for peers on p2pPort and for RPC on
// 127.0.0.1:rpcPort, with its data in the directory data, and waits until it
// answers.
func startMonerod(t *testing.T, data string, p2pPort, rpcPort int, args ...string) *monerod {
	t.Helper()
	path, err := exec.LookPath("monerod")
	if err != nil {
		t.Fatalf("%v: run test/interop/setup first", err)
	}
	cmd := exec.Command(path, append([]string{
		"--regtest", "--fixed-difficulty", "1", "--non-interactive", "--no-igd", "--hide-my-port", "--allow-local-ip",
		"--check-updates", "disabled", "--disable-dns-checkpoints", "--disable-rpc-ban",
		"--rpc-ssl", "disabled", // else it makes a key for many seconds
		"--data-dir", data, "--p2p-bind-port", strconv.Itoa(p2pPort), "--rpc-bind-port", strconv.Itoa(rpcPort),
	}, args...)...)
	node := &monerod{p2pPort: p2pPort, client: newClient(t, fmt.Sprintf("http://127.0.0.1:%d", rpcPort))}
	node.process = start(t, cmd, filepath.Join(t.TempDir(), "monerod.log"))
	eventually(t, time.Minute, func() (bool, string) {
		if !node.running() {
			t.Fatalf("monerod ended: %s", node.said())
		}
		// By its port, since a node with a login does not say more.
		c, err := net.Dial("tcp4", fmt.Sprintf("127.0.0.1:%d", rpcPort))
		if err != nil {
			return false, err.Error()
		}
		return c.Close() == nil, ""
	})
	return node
}

// height is the height of the node's chain.
func (n *monerod) height() (int, error) {
	text, err := n.post("/get_height", "")
	if err != nil {
		return 0, err
	}
	var answer struct{ Height int }
	err = json.Unmarshal(text, &answer)
	return answer.Height, err
}

// mine adds blocks to the chain, which the node tells its peers of.
func (n *monerod) mine(t *testing.T, blocks int) {
	t.Helper()
	const wallet = "42ey1afDFnn4886T7196doS9GPMzexD9gXpsZJDwVjeRVdFCSoHnv7KPbBeGpzJBzHRCAs9UxqeoyFQMYbqSWYTfJJQAWDm"
	_, err := n.call("generateblocks", fmt.Sprintf(`{"amount_of_blocks":%d,"wallet_address":%q}`, blocks, wallet))
	if err != nil {
		t.Fatal(err)
	}
}
