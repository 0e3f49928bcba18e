//go:build linux

package owner

import (
	"slices"

	"github.com/connectionsd/connectionsd/collector/owner/taskfile"
	processes "github.com/connectionsd/connectionsd/collector/process"
	"github.com/connectionsd/connectionsd/model"
)

// search joins the sockets that are wanted with the processes that hold them.
// It is told of the processes by ascending number, but of process 1 last where
// passesOn says so.
type search struct {
	wanted *Wanted
	owners []model.Owner
	shared []model.SharedListener
	reader *processes.Reader // tells the names of processes

	owner  int32 // the index that the process under way has, if it gets one
	held   bool  // whether it is the owner of anything
	shares int   // how many of shared are of processes before it
}

// begin begins with a process.
func (s *search) begin() {
	s.owner, s.held, s.shares = int32(len(s.owners)), false, len(s.shared)
}

// claim notes that the process under way holds a socket. It reports whether
// that has been claimed before, be it by this process.
func (s *search) claim(inode uint32) (again bool) {
	slot := s.wanted.find(inode)
	switch {
	case slot == nil:
		return false
	case slot.owner == model.NoOwner:
		slot.owner = s.owner
		s.held = true
		return false
	case slot.owner == s.owner:
		return true
	}
	further := model.SharedListener{Inode: inode, Owner: s.owner}
	if s.wanted.hasEvery(inode) && !slices.Contains(s.shared[s.shares:], further) {
		s.shared = append(s.shared, further)
		s.held = true
	}
	return true
}

// passesOn reports whether process 1 is systemd, which keeps a descriptor of each
// socket that it passes to a service: the service is who answers there. Any other
// process 1 is like the first of its workers.
func passesOn(reader *processes.Reader) bool { return reader.Name(1) == "systemd" }

// claimRecords claims what the records say, which are in the order of their
// processes, but with firstLast those of process 1 at the end.
func (s *search) claimRecords(records []taskfile.Record, firstLast bool) {
	others := 0
	for firstLast && others < len(records) && records[others].TGID <= 1 {
		others++
	}
	s.claimAll(records[others:])
	s.claimAll(records[:others])
}

// claimAll claims what the records say, which are in the order of their
// processes.
func (s *search) claimAll(records []taskfile.Record) {
	for len(records) > 0 {
		tgid := records[0].TGID
		s.begin()
		for len(records) > 0 && records[0].TGID == tgid {
			s.claim(records[0].Inode)
			records = records[1:]
		}
		s.end(int32(tgid))
	}
}

// end ends the process under way, which has that number.
func (s *search) end(pid int32) {
	if s.held {
		s.owners = append(s.owners, model.Owner{PID: pid, Name: s.reader.Name(pid), Container: model.NoContainer})
	}
}
