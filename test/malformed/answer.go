package malformed

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// An Answer is what a server said to a Request.
type Answer struct {
	Status int // of HTTP; 0: none, the connection was ended
	Body   []byte
	Took   time.Duration // from the last byte of the request to the last of the answer
}

// Send sends a request to a server of HTTP at address (HOST:PORT) on a connection of its own and returns the first answer.
// An error says that there was no connection, or that it was still open when ctx was done.
func Send(ctx context.Context, address string, request Request) (Answer, error) {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return Answer{}, err
	}
	defer conn.Close()
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	// A server may answer, and end the connection, before it has read all.
	_, _ = conn.Write(request.Bytes)
	if request.Ends {
		_ = conn.(*net.TCPConn).CloseWrite()
	}
	began := time.Now()
	text, err := io.ReadAll(conn)
	took := time.Since(began)
	if ctx.Err() != nil {
		return Answer{}, fmt.Errorf("there is no whole answer after %s, only %.200q: %w", took, text, context.Cause(ctx))
	}
	if len(text) == 0 {
		return Answer{Took: took}, nil
	}
	response, parseErr := http.ReadResponse(bufio.NewReader(bytes.NewReader(text)), nil)
	if parseErr != nil {
		return Answer{}, fmt.Errorf("read the answer %.200q: %w", text, errors.Join(parseErr, err))
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return Answer{}, fmt.Errorf("read the body of the answer %.200q: %w", text, err)
	}
	return Answer{Status: response.StatusCode, Body: body, Took: took}, nil
}

// Check returns what is wrong with the answer to a request: it must be a status from 400 to 499, or of 200 with errors of
// JSON-RPC alone, or, where the request allows it, none.
func (a Answer) Check(request Request) error {
	switch {
	case a.Status >= 400 && a.Status <= 499:
		return nil
	case a.Status == 0 && request.Silent:
		return nil
	case a.Status == 0:
		return errors.New("the connection was ended without an answer")
	case a.Status != http.StatusOK:
		return fmt.Errorf("status %d", a.Status)
	}
	type response struct {
		JSONRPC string
		Error   *struct {
			Code    int
			Message string
		}
		Result json.RawMessage
	}
	var all []response
	if err := json.Unmarshal(a.Body, &all); err != nil {
		all = make([]response, 1)
		if err := json.Unmarshal(a.Body, &all[0]); err != nil {
			return fmt.Errorf("status 200 with %.200q, which is no answer of JSON-RPC", a.Body)
		}
	}
	for _, one := range all {
		if one.JSONRPC != "2.0" || one.Error == nil || one.Error.Message == "" || one.Result != nil {
			return fmt.Errorf("status 200 with %.200q, which is no error", a.Body)
		}
		if one.Error.Code == -32603 {
			return fmt.Errorf("status 200 with %.200q, which is the server's fault", a.Body)
		}
	}
	if len(all) == 0 {
		return errors.New("status 200 with an empty batch")
	}
	return nil
}
