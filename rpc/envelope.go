package rpc

import (
	"context"
	"fmt"

	"github.com/sourcegraph/jsonrpc2"
)

const (
	// MaxBatch is how many calls a batch may hold. A larger one is refused as a whole.
	MaxBatch = 100

	// MaxBatchAnswer is how many bytes the answer to a batch may have before its remaining calls are not made but
	// answered with [CodeAnswerTooLarge]: without it, one body of a few kilobytes could ask for gigabytes. The
	// answer that crosses the line is still sent whole, so a single call is never refused.
	MaxBatchAnswer = 32 << 20
)

// A Message is one JSON-RPC 2.0 text as a client sent it: a call or a batch of them. Nothing of it has been executed.
type Message struct {
	value   []byte
	batch   bool
	calls   int
	refusal *jsonrpc2.Error // why the whole text is answered with one error and id null
}

// ParseMessage splits a body. It never fails: what is wrong with the body, [Router.Answer] tells the client. The Message
// aliases body.
func ParseMessage(body []byte) Message {
	if err := checkJSON(body); err != nil {
		return Message{refusal: err}
	}
	if body[skipSpace(body, 0)] != '[' {
		return Message{value: body, calls: 1}
	}
	calls := 0
	for range elements(body) {
		calls++
	}
	switch {
	case calls == 0:
		return Message{refusal: invalidRequest(fmt.Sprintf("the batch is empty: it must hold 1 to %d requests", MaxBatch))}
	case calls > MaxBatch:
		return Message{refusal: invalidRequest(fmt.Sprintf("the batch holds %d requests: at most %d are allowed", calls, MaxBatch))}
	}
	return Message{value: body, batch: true, calls: calls}
}

// Calls is how many calls the Message makes, notifications and invalid ones included: 1 for a single request, the length
// of a batch, and 0 for a body that is refused as a whole (not JSON, an empty batch, more than [MaxBatch] calls).
func (m Message) Calls() int { return m.calls }

// Answer executes the calls of m one after the other and appends the answer to dst: an object, an array for a batch, or
// nothing if there are only notifications.
//
// It follows JSON-RPC 2.0 to the letter, also where monerod is laxer. Beyond what the specification says: the id is
// echoed byte for byte; one of "jsonrpc", "method", "params" and "id" that comes twice is an Invalid Request, for two
// readers of it could disagree; other members are ignored; data says what was wrong with an Invalid Request.
func (r *Router) Answer(ctx context.Context, m Message, dst []byte) []byte {
	out := Reply{Buf: dst}
	_ = r.answerTo(ctx, m, &out) // only one of which a part was sent can fail
	return out.Buf
}

// answerTo appends the answer to out, and lets it leave while it is made. The error is why one of which a part was sent
// cannot be ended.
func (r *Router) answerTo(ctx context.Context, m Message, out *Reply) error {
	if m.refusal != nil {
		out.Buf = appendErrorResponse(out.Buf, m.refusal, nil)
		return nil
	}
	if !m.batch {
		return r.answerCall(ctx, m.value, out, false)
	}
	start := out.size()
	for value := range elements(m.value) {
		before := out.size()
		if before == start {
			out.Buf = append(out.Buf, '[')
		} else {
			out.Buf = append(out.Buf, ',')
		}
		if err := r.answerCall(ctx, value, out, before-start > MaxBatchAnswer); err != nil {
			return err
		}
		if out.size() == before+1 { // a notification
			out.rewind(before)
		}
		if err := out.Flush(); err != nil {
			return err
		}
	}
	if out.size() > start {
		out.Buf = append(out.Buf, ']')
	}
	return nil
}

// answerCall executes one call and appends its answer. If full, there is no room for another result. The error is that of
// answerTo.
func (r *Router) answerCall(ctx context.Context, value []byte, out *Reply, full bool) error {
	start := out.size()
	c, rpcErr := parseCall(value)
	m, known := r.methods[string(c.method)]
	switch {
	case rpcErr != nil:
	case c.id == nil:
		if known {
			// A notification: neither result nor error is sent.
			_ = r.call(ctx, m, c.params, &Reply{Buf: out.Buf[len(out.Buf):], drop: true})
		}
		return nil
	case !known:
		rpcErr = methodNotFound()
	case full:
		rpcErr = newError(CodeAnswerTooLarge, "Answer too large",
			fmt.Sprintf("the answers before this one have more than %d bytes: send smaller batches", MaxBatchAnswer))
	default:
		out.Buf = append(out.Buf, `{"id":`...)
		out.Buf = append(out.Buf, c.id...)
		out.Buf = append(out.Buf, `,"jsonrpc":"2.0","result":`...)
		rpcErr = r.call(ctx, m, c.params, out)
	}
	switch {
	case rpcErr == nil:
		out.Buf = append(out.Buf, '}')
	case !out.rewind(start):
		return rpcErr
	default:
		out.Buf = appendErrorResponse(out.Buf, rpcErr, c.id)
	}
	return nil
}

// A call is one Request object, as slices of the text it stands in.
type call struct {
	method []byte
	params []byte // nil if missing
	id     []byte // nil for a notification
}

// parseCall takes a value apart. With an error, the id of the call is what the answer must carry; nil means null.
func parseCall(value []byte) (call, *jsonrpc2.Error) {
	if value[skipSpace(value, 0)] != '{' {
		return call{}, invalidRequest("a request must be an object")
	}
	var jsonrpc, method, params, id []byte
	var twice string
	for name, v := range members(value) {
		var known *[]byte
		switch string(stringValue(name)) {
		case "jsonrpc":
			known = &jsonrpc
		case "method":
			known = &method
		case "params":
			known = &params
		case "id":
			known = &id
		default:
			continue
		}
		if *known != nil && twice != "id" { // of several, the id matters most: it cannot be echoed
			twice = string(stringValue(name))
		}
		*known = v
	}
	c := call{params: params}
	if id != nil && !validID(id) {
		return c, invalidRequest(`"id" must be a string, a number or null`)
	}
	if twice == "id" {
		return c, invalidRequest(`"id" is given twice`)
	}
	c.id = id
	switch {
	case twice != "":
		return c, invalidRequest(fmt.Sprintf("%q is given twice", twice))
	case jsonrpc == nil || jsonrpc[0] != '"' || string(stringValue(jsonrpc)) != "2.0":
		return c, invalidRequest(`"jsonrpc" must be "2.0"`)
	case method == nil || method[0] != '"':
		return c, invalidRequest(`"method" must be a string`)
	}
	c.method = stringValue(method)
	return c, nil
}

// validID tells whether an id is of a type that JSON-RPC 2.0 allows. Fractions and numbers of any size count: they are
// only ever echoed.
func validID(id []byte) bool {
	switch id[0] {
	case '{', '[', 't', 'f':
		return false
	}
	return true
}

// appendErrorResponse appends the answer of a call that failed. A nil id is null.
func appendErrorResponse(dst []byte, e *jsonrpc2.Error, id []byte) []byte {
	dst = append(dst, `{"error":`...)
	dst = appendError(dst, e)
	dst = append(dst, `,"id":`...)
	if id == nil {
		dst = append(dst, "null"...)
	}
	dst = append(dst, id...)
	return append(dst, `,"jsonrpc":"2.0"}`...)
}
