// Package rpc is the wire: it carries questions about this host's connections in, and the answers out.
//
// A [Router] is the table of methods and knows no transport. [ParseMessage] and [Router.Answer] are JSON-RPC 2.0 on
// bytes, with batches and notifications, for every transport that carries envelopes. [NewHandler] puts both behind
// HTTP, beside the bare methods, the REST face and the rate limit; [Server] runs the result on a listener and drains it.
//
// It may import model and collector of this project. The command imports it; nothing else does.
package rpc
