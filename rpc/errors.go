package rpc

import (
	"encoding/json"
	"errors"
	"strconv"

	"github.com/sourcegraph/jsonrpc2"
)

// CodeAnswerTooLarge is the server error (JSON-RPC 2.0 leaves -32000 to -32099 to the server) of the calls of a batch
// that were not made because the answers before them already fill [MaxBatchAnswer] bytes.
const CodeAnswerTooLarge = -32000

// InvalidParams is the error -32602 "Invalid params". Its data is why, a sentence for the caller that names the member
// and what would be right.
func InvalidParams(why string) *jsonrpc2.Error {
	return newError(jsonrpc2.CodeInvalidParams, "Invalid params", why)
}

// reasonOf returns the data of an error that [InvalidParams] made.
func reasonOf(err error) string {
	var rpcErr *jsonrpc2.Error
	var why string
	if errors.As(err, &rpcErr) && rpcErr.Data != nil && json.Unmarshal(*rpcErr.Data, &why) == nil {
		return why
	}
	return err.Error()
}

func parseError(why string) *jsonrpc2.Error {
	return newError(jsonrpc2.CodeParseError, "Parse error", why)
}

func invalidRequest(why string) *jsonrpc2.Error {
	return newError(jsonrpc2.CodeInvalidRequest, "Invalid Request", why)
}

func methodNotFound() *jsonrpc2.Error {
	return newError(jsonrpc2.CodeMethodNotFound, "Method not found", "")
}

// internalError has no data: what went wrong inside is for the log, not for the client.
func internalError() *jsonrpc2.Error {
	return newError(jsonrpc2.CodeInternalError, "Internal error", "")
}

// newError makes an error with data as a JSON string, or without data if it is "".
func newError(code int64, message, data string) *jsonrpc2.Error {
	e := &jsonrpc2.Error{Code: code, Message: message}
	if data != "" {
		e.SetError(data)
	}
	return e
}

// appendError appends the error object of JSON-RPC 2.0 with its keys in alphabetical order, as monerod has them.
func appendError(dst []byte, e *jsonrpc2.Error) []byte {
	dst = append(dst, `{"code":`...)
	dst = strconv.AppendInt(dst, e.Code, 10)
	if e.Data != nil {
		dst = append(dst, `,"data":`...)
		dst = append(dst, *e.Data...)
	}
	dst = append(dst, `,"message":`...)
	dst = appendJSONString(dst, e.Message)
	return append(dst, '}')
}

func appendJSONString(dst []byte, s string) []byte {
	quoted, _ := json.Marshal(s) // a string always has a JSON form
	return append(dst, quoted...)
}
