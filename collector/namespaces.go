//go:build linux

package collector

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/connectionsd/connectionsd/collector/link"
	"github.com/connectionsd/connectionsd/collector/netns"
	"github.com/connectionsd/connectionsd/collector/sockdiag"
	"github.com/connectionsd/connectionsd/model"
)

// rescanEvery is how often namespaces are looked for: one that is new is
// collected that much later at most. A look costs some microseconds for each
// process of the host, which is more than the dump of an idle namespace.
const rescanEvery = 500 * time.Millisecond

// namespaces are those that are collected, each with netlink sockets that stay
// in it. They keep a namespace alive that has gone otherwise, until the next look.
type namespaces struct {
	want NetNS
	self uint32
	list func() ([]netns.Namespace, error)
	// own makes dumps of the daemon's own namespace, and lends its memory to
	// those of the others.
	own        *sockdiag.Dumper
	ownAgain   *sockdiag.Dumper // looks up single connections while own dumps
	ownLinks   *link.Links
	linksAhead *link.Links // tells the addresses of the own namespace while that is dumped
	ownBuckets buckets
	ownCounts  counting
	others     map[uint32]*namespace
	// refused are those that could not be entered for want of privilege.
	refused map[uint32]bool
	names   map[uint32]string
	// dumped are those that the latest dump has, and total is how many sockets it
	// had if it was of all.
	dumped []uint32
	total  int
	place  lostPlace // of the dump under way
	// parts is whether the kernel makes two dumps at the same time, and parted whether
	// it did so for the latest.
	parts, parted bool

	scanned     time.Duration
	everScanned bool
}

// namespace is one that is not the daemon's own.
type namespace struct {
	at      netns.Namespace // by the latest look: the process that it was found by may have ended since
	dumper  *sockdiag.Dumper
	again   *sockdiag.Dumper // as ownAgain
	links   *link.Links
	buckets buckets // known once it was entered
	counts  counting
}

func (n *namespace) close() {
	n.dumper.Close()
	n.again.Close()
	n.links.Close()
	n.counts.close()
}

func newNamespaces(want NetNS, self uint32, own *sockdiag.Dumper) *namespaces {
	ownBuckets := buckets{}
	ownBuckets.n, ownBuckets.shared = readBuckets()
	n := &namespaces{
		want: want, self: self, own: own, ownLinks: link.New(link.Dial), linksAhead: link.New(link.Dial), ownBuckets: ownBuckets,
		ownAgain: own.Another(), ownCounts: counting{open: newCounters}, parts: sockdiag.AtTheSameTime(),
		list:    func() ([]netns.Namespace, error) { return netns.List("/proc", netns.RunDir) },
		others:  make(map[uint32]*namespace),
		refused: make(map[uint32]bool),
	}
	n.ownBuckets.count = n.ownCounts.count
	return n
}

// dump appends the sockets of all namespaces that only says to dst, and those that
// listen, and tells join of them. hurry is whether it may take two processors.
// unsettled reports whether sockets have come or gone lately, those of the dump that
// is under way included.
func (n *namespaces) dump(ctx context.Context, now time.Duration, dst []model.Socket, only sockdiag.Only, hurry bool, unsettled func() bool, join sockdiag.Join) ([]model.Socket, error) {
	n.dumped, n.parted = n.dumped[:0], false
	if err := n.rescan(now); err != nil {
		return dst, err
	}
	var err error
	if n.want.Name == "" {
		if dst, err = n.dumpOne(ctx, n.own, &n.ownBuckets, now, dst, only, hurry, unsettled, join); err != nil {
			return dst, err
		}
		n.dumped = append(n.dumped, n.self)
	}
	for inode, other := range n.others {
		runtime.Gosched() // each can be a walk of a large table, and Go may have one processor
		dst, err = n.dumpOne(ctx, other.dumper, &other.buckets, now, dst, only, hurry, unsettled, join)
		switch {
		case err == nil:
			n.dumped = append(n.dumped, inode)
		case left(err):
			n.drop(inode)
		case errors.Is(err, unix.EPERM):
			n.drop(inode)
			n.refused[inode] = true
		default:
			return dst, fmt.Errorf("network namespace %d: %w", inode, err)
		}
	}
	if only.All() {
		n.total = len(dst)
	}
	return dst, nil
}

// dumpOne appends the sockets of one namespace. Where only says none of those that
// listen, it has them first, as a dump of all has: they tell who opened the
// connections. Where one may have been passed over, and some may have been closed
// meanwhile, it makes several dumps, of which join takes out what is repeated. Of
// a part nobody can tell whether some were closed.
func (n *namespaces) dumpOne(ctx context.Context, d *sockdiag.Dumper, in *buckets, now time.Duration, dst []model.Socket, only sockdiag.Only, hurry bool, unsettled func() bool, join sockdiag.Join) ([]model.Socket, error) {
	before := len(dst)
	if !only.HasListeners() {
		var err error
		if dst, err = d.Dump(ctx, dst, sockdiag.OnlyListeners(), join); err != nil {
			return dst, err
		}
	}
	if only == sockdiag.OnlyListeners() {
		return d.Dump(ctx, dst, only, join)
	}
	n.place = lostPlace{
		join: join, lookUp: func(s *model.Socket) (bool, error) { _, found, err := n.lookUpAgain(ctx, s); return found, err },
		depth: in.depth(n.total), atOnce: in.dumps(n.total) == 1 && (!only.All() || unsettled()),
		began: len(dst), ends: n.place.ends[:0],
	}
	defer func() { n.place = lostPlace{ends: n.place.ends} }() // it would keep what join and ctx lead to
	asked := only
	if only.All() && n.canPart(in) && in.begin(now) && hurry {
		asked = only.Parted(in.parting)
	}
	dst, err := d.Dump(ctx, dst, asked, n.place.watch)
	if err != nil {
		return dst, err
	}
	again := d.InParts() && in.manyLeft()
	n.parted = n.parted || d.InParts()
	fewer := true
	if only.All() {
		connections := dst[before+listening(dst[before:]):]
		fewer = len(connections) < in.connections
		in.sockets, in.connections = len(dst)-before, len(connections)
		if in.sockets >= manyToPart && n.parts {
			in.parting = in.parting.Anew(connections)
		}
	}
	if !fewer && !again && !unsettled() {
		return dst, nil
	}
	dumps := in.dumps(max(n.total, len(dst)))
	if again {
		dumps = max(dumps, 2)
	}
	if dumps == 1 {
		if n.place.lookBack(dst); n.place.maybe {
			dumps = 2
		}
	}
	for range dumps - 1 {
		if dst, err = d.Dump(ctx, dst, only, join); err != nil {
			return dst, err
		}
	}
	return dst, nil
}

// isUnread reports whether a namespace is collected and the latest dump, which
// failed, has not all of it.
func (n *namespaces) isUnread(inode uint32) bool {
	return n.dumper(inode) != nil && !slices.Contains(n.dumped, inode)
}

// listening returns how many of the sockets of a dump listen, which come first.
func listening(sockets []model.Socket) (n int) {
	for n < len(sockets) && sockets[n].State == model.Listen {
		n++
	}
	return n
}

// lookUpAgain returns a connection of a dump that may be under way, as it is
// now. found is false if it is gone.
func (n *namespaces) lookUpAgain(ctx context.Context, s *model.Socket) (now model.Socket, found bool, err error) {
	again := n.ownAgain
	if other := n.others[s.NetNS]; other != nil {
		again = other.again
	}
	var list [1]model.Socket
	got, err := again.Lookup(ctx, sockdiag.IDOf(s), list[:0])
	if err != nil || len(got) == 0 {
		return now, false, err
	}
	return got[0], true, nil
}

// left reports whether err means that a namespace is no longer where it was. The
// kernel says ENOENT too where it cannot dump TCP sockets (no tcp_diag).
func left(err error) bool {
	var path *os.PathError
	isOfPath := errors.As(err, &path)
	return errors.Is(err, netns.ErrOther) || isOfPath && (errors.Is(path, os.ErrNotExist) || errors.Is(path, unix.ESRCH))
}

// rescan looks for namespaces that came and went, if it is time to.
func (n *namespaces) rescan(now time.Duration) error {
	if n.want == (NetNS{}) || n.everScanned && now-n.scanned < rescanEvery {
		return nil
	}
	list, err := n.list()
	if err != nil {
		return fmt.Errorf("look for network namespaces: %w", err)
	}
	n.scanned, n.everScanned = now, true
	there := make(map[uint32]bool, len(list))
	names := make(map[uint32]string)
	for _, ns := range list {
		wanted := n.want.Name == ns.Name && ns.Name != ""
		if _, named := names[ns.Inode]; !named || wanted {
			names[ns.Inode] = label(ns)
		}
		if ns.Inode == n.self && n.want.All || n.want.Name != "" && !wanted {
			continue
		}
		if other := n.others[ns.Inode]; other != nil && !there[ns.Inode] {
			other.at = ns
		} else if other == nil && !n.refused[ns.Inode] {
			n.others[ns.Inode] = n.newNamespace(ns)
		}
		there[ns.Inode] = true
	}
	for inode := range n.others {
		if !there[inode] {
			n.drop(inode)
		}
	}
	for inode := range n.refused {
		if !there[inode] {
			delete(n.refused, inode)
		}
	}
	n.names = names // the snapshots before keep the map that they were given
	return nil
}

func (n *namespaces) newNamespace(at netns.Namespace) *namespace {
	other := &namespace{at: at}
	dial := func() (sockdiag.Conn, error) { return dialIn(other.at, &other.buckets) }
	other.dumper, other.again = n.own.Sibling(dial, at.Inode), n.ownAgain.Sibling(dial, at.Inode)
	other.counts.open = func() *counters { return countersIn(other.at) }
	other.buckets.count = other.counts.count
	other.links = link.New(func() (*netlink.Handle, error) { return dialLinksIn(other.at) })
	return other
}

// label is what people call a namespace: its name, or what the links in
// /proc/PID/ns say of it.
func label(ns netns.Namespace) string {
	if ns.Name != "" {
		return ns.Name
	}
	return fmt.Sprintf("net:[%d]", ns.Inode)
}

// dialIn opens a netlink socket in a namespace, and sees how many buckets that
// has.
func dialIn(ns netns.Namespace, has *buckets) (conn sockdiag.Conn, err error) {
	err = netns.Do(ns, func() (err error) {
		has.n, has.shared = readBuckets()
		conn, err = sockdiag.Dial()
		return err
	})
	if err != nil && conn != nil {
		conn.Close()
		conn = nil
	}
	return conn, err
}

// countersIn opens those of a namespace, nil if it cannot be entered.
func countersIn(ns netns.Namespace) (c *counters) {
	err := netns.Do(ns, func() error {
		c = newCounters()
		return nil
	})
	if err != nil && c != nil {
		c.close()
		c = nil
	}
	return c
}

// dialLinksIn opens an rtnetlink socket in a namespace.
func dialLinksIn(ns netns.Namespace) (handle *netlink.Handle, err error) {
	err = netns.Do(ns, func() (err error) {
		handle, err = link.Dial()
		return err
	})
	if err != nil && handle != nil {
		handle.Close()
		handle = nil
	}
	return handle, err
}

// dumper returns that of a namespace that is collected, nil for another.
func (n *namespaces) dumper(inode uint32) *sockdiag.Dumper {
	if other := n.others[inode]; other != nil {
		return other.dumper
	}
	if inode == n.self && n.want.Name == "" {
		return n.own
	}
	return nil
}

// links returns the interfaces of a namespace that is known, nil for another.
func (n *namespaces) links(inode uint32) *link.Links {
	if inode == n.self {
		return n.ownLinks
	}
	if other := n.others[inode]; other != nil {
		return other.links
	}
	return nil
}

func (n *namespaces) drop(inode uint32) {
	n.others[inode].close()
	delete(n.others, inode)
}

func (n *namespaces) close() {
	n.own.Close()
	n.ownAgain.Close()
	n.ownLinks.Close()
	n.linksAhead.Close()
	n.ownCounts.close()
	for inode := range n.others {
		n.drop(inode)
	}
}
