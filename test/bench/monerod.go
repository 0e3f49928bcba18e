//go:build linux

package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
)

// The nodes: the first, which is asked, connects to the two others.
const (
	nodeP2P = 28080
	nodeRPC = 28081
)

// nodes are monerods with a chain of their own.
type nodes struct {
	dir     string
	running []*process
	asked   string // address of the RPC server of the first
}

// startNodes starts a monerod and two peers of it, and returns when they are
// connected.
func startNodes(ctx context.Context, monerod string) (_ *nodes, err error) {
	dir, err := os.MkdirTemp("", "connectionsd-bench-")
	if err != nil {
		return nil, fmt.Errorf("make a place for monerod: %w", err)
	}
	n := &nodes{dir: dir, asked: net.JoinHostPort("127.0.0.1", fmt.Sprint(nodeRPC))}
	defer func() {
		if err != nil {
			n.close()
		}
	}()
	limits, err := rpcLimits(ctx, monerod)
	if err != nil {
		return nil, err
	}
	// A node takes one connection from an address, so that each has its own.
	peers := []string{"127.0.0.2", "127.0.0.3"}
	for _, peer := range peers {
		if err := n.start(ctx, monerod, peer, "--out-peers", "0"); err != nil {
			return nil, err
		}
	}
	args := limits
	for _, peer := range peers {
		args = append(args, "--add-exclusive-node", net.JoinHostPort(peer, fmt.Sprint(nodeP2P)))
	}
	if err := n.start(ctx, monerod, "127.0.0.1", args...); err != nil {
		return nil, err
	}
	return n, n.first().await(ctx, func() error { return n.connected(ctx, len(peers)) })
}

// start starts one node at an address.
func (n *nodes) start(ctx context.Context, monerod, address string, args ...string) error {
	p, err := start(ctx, nil, monerod, append([]string{
		"--regtest", "--fixed-difficulty", "1", "--non-interactive", "--no-igd", "--hide-my-port", "--allow-local-ip", "--no-zmq",
		"--check-updates", "disabled", "--disable-dns-checkpoints", "--disable-rpc-ban", "--rpc-ssl", "disabled",
		"--data-dir", filepath.Join(n.dir, address), "--p2p-bind-ip", address, "--p2p-bind-port", fmt.Sprint(nodeP2P),
		"--rpc-bind-ip", address, "--rpc-bind-port", fmt.Sprint(nodeRPC),
	}, args...)...)
	if err != nil {
		return err
	}
	n.running = append(n.running, p)
	return nil
}

// first returns the node that is asked.
func (n *nodes) first() *process { return n.running[len(n.running)-1] }

// rpcLimits returns flags that let a monerod take as many clients as are
// wanted, if it is one that limits them.
func rpcLimits(ctx context.Context, monerod string) (args []string, err error) {
	help, err := exec.CommandContext(ctx, monerod, "--help").CombinedOutput()
	if err != nil {
		return nil, fmt.Errorf("%s --help: %w", monerod, err)
	}
	for _, flag := range []string{"--rpc-max-connections-per-public-ip", "--rpc-max-connections-per-private-ip", "--rpc-max-connections"} {
		if bytes.Contains(help, []byte(flag+" ")) {
			args = append(args, flag, "1000")
		}
	}
	return args, nil
}

// connected reports with an error that the first node has not yet so many
// peers.
func (n *nodes) connected(ctx context.Context, peers int) error {
	c, err := dial(ctx, n.asked)
	if err != nil {
		return err
	}
	defer c.close()
	answer, err := c.read(call(getConnections))
	if err != nil {
		return err
	}
	if normal := bytes.Count(answer, []byte(`"state": "normal"`)); normal != peers {
		return fmt.Errorf("%d peers, want %d", normal, peers)
	}
	return nil
}

// close ends the nodes and removes what they wrote.
func (n *nodes) close() error {
	for _, p := range n.running {
		p.stop()
	}
	return os.RemoveAll(n.dir)
}
