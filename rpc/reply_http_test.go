package rpc

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
	"strings"
	"syscall"
	"testing"

	"github.com/rs/zerolog"
)

// served runs a Server whose method m is h, on all faces, and returns its address.
func served(t *testing.T, h StreamHandler) string {
	t.Helper()
	router := NewRouter(zerolog.Nop())
	router.HandleStream("m", h)
	l := listen(t)
	stop, ended := start(t, &Server{Handler: NewHandler(Options{Router: router, Bare: router})}, l)
	t.Cleanup(func() {
		stop()
		if err := <-ended; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return l.Addr().String()
}

// exchanged sends a request and returns the answer and the error at its end.
func exchanged(t *testing.T, address, method, path, protocol, body string) (*http.Response, []byte, error) {
	t.Helper()
	conn, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "%s %s %s\r\nHost: localhost\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s", method, path, protocol, len(body), body)
	response, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	return response, text, err
}

// Over HTTP/1.0 a long answer leaves while it is made too, and one that cannot be ended is reset: the end of the connection
// would be that of the answer.
func TestLongAnswersOverHTTP10(t *testing.T) {
	_, body, err := exchanged(t, served(t, long(5000, nil)), "POST", "/m", "HTTP/1.0", "")
	var result []string
	if err == nil {
		err = json.Unmarshal(body, &result)
	}
	if err != nil || len(result) != 5000 {
		t.Errorf("%d strings, %v", len(result), err)
	}
	response, body, err := exchanged(t, served(t, long(5000, errors.New("late"))), "POST", "/m", "HTTP/1.0", "")
	if !errors.Is(err, syscall.ECONNRESET) || response.StatusCode != 200 || response.ContentLength >= 0 {
		t.Errorf("an answer that cannot be ended: status %d, length %d, %d bytes, %v; want a reset", response.StatusCode, response.ContentLength, len(body), err)
	}
}

// HEAD has the length of a long answer, of which no more than a part is ever in memory.
func TestHeadOfALongAnswer(t *testing.T) {
	for _, n := range []int{1, 5000} {
		response, body, err := exchanged(t, served(t, long(n, nil)), "HEAD", "/m", "HTTP/1.1", "")
		if want := int64(n*1001 + 1); err != nil || response.StatusCode != 200 || response.ContentLength != want || len(body) != 0 {
			t.Errorf("%d: status %d, length %d, %d bytes, %v; want a length of %d", n, response.StatusCode, response.ContentLength, len(body), err, want)
		}
		response, body, err = exchanged(t, served(t, long(n, errors.New("late"))), "HEAD", "/m", "HTTP/1.1", "")
		if err != nil || response.StatusCode != 500 || len(body) != 0 {
			t.Errorf("%d, failing: status %d, %v, want 500", n, response.StatusCode, err)
		}
	}
}

// The answer to a batch leaves while it is made: the next call is made when what comes before it has gone, save for one part.
func TestBatchesLeaveWhileTheyAreMade(t *testing.T) {
	most := 0
	method := func(h StreamHandler) StreamHandler {
		return func(ctx context.Context, params json.RawMessage, out *Reply) error {
			most = max(most, len(out.Buf))
			return h(ctx, params, out)
		}
	}
	const notification = `{"jsonrpc":"2.0","method":"m"}`
	response, body, err := exchanged(t, served(t, method(long(600, nil))), "POST", "/json_rpc", "HTTP/1.1",
		"["+notification+","+callM+","+notification+","+callM+","+callM+","+notification+"]")
	var answers []struct {
		ID     string
		Result []string
	}
	if err == nil {
		err = json.Unmarshal(body, &answers)
	}
	if err != nil || response.StatusCode != 200 || len(answers) != 3 || response.ContentLength >= 0 {
		t.Fatalf("status %d, length %d, %d answers, %v", response.StatusCode, response.ContentLength, len(answers), err)
	}
	for _, a := range answers {
		if a.ID != "x" || len(a.Result) != 600 {
			t.Errorf("answer %q with %d strings", a.ID, len(a.Result))
		}
	}
	if most > flushFrom {
		t.Errorf("%d bytes were kept before a call", most)
	}
}

// A call of a batch that fails before any of it has left has an error of its own, though others have left.
func TestACallFailsBehindALongAnswer(t *testing.T) {
	calls := 0
	address := served(t, func(ctx context.Context, params json.RawMessage, out *Reply) error {
		if calls++; calls == 1 {
			return long(600, nil)(ctx, params, out)
		}
		return long(10, errors.New("late"))(ctx, params, out)
	})
	_, body, err := exchanged(t, address, "POST", "/json_rpc", "HTTP/1.1", "["+callM+","+callM+"]")
	const internal = `,{"error":{"code":-32603,"message":"Internal error"},"id":"x","jsonrpc":"2.0"}]`
	if err != nil || !strings.HasSuffix(string(body), `"]}`+internal) {
		t.Errorf("%v, an answer that ends in %s", err, body[max(0, len(body)-200):])
	}
}

// That a client leaves, or takes nothing, is no fault of the method.
func TestUnsentAnswersAreNoErrors(t *testing.T) {
	var log bytes.Buffer
	router := NewRouter(zerolog.New(&log).Level(zerolog.InfoLevel))
	router.HandleStream("m", long(1000, nil))
	gone := errors.New("the client is gone")
	out := Reply{send: func(b []byte) ([]byte, error) { return b[:0], gone }}
	if err := router.Call(t.Context(), "m", nil, &out); err == nil || log.Len() > 0 {
		t.Errorf("error %v, log %s", err, log.String())
	}
}
