//go:build linux

package collector

import (
	"os"

	"github.com/connectionsd/connectionsd/model"
)

// ownName is what this daemon calls itself, whatever its file is called.
const ownName = "connectionsd"

// joinPrograms tells of the owners of listeners that can be told what people call
// them, and their command lines. Both are read anew each time: a process can change
// them.
func (c *Collector) joinPrograms(snap *model.Snapshot) {
	self := int32(os.Getpid())
	for i := range snap.Sockets {
		if snap.Sockets[i].State != model.Listen {
			continue
		}
		owner := snap.Owner(i)
		if owner == nil || owner.Name == "" || owner.Icon != "" || !c.told.has(snap.Known[i].Owner) { // not known, left, or done
			continue
		}
		args := c.processes.Arguments(owner.PID)
		program := c.options.Services.Process(owner.Name, args)
		if owner.PID == self {
			program = c.options.Services.Process(ownName, nil)
		}
		owner.Label, owner.Icon = program.Label, program.Icon
		owner.Command = c.options.CommandLines.Show(args)
	}
}
