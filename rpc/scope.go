package rpc

import (
	"fmt"

	"github.com/sourcegraph/jsonrpc2"
)

// CodeScopeUnseen is the server error of a scope whose listener belongs to a process that this daemon may not look
// into, so that the node's connections cannot be told from those of others.
const CodeScopeUnseen = -32001

func scopeUnseen(port uint16) *jsonrpc2.Error {
	return newError(CodeScopeUnseen, "Scope not visible",
		fmt.Sprintf("scope: the owner of the listener on port %d cannot be seen: the daemon must run as root, or with CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH", port))
}
