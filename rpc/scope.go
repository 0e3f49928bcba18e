package rpc

import (
	"context"
	"fmt"

	"github.com/sourcegraph/jsonrpc2"

	"github.com/connectionsd/connectionsd/collector"
	"github.com/connectionsd/connectionsd/model"
)

// CodeScopeUnseen is the server error of a scope whose listener belongs to a process that this daemon may not look
// into, so that the node's connections cannot be told from those of others.
const CodeScopeUnseen = -32001

func scopeUnseen(port uint16) *jsonrpc2.Error {
	return newError(CodeScopeUnseen, "Scope not visible",
		fmt.Sprintf("scope: the owner of the listener on port %d cannot be seen: the daemon must run as root, or with CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH", port))
}

// followScope follows a snapshot that has what want says, of the connections that filter selects (nil: of all). Unless
// port is 0, it waits for the whole of one of all connections and for its scope of that port. A listener whose owner is not
// seen is looked for once more: while a node restarts its process may leave between the dump and the look at the processes.
func followScope(ctx context.Context, c Collector, port uint16, want collector.Want, filter *model.Filter) (*collector.Following, model.Scope, error) {
	if port != 0 {
		want.Owners, want.ListenerOwners, want.Scope, filter = true, true, port, nil
	}
	for again := true; ; again = false {
		following, err := c.Follow(want, filter)
		if err != nil {
			return nil, model.Scope{}, fmt.Errorf("take a snapshot: %w", err)
		}
		if port == 0 {
			return following, model.Scope{}, nil
		}
		snap, err := following.All(ctx)
		if err != nil {
			following.Close()
			return nil, model.Scope{}, fmt.Errorf("take a snapshot: %w", err)
		}
		scope := snap.Scope(port)
		if !scope.Unseen {
			return following, scope, nil
		}
		following.Close()
		if !again {
			return nil, model.Scope{}, scopeUnseen(port)
		}
	}
}
