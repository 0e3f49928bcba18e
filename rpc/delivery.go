package rpc

import "time"

// steadyRead, in bytes a second, is how much a client takes that is not late although it is waited for: a host that is asked too
// much has no processor for each of them all the time. To hold all places for answers takes 32 MiB a second,
// since a part each pausedReader is enough.
const steadyRead = 1 << 20

// delivery is how far what was written to a connection has come.
type delivery struct {
	known bool
	taken uint64 // bytes that the client's kernel has acknowledged since the connection began (tcpi_bytes_acked)
	whole bool   // nothing is on its way
}

// since returns how many bytes the client has taken since an earlier look, 0 if that is not known.
func (d delivery) since(earlier delivery) uint64 {
	if !d.known || !earlier.known || d.taken < earlier.taken {
		return 0
	}
	return d.taken - earlier.taken
}

// isSteady reports whether the client has read steadily for so long since an earlier look.
func (d delivery) isSteady(earlier delivery, elapsed time.Duration) bool {
	return float64(d.since(earlier)) >= steadyRead*elapsed.Seconds()
}
