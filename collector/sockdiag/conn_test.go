//go:build linux

package sockdiag

import (
	"testing"

	"github.com/vishvananda/netlink/nl"

	"github.com/connectionsd/connectionsd/model"
)

// Go's scheduler is not told of system calls that the kernel soon returns from. Those that can walk all its tables for a few sockets it is told of.
func TestWhichRequestsAreAnsweredAtOnce(t *testing.T) {
	only := func(f model.Filter) *nl.NetlinkRequest { return newRequest(NewOnly(&f)) }
	withListeners, ok := NewOnly(&model.Filter{LocalPorts: []uint16{80}}).WithListeners()
	if !ok {
		t.Fatal("one dump cannot have the connections of a local port and who listens there")
	}
	one := nl.NewNetlinkRequest(getSock, 0)
	one.AddData(exact(ID{LocalPort: 80}))
	for name, c := range map[string]struct {
		req  *nl.NetlinkRequest
		want bool
	}{
		"all sockets":                   {newRequest(Only{}), true},
		"ESTABLISHED":                   {only(model.Filter{States: model.States(model.Established)}), true},
		"ESTABLISHED and CLOSE_WAIT":    {only(model.Filter{States: model.States(model.Established, model.CloseWait)}), true},
		"SYN_SENT":                      {only(model.Filter{States: model.States(model.SynSent)}), false},
		"listeners":                     {newRequest(OnlyListeners()), false},
		"a local port":                  {only(model.Filter{LocalPorts: []uint16{80}}), false},
		"a local port, with listeners":  {newRequest(withListeners), false},
		"two local ports":               {only(model.Filter{LocalPorts: []uint16{80, 81}}), false},
		"a remote port, in ESTABLISHED": {only(model.Filter{RemotePorts: []uint16{80}, States: model.States(model.Established)}), false},
		"one socket":                    {one, true},
	} {
		t.Run(name, func(t *testing.T) {
			if got := isAnsweredAtOnce(c.req); got != c.want {
				t.Errorf("at once: %t, want %t", got, c.want)
			}
		})
	}
}
