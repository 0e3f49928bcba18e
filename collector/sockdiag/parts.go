//go:build linux

package sockdiag

import (
	"context"
	"fmt"
	"runtime"
	"slices"
	"sync"

	"golang.org/x/sys/unix"

	"github.com/connectionsd/connectionsd/model"
)

// Parting divides the connections of a dump into two parts that are dumped at the
// same time: those with a port between two, and the others. What a dump of many takes
// is the kernel's looking at each, which two processors do in little more than half
// the time, also where they share a core; each part costs a walk of the tables. The
// zero Parting divides nothing.
//
// It is for a kernel that makes two dumps at the same time (AtTheSameTime).
type Parting struct {
	remote   bool // the remote ports, not the local ones
	from, to uint16
}

// AtTheSameTime reports whether the kernel makes two dumps at the same time. Before
// Linux 6.9 one waits for the other, a datagram long (inet_diag_table_mutex in
// net/ipv4/inet_diag.c).
func AtTheSameTime() bool {
	var name unix.Utsname
	if err := unix.Uname(&name); err != nil {
		return false
	}
	return isAtLeast(unix.ByteSliceToString(name.Release[:]), 6, 9)
}

// isAtLeast reports whether a kernel's release, as uname(1) -r prints it, is a
// version or a later one.
func isAtLeast(release string, major, minor int) bool {
	var gotMajor, gotMinor int
	if n, _ := fmt.Sscanf(release, "%d.%d", &gotMajor, &gotMinor); n != 2 {
		return false
	}
	return gotMajor > major || gotMajor == major && gotMinor >= minor
}

// partingSample is of how many sockets a Parting is told by.
const partingSample = 512

// maxPart is which share of the connections a part may have. With more, two dumps
// hardly take less than one.
const maxPart = 2. / 3

// stillHalf is which share a part may have until another Parting is looked for. That
// of a sample of 512 differs from the true one by up to 7 in 100.
const stillHalf = .6

// sample is of some sockets the ports, local and remote.
type sample struct {
	n             int
	local, remote [partingSample]uint16
}

func sampleOf(sockets []model.Socket) (of sample) {
	of.n = min(len(sockets), partingSample)
	for i := range of.n {
		s := &sockets[i*len(sockets)/of.n]
		of.local[i], of.remote[i] = s.LocalPort, s.RemotePort
	}
	return of
}

// PartingOf returns the Parting of connections by which the parts are as equal as
// can be. It is the zero one where most have the same ports at both ends.
func PartingOf(sockets []model.Socket) Parting {
	of := sampleOf(sockets)
	byLocal, localShare := halfOf(of.local[:of.n])
	byRemote, remoteShare := halfOf(of.remote[:of.n])
	byRemote.remote = true
	switch {
	case min(localShare, remoteShare) > maxPart:
		return Parting{}
	case localShare < remoteShare:
		return byLocal
	default:
		return byRemote
	}
}

// Anew returns the Parting of connections, which is p as long as that divides them
// about as well: another is asked for in other words, which have to be found.
func (p Parting) Anew(sockets []model.Socket) Parting {
	of := sampleOf(sockets)
	ports := of.local[:of.n]
	if p.remote {
		ports = of.remote[:of.n]
	}
	within := 0
	for _, port := range ports {
		if p.from <= port && port <= p.to {
			within++
		}
	}
	if p != (Parting{}) && of.n > 0 && float64(max(within, of.n-within)) <= stillHalf*float64(of.n) {
		return p
	}
	return PartingOf(sockets)
}

// halfOf returns the range from the port in the middle on that has as nearly half of
// the ports as can be, and which share the larger part has then. A server has half
// of its connections at one port if it forwards each to another.
func halfOf(ports []uint16) (by Parting, share float64) {
	if len(ports) == 0 {
		return Parting{}, 1
	}
	slices.Sort(ports)
	n := len(ports)
	by.from = ports[n/2]
	below, _ := slices.BinarySearch(ports, by.from)
	share = 2
	// The range ends at the port with which it has half of them, or before that.
	for last := min(below+n/2, n-1); last >= below; {
		to := ports[last]
		first, _ := slices.BinarySearch(ports, to)
		for last+1 < n && ports[last+1] == to {
			last++
		}
		within := last + 1 - below
		if larger := float64(max(within, n-within)) / float64(n); larger < share {
			by.to, share = to, larger
		}
		if 2*within <= n {
			break
		}
		last = first - 1
	}
	return by, share
}

// Parted returns the Only of the same sockets whose connections are dumped in two
// parts. An Only that leaves sockets out is not parted.
func (o Only) Parted(by Parting) Only {
	if o.All() {
		o.parting = by
	}
	return o
}

// parts is a dump in parts: what is asked for in place of an Only, those that listen
// and the two parts of the connections, and what has been read of the answers.
type parts struct {
	of                        Only
	listeners, within, others Only

	beside sync.WaitGroup // for who asks for the others
	mu     sync.Mutex
	dst    []model.Socket
	err    error
}

// newParts returns the parts of o.
func newParts(o Only) *parts {
	p := &parts{of: o}
	by := o.parting
	o.parting = Parting{}
	p.listeners, p.within, p.others = o, o, o
	p.listeners.states = OnlyListeners().states
	p.within.states, p.others.states = connectionStates, connectionStates
	atLeast, atMost := byte(opLocalPortGE), byte(opLocalPortLE)
	if by.remote {
		atLeast, atMost = opRemotePortGE, opRemotePortLE
	}
	p.within.bytecode = string(program([]alternatives{ports(atLeast, []uint16{by.from}), ports(atMost, []uint16{by.to})}))
	var outside alternatives
	if by.from > 0 {
		outside = append(outside, ports(atMost, []uint16{by.from - 1})...)
	}
	if by.to < 1<<16-1 {
		outside = append(outside, ports(atLeast, []uint16{by.to + 1})...)
	}
	p.others.bytecode = string(program([]alternatives{outside}))
	return p
}

// askInParts is ask for an Only that is parted: first those that listen, then the
// two parts at the same time. Who receives a row parses it too, one of the two at a
// time: neither waits for the other long, since to parse takes a tenth of what the
// kernel does.
func (d *Dumper) askInParts(ctx context.Context, dst []model.Socket, only Only, join Join) ([]model.Socket, error) {
	if d.beside == nil {
		d.beside = d.Sibling(d.dial, d.netns)
	}
	if err := d.beside.open(); err != nil {
		return d.ask(ctx, dst, only.Parted(Parting{}), join) // as where descriptors are short
	}
	if d.parts == nil || d.parts.of != only {
		d.parts = newParts(only) // as a rule it is the same as the last time
	}
	p := d.parts
	dst, err := d.ask(ctx, dst, p.listeners, join)
	if err != nil {
		return dst, err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	d.inParts, p.dst, p.err = true, dst, nil
	p.beside.Add(1)
	go func() {
		defer p.beside.Done()
		d.beside.askPart(ctx, stop, p, p.others, join)
	}()
	d.askPart(ctx, stop, p, p.within, join)
	p.beside.Wait()
	dst, p.dst = p.dst, nil // it would keep what the snapshots let go
	return dst, p.err
}

// askPart asks for one part and reads the answer. After an error it calls stop, so
// that the other part is not waited for either.
func (d *Dumper) askPart(ctx context.Context, stop func(), p *parts, part Only, join Join) {
	r := d.dumpOf(part)
	// Of one part Go's scheduler is told, so that with two processors it has one for
	// others: with both untold nobody would look at the network until a row ends.
	r.atOnce = d.beside != nil
	if err := d.send(r); err != nil {
		p.fail(err)
		stop()
		return
	}
	a := answer{port: d.port, seq: r.Seq(), netns: d.netns, join: join}
	for last := false; !last; {
		var received row
		received, last = d.receiveRow(ctx)
		if !p.take(d, &a, &received) {
			stop()
		}
		// With two processors the two parts have both, and who encodes what has come
		// waits for one: that is where the time goes once the dump has ended.
		runtime.Gosched()
	}
}

// take takes a row that d has received, and reports whether all is well.
func (p *parts) take(d *Dumper, a *answer, received *row) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.dst, p.err = d.takeRow(a, received, p.dst, p.err)
	return p.err == nil
}

func (p *parts) fail(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.err == nil {
		p.err = err
	}
}
