package rpc

import (
	"errors"
	"fmt"
	"io"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// untouched is a body that must not be read.
type untouched struct{ t *testing.T }

func (u untouched) Read([]byte) (int, error) {
	u.t.Error("the body is read")
	return 0, io.EOF
}

func TestBodiesThatCannotBeRead(t *testing.T) {
	const (
		large = "the body has more than 1048576 bytes"
		late  = "the request took longer than 10s to arrive"
		early = "the body ended early"
	)
	for _, test := range []struct {
		name   string
		body   io.Reader
		length int64
		status int
		code   int
		words  string // message and data
	}{
		{"too large, as it says itself", untouched{t}, MaxBody + 1, 413, -32600, `"data":"` + large + `","message":"Invalid Request"`},
		{"too large, of no length", strings.NewReader(strings.Repeat(" ", MaxBody+1)), -1, 413, -32600, `"data":"` + large + `","message":"Invalid Request"`},
		{"too slow", iotest.ErrReader(fmt.Errorf("read: %w", os.ErrDeadlineExceeded)), 10, 408, 408, `"message":"` + late + `"`},
		{"broken off", iotest.ErrReader(io.ErrUnexpectedEOF), 10, 400, -32700, `"data":"` + early + `","message":"Parse error"`},
		{"broken off behind much", io.MultiReader(strings.NewReader(strings.Repeat(" ", smallBody+1)), iotest.ErrReader(errors.New("reset"))), -1, 400, -32700, `"data":"` + early + `","message":"Parse error"`},
	} {
		for path, format := range map[string]string{
			"/json_rpc":        `{"error":{"code":%d,%s},"id":null,"jsonrpc":"2.0"}`,
			"/get_connections": `{"error":{"code":%d,%s}}`,
		} {
			r := httptest.NewRequest("POST", path, test.body)
			r.ContentLength = test.length
			got := serve(NewHandler(testOptions(io.Discard)), r)
			if diff := cmp.Diff(routed(jsonResponse(test.status, fmt.Sprintf(format, test.code, test.words))), got); diff != "" {
				t.Errorf("%s: %s (-want +got):\n%s", test.name, path, diff)
			}
			if seeker, ok := test.body.(io.Seeker); ok {
				_, _ = seeker.Seek(0, io.SeekStart)
			} else if test.name == "broken off behind much" {
				break // it can be read once
			}
		}
	}
}

// Only so many large bodies are read at once. The client that sends its own slowest makes room, and is told so.
func TestLargeBodiesAtOnce(t *testing.T) {
	bubble(t, ConnectionLimits{}, NewHandler(testOptions(io.Discard)), func(p *pipes, _ *Connections) {
		begin := func(i, n int) *peer {
			c := p.dial(fmt.Sprintf("192.0.2.1:%d", i+1)).read()
			c.send(fmt.Sprintf("POST /json_rpc HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n", n+len(one)) + strings.Repeat(" ", n))
			return c
		}
		var slow []*peer
		for i := range maxLarge {
			slow = append(slow, begin(i, smallBody+1))
			time.Sleep(time.Millisecond)
		}
		refused := begin(maxLarge, smallBody+1)
		if text, _ := refused.got(); refused.status() != "503" || !strings.HasSuffix(text, busyEnvelope) || !strings.Contains(text, "\r\nRetry-After: 1\r\n") {
			t.Errorf("one too many: %q", text)
		}
		small := begin(maxLarge+1, smallBody-len(one))
		small.send(one)
		if got := small.status(); got != "200" {
			t.Errorf("a body of %d bytes has status %q", smallBody, got)
		}
		time.Sleep(slowWriter)
		next := begin(maxLarge+2, smallBody+1)
		next.send(one)
		if got := next.status(); got != "200" {
			t.Errorf("status %q once somebody is slow", got)
		}
		if text, _ := slow[0].got(); slow[0].status() != "503" || !strings.HasSuffix(text, busyEnvelope) {
			t.Errorf("the slowest was told %q", text)
		}
		slow[1].send(one)
		if got := slow[1].status(); got != "200" {
			t.Errorf("status %q of the second slowest", got)
		}
	})
}
