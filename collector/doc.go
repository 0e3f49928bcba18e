// Package collector makes a [model.Snapshot] of this host: it dumps the
// kernel's sockets (sockdiag) and joins what else is true of each: its age and
// rates, who opened it, who owns it (owner).
//
// One goroutine, [Collector.Run], makes all dumps, one at a time: those that
// requests wait for and, when there are none, those of the sampler, which
// keeps first sights and byte counters current. What is remembered of a socket
// is therefore that goroutine's alone, and of the one that parses a dump for it
// while it receives. It is forgotten with the socket.
//
// It imports model and the packages below it, nothing of rpc.
package collector
