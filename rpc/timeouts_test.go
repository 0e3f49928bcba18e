package rpc

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rs/zerolog"
)

// slowly sends text byte by byte, one each second.
func slowly(text string) func(c *peer) {
	return func(c *peer) {
		for i := range len(text) {
			if _, err := io.WriteString(c, text[i:i+1]); err != nil {
				return
			}
			time.Sleep(time.Second)
		}
	}
}

func all(text string) func(c *peer) {
	return func(c *peer) { _, _ = io.WriteString(c, text) }
}

// Clients that send nothing, or slowly, are cut off at the time that is said, and told so where there is a request to answer.
func TestSlowSendersAreCutOff(t *testing.T) {
	const call = `{"jsonrpc":"2.0","method":"get_connections","id":1}`
	post := "POST /json_rpc HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n"
	for _, test := range []struct {
		name   string
		send   func(c *peer)
		status string // "": no answer
		body   string // how the answer ends
		ended  time.Duration
	}{
		{"nothing", all(""), "", "", 5 * time.Second},
		{"half a request line", all("GET /healt"), "400", "400 Bad Request", 5 * time.Second},
		{"headers without an end", all("GET /healthz HTTP/1.1\r\nHost: localhost\r\n"), "", "", 5 * time.Second},
		{"headers byte by byte", slowly("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"), "400", "400 Bad Request", 5 * time.Second},
		{
			"half a body", all(post + call), "408",
			`{"error":{"code":408,"message":"the request took longer than 10s to arrive"},"id":null,"jsonrpc":"2.0"}`, 10 * time.Second,
		},
		{
			"a body byte by byte", func(c *peer) { all(post)(c); slowly(strings.Repeat(" ", 100))(c) }, "408",
			`"message":"the request took longer than 10s to arrive"},"id":null,"jsonrpc":"2.0"}`, 10 * time.Second,
		},
		{"a body that nobody reads", all("POST /nowhere HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000\r\n\r\n"), "404", `{"error":"Not found"}`, 10 * time.Second},
		{"one request, then silence", all("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"), "200", `"health"`, 120 * time.Second},
		{
			"one request, then half of another",
			func(c *peer) {
				all("GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")(c)
				time.Sleep(100 * time.Second)
				all("GET /healthz")(c)
			},
			"400", "400 Bad Request", 105 * time.Second,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			bubble(t, ConnectionLimits{}, NewHandler(testOptions(io.Discard)), func(p *pipes, _ *Connections) {
				c := p.dial("192.0.2.1:1").read()
				go test.send(c)
				time.Sleep(test.ended - 1)
				if answer, ended := c.got(); ended != 0 {
					t.Errorf("the connection ended after %v: %q", ended, answer)
				}
				time.Sleep(time.Nanosecond)
				// net/http lets a client read the answer to a body that has not come for half a second.
				const linger = 500 * time.Millisecond
				time.Sleep(linger)
				answer, ended := c.got()
				if ended < test.ended || ended > test.ended+linger {
					t.Errorf("the connection ended after %v, want %v", ended, test.ended)
				}
				if got := c.status(); got != test.status || !strings.HasSuffix(answer, test.body) || test.status == "" && answer != "" {
					t.Errorf("answer %q, want status %q and %s", answer, test.status, test.body)
				}
			})
		})
	}
}

// answering serves an answer of n bytes in one write.
func answering(n int) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, n)) })
}

// Who takes an answer slower than it may is cut off; who keeps up is not, however long it takes.
func TestSlowReadersAreCutOff(t *testing.T) {
	for _, test := range []struct {
		name      string
		request   string
		size      int           // of the answer
		perSecond int           // bytes that the client reads
		ended     time.Duration // 0: never
	}{
		{"nothing of a short answer", getRoot, 1000, 0, 10 * time.Second},
		{"nothing of 64 KiB", getRoot, 64 << 10, 0, 11 * time.Second},
		{"nothing of 512 KiB", getRoot, 512 << 10, 0, 18 * time.Second},
		{"16 MiB at 64 KiB a second", getRoot, 16 << 20, 64 << 10, 0},
		{"16 MiB at 16 KiB a second", getRoot, 16 << 20, 16 << 10, 18 * time.Second},
		{"nothing of what net/http says itself", "hello\r\n\r\n", 0, 0, 10 * time.Second},
		{"nothing of a refusal of net/http", "GET / HTTP/1.1\r\nHost: localhost\r\nExpect: tea\r\n\r\n", 0, 0, 10 * time.Second},
	} {
		t.Run(test.name, func(t *testing.T) {
			bubble(t, ConnectionLimits{}, answering(test.size), func(p *pipes, _ *Connections) {
				c := p.dial("192.0.2.1:1")
				c.send(test.request)
				var ended time.Duration
				go func() {
					<-c.server.closed
					ended = time.Since(c.began)
				}()
				if test.perSecond > 0 {
					go func() {
						for {
							if _, err := io.CopyN(io.Discard, c, int64(test.perSecond)); err != nil {
								return
							}
							time.Sleep(time.Second)
						}
					}()
				}
				wait := test.ended + time.Second
				if test.ended == 0 {
					wait = time.Duration(test.size/test.perSecond) * time.Second
				}
				time.Sleep(wait)
				synctest.Wait()
				if test.ended == 0 && ended != 0 || test.ended != 0 && (ended < test.ended || ended > test.ended+100*time.Millisecond) {
					t.Errorf("the connection ended after %v, want %v", ended, test.ended)
				}
				c.Close()
			})
		})
	}
}

// An answer may take longer to make than a request to arrive, and its client may leave meanwhile.
func TestTheTimeForARequestIsNotThatForItsAnswer(t *testing.T) {
	for _, request := range []string{
		"GET /m HTTP/1.1\r\nHost: localhost\r\n\r\n",
		"POST /m HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}",
	} {
		for leaves, want := range map[time.Duration]time.Duration{time.Hour: time.Minute, 30 * time.Second: 30 * time.Second} {
			var took time.Duration
			router := NewRouter(zerolog.Nop())
			router.HandleStream("m", func(ctx context.Context, _ json.RawMessage, out *Reply) error {
				began := time.Now()
				select {
				case <-ctx.Done():
				case <-time.After(time.Minute):
				}
				took = time.Since(began)
				out.Buf = append(out.Buf, "1"...)
				return nil
			})
			bubble(t, ConnectionLimits{}, NewHandler(Options{Router: router, Bare: router}), func(p *pipes, _ *Connections) {
				c := p.dial("192.0.2.1:1").read()
				c.send(request)
				time.AfterFunc(leaves, func() { c.Close() })
				time.Sleep(time.Minute + time.Second)
				synctest.Wait()
				if took != want {
					t.Errorf("%.4s: the method ran for %v, want %v", request, took, want)
				}
				if leaves > time.Minute && c.status() != "200" {
					t.Errorf("%.4s: status %s", request, c.status())
				}
				time.Sleep(time.Hour)
			})
		}
	}
}

// A client that is told to send its body, and does not read that, is cut off as one that sends none.
func TestUnreadContinue(t *testing.T) {
	bubble(t, ConnectionLimits{}, NewHandler(testOptions(io.Discard)), func(p *pipes, _ *Connections) {
		c := p.dial("192.0.2.1:1")
		c.send("POST /json_rpc HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\n")
		time.Sleep(readTimeout - time.Nanosecond)
		if !c.isOpen() {
			t.Error("the connection ended too early")
		}
		time.Sleep(writeTimeout + time.Second)
		if c.isOpen() {
			t.Error("the connection stays open")
		}
	})
}
