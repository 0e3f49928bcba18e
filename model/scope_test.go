package model

import (
	"slices"
	"testing"
)

func TestScope(t *testing.T) {
	const p2p, rpcPort, zmq = 18080, 18081, 18082
	// Owners: 0 the node, 1 its worker that shares the P2P listener, 2 a stranger.
	snap := &Snapshot{
		Owners: []Owner{{PID: 10, Name: "monerod"}, {PID: 11, Name: "worker"}, {PID: 20, Name: "nginx"}},
		Shared: []SharedListener{{Inode: 1, Owner: 1}, {Inode: 3, Owner: 2}},
	}
	add := func(state TCPState, local uint16, incoming bool, owner int32) int {
		snap.Sockets = append(snap.Sockets, Socket{State: state, LocalPort: local, Inode: uint32(len(snap.Sockets) + 1)})
		snap.Known = append(snap.Known, Known{Incoming: incoming, Owner: owner})
		return len(snap.Sockets) - 1
	}
	add(Listen, p2p, false, 0)     // inode 1, shared with the worker
	add(Listen, rpcPort, false, 0) // inode 2
	add(Listen, 443, false, 2)     // inode 3, shared by the stranger with itself
	add(Listen, zmq, false, 1)     // inode 4
	add(Listen, 7000, false, NoOwner)

	type expectation struct {
		scope, rpc bool
	}
	want := map[int]expectation{
		add(Established, p2p, true, 0):          {true, false},
		add(Established, p2p, true, 1):          {true, false},
		add(Established, 50000, false, 0):       {true, false},
		add(CloseWait, 50001, false, 0):         {true, false},
		add(Established, rpcPort, true, 0):      {false, true},
		add(Established, zmq, true, 1):          {false, true},
		add(Established, rpcPort, false, 0):     {true, false}, // it opened this one, from that port
		add(SynSent, 50002, false, 0):           {false, false},
		add(SynRecv, p2p, true, NoOwner):        {false, false},
		add(Established, p2p, true, NoOwner):    {false, false}, // not accepted yet
		add(Established, 443, true, 2):          {false, false},
		add(Established, 50003, false, 2):       {false, false},
		add(Established, 50004, false, NoOwner): {false, false},
	}
	sc := snap.Scope(p2p)
	if !slices.Equal(sc.Owners, []int32{0, 1}) || !slices.Equal(sc.Others, []uint16{rpcPort, zmq}) || sc.Unseen {
		t.Errorf("scope %+v, want owners 0 and 1, other ports %d and %d", sc, rpcPort, zmq)
	}
	for i := range snap.Sockets {
		got := expectation{sc.Match(snap, i), sc.MatchRPC(snap, i)}
		if got != want[i] {
			t.Errorf("socket %d (%s on %d): %+v, want %+v", i, snap.Sockets[i].State, snap.Sockets[i].LocalPort, got, want[i])
		}
	}

	for i, want := range []bool{true, true, false, true, false} {
		if got := sc.MatchListener(snap, i); got != want {
			t.Errorf("listener %d: %v, want %v", i, got, want)
		}
	}

	if sc := snap.Scope(7000); !sc.Unseen || sc.Owners != nil {
		t.Errorf("scope of a listener whose owner is not known: %+v", sc)
	}
	if sc := snap.Scope(1); sc.Unseen || sc.Owners != nil {
		t.Errorf("scope of a port that nobody listens on: %+v", sc)
	}
}
