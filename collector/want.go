package collector

// Want says what a snapshot is to be joined with beyond age, direction and, but
// for NoInfo, rates, which are always there.
type Want struct {
	// Owners joins the processes that hold the sockets.
	Owners bool
	// ListenerOwners joins, with Owners, every process that holds a listening
	// socket, and not only the first: Snapshot.Shared. A scope needs them.
	ListenerOwners bool
	// Containers joins, with Owners, the containers of the sockets.
	Containers bool
	// Listeners joins what GET /api/connections tells of listeners: the service
	// and the command line of their owners, and the interfaces they are bound
	// to.
	Listeners bool
	// NoInfo says that rates, and of the sockets what InfoLen stands for, are not
	// needed: with many sockets most of them come without then, unless somebody else
	// who shares the dump needs it.
	NoInfo bool
	// Scope, unless it is 0, says that with Owners and ListenerOwners the
	// connections of the scope of that port are enough, and all that listens.
	Scope uint16
}

// and returns what satisfies both, which are of the same Scope.
func (w Want) and(other Want) Want {
	return Want{
		Owners:         w.Owners || other.Owners,
		ListenerOwners: w.ListenerOwners || other.ListenerOwners,
		Containers:     w.Containers || other.Containers,
		Listeners:      w.Listeners || other.Listeners,
		NoInfo:         w.NoInfo && other.NoInfo,
		Scope:          other.Scope,
	}
}

// NetNS says which network namespaces are collected. The zero NetNS is the
// daemon's own alone.
type NetNS struct {
	// All is every one that has a process or a name.
	All bool
	// Name is the one of that name under /run/netns, and no other.
	Name string
}
