//go:build linux

package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
)

// check makes a request and looks at the answer: it is to be JSON with so many
// records of connections.
func (c *client) check(request []byte, records int) error {
	answer, err := c.read(request)
	if err != nil {
		return err
	}
	defer func() { c.whole = nil }() // it is large, and not made again
	if !json.Valid(answer) {
		return errors.New("the answer is not JSON")
	}
	// Each record has one of them, by the kind of the request.
	got := bytes.Count(answer, []byte(`"connection_id":`)) + bytes.Count(answer, []byte(`"fromAddress":`))
	if got != records {
		return fmt.Errorf("the answer has %d records, want %d: %.200q", got, records, answer)
	}
	return nil
}
