package rpc

import (
	"github.com/connectionsd/connectionsd/collector/service"
	"github.com/connectionsd/connectionsd/model"
)

// listening tells of listeners what a person would call them, and their icon.
type listening struct {
	snap     *model.Snapshot
	services *service.Table
	// inside are the listeners in containers, for those on the host that forward to them.
	inside map[containerPort]service.Service
}

// containerPort is a port that something in a container listens on.
type containerPort struct {
	container int32 // an index into Snapshot.Containers
	port      uint16
}

func newListening(snap *model.Snapshot, services *service.Table) *listening {
	l := &listening{snap: snap, services: services}
	if len(snap.Containers) == 0 {
		return l
	}
	l.inside = make(map[containerPort]service.Service)
	for i := range snap.Sockets {
		s, known := &snap.Sockets[i], &snap.Known[i]
		if s.State == model.Listen && known.Container != model.NoContainer && known.ForwardsTo == 0 {
			l.inside[containerPort{known.Container, s.LocalPort}] = l.program(i)
		}
	}
	return l
}

// at returns what the listener at index i is called: by its container, then by its program, and by its port where that
// is not known. The icon is that of the program, of one that forwards to a container that of what listens there.
func (l *listening) at(i int) service.Service {
	known := l.program(i)
	if to := l.snap.Known[i].ForwardsTo; to != 0 {
		if target, ok := l.inside[containerPort{l.snap.Known[i].Container, to}]; ok {
			known.Icon = target.Icon
		} else if target, ok := l.services.Port(to); ok && target.Icon != service.Generic {
			known.Icon = target.Icon
		}
	}
	if container := l.snap.Container(i); container != nil && container.Name != "" {
		known.Label = container.Name
	}
	return known
}

// program returns what the owner of the listener at index i is called, and its port if the owner is not known.
func (l *listening) program(i int) service.Service {
	owner := l.snap.Owner(i)
	known := owner != nil && owner.Icon != ""
	if known && !listensForOthers(owner.Name) {
		return service.Service{Label: owner.Label, Icon: owner.Icon}
	}
	if s, ok := l.services.Port(l.snap.Sockets[i].LocalPort); ok {
		return s
	}
	if known {
		return service.Service{Label: owner.Label, Icon: owner.Icon}
	}
	return service.Service{Icon: service.Generic}
}

// listensForOthers reports whether a program of that name listens for services that it starts when somebody comes, so
// that its port says more of them than its name.
func listensForOthers(name string) bool {
	switch name {
	case "systemd", "inetd", "xinetd":
		return true
	default:
		return false
	}
}
