package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/sourcegraph/jsonrpc2"
)

// question is one of the two that there are.
type question int

const (
	getConnections question = iota // the method of JSON-RPC
	apiConnections                 // GET /api/connections
)

// source is whom is asked: this host, or a daemon. Both take the same params and give the same answer, each from a look that
// begins after the call. An error is a *jsonrpc2.Error where the answer is one.
type source interface {
	ask(ctx context.Context, q question, params json.RawMessage) ([]byte, error)
	close()
}

// recordSource is a source that has connections at hand without an answer to read them from, which takes most of the time
// where there are many.
type recordSource interface {
	connections(ctx context.Context, params json.RawMessage) ([]entry, error)
}

// ask returns the answer to what o asks for.
func ask(ctx context.Context, from source, o *lookOptions, extended bool) ([]byte, error) {
	params, err := o.params(extended)
	if err != nil {
		return nil, err
	}
	q := getConnections
	if o.listeners {
		q = apiConnections
	}
	answer, err := from.ask(ctx, q, params)
	return answer, explained(err)
}

// explained is an error of a source as the user is told it.
func explained(err error) error {
	var said *jsonrpc2.Error
	if errors.As(err, &said) {
		return answeredError(said)
	}
	return err
}

// answeredError is the error that an answer is. Params that are not taken are the user's affair: they were taken by what
// this process knows, so the daemon is an older one.
func answeredError(said *jsonrpc2.Error) error {
	var why string
	if said.Data == nil || json.Unmarshal(*said.Data, &why) != nil {
		why = said.Message
	}
	why = escaped(fmt.Sprintf("%.500s", why))
	if said.Code == jsonrpc2.CodeInvalidParams {
		return &usageError{fmt.Errorf("the daemon does not take the filter: %s", why)}
	}
	return errors.New(why)
}

// look returns what o asks for as entries.
func look(ctx context.Context, from source, o *lookOptions) ([]entry, error) {
	if records, ok := from.(recordSource); ok && !o.listeners {
		params, err := o.params(true)
		if err != nil {
			return nil, err
		}
		entries, err := records.connections(ctx, params)
		return entries, explained(err)
	}
	answer, err := ask(ctx, from, o, true)
	if err != nil {
		return nil, err
	}
	if o.listeners {
		return readListeners(answer)
	}
	entries, err := readConnections(answer)
	if err != nil {
		return nil, err
	}
	for i := range entries {
		if entries[i].socket == nil && len(o.filter) > 0 {
			return nil, errors.New("the daemon knows no filters, as monerod does not: want a connectionsd, or none")
		}
	}
	return entries, nil
}
