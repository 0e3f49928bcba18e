//go:build linux

package sockdiag

import (
	"testing"

	"github.com/connectionsd/connectionsd/model"
)

// Go's scheduler is not told of system calls that the kernel soon returns from. Those that can walk all its tables for a few sockets it is told of.
func TestWhichRequestsAreAnsweredAtOnce(t *testing.T) {
	var d Dumper
	only := func(f model.Filter) Request { return d.dumpOf(NewOnly(&f)) }
	withListeners, ok := NewOnly(&model.Filter{LocalPorts: []uint16{80}}).WithListeners()
	if !ok {
		t.Fatal("one dump cannot have the connections of a local port and who listens there")
	}
	for name, c := range map[string]struct {
		req  Request
		want bool
	}{
		"all sockets":                   {d.dumpOf(Only{}), true},
		"ESTABLISHED":                   {only(model.Filter{States: model.States(model.Established)}), true},
		"ESTABLISHED and CLOSE_WAIT":    {only(model.Filter{States: model.States(model.Established, model.CloseWait)}), true},
		"SYN_SENT":                      {only(model.Filter{States: model.States(model.SynSent)}), false},
		"listeners":                     {d.dumpOf(OnlyListeners()), false},
		"a local port":                  {only(model.Filter{LocalPorts: []uint16{80}}), false},
		"a local port, with listeners":  {d.dumpOf(withListeners), false},
		"two local ports":               {only(model.Filter{LocalPorts: []uint16{80, 81}}), false},
		"a remote port, in ESTABLISHED": {only(model.Filter{RemotePorts: []uint16{80}, States: model.States(model.Established)}), false},
		"one socket":                    {d.lookupOf(&ID{LocalPort: 80}), true},
	} {
		t.Run(name, func(t *testing.T) {
			if got := c.req.atOnce; got != c.want {
				t.Errorf("at once: %t, want %t", got, c.want)
			}
		})
	}
}
