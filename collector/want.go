package collector

// Want says what a snapshot is to be joined with beyond age, rates and
// direction, which are always there.
type Want struct {
	// Owners joins the processes that hold the sockets.
	Owners bool
}

func (w Want) and(other Want) Want { return Want{Owners: w.Owners || other.Owners} }
