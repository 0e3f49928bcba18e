package container

import (
	"context"
	"fmt"
	"io"
	"net"
	"runtime/metrics"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// answering is an api whose engine answers each request with the same bytes, and then ends the connection. read is how many
// of them were read at the most.
func answering(t *testing.T, raw []byte, l limits) (a *api, read func() int64) {
	t.Helper()
	a, err := openAPI("unix:///run/docker.sock", "/run/docker.sock", l)
	if err != nil {
		t.Fatal(err)
	}
	var conns []*answerConn
	a.transport.http.DialContext = func(context.Context, string, string) (net.Conn, error) {
		c := &answerConn{left: raw, ready: make(chan struct{})}
		conns = append(conns, c)
		return c, nil
	}
	return a, func() (most int64) {
		for _, c := range conns {
			most = max(most, c.read.Load())
		}
		return most
	}
}

// answerConn answers once something is written to it.
type answerConn struct {
	net.Conn // nil: nothing else is called
	left     []byte
	read     atomic.Int64
	ready    chan struct{} // closed once there is an answer, or the connection is closed
	once     sync.Once
}

func (c *answerConn) Write(b []byte) (int, error) {
	c.once.Do(func() { close(c.ready) })
	return len(b), nil
}

func (c *answerConn) Close() error {
	c.once.Do(func() { close(c.ready) })
	return nil
}

func (c *answerConn) Read(b []byte) (int, error) {
	<-c.ready
	if len(c.left) == 0 {
		return 0, io.EOF
	}
	n := copy(b, c.left)
	c.left = c.left[n:]
	c.read.Add(int64(n))
	return n, nil
}

// allocated is how many bytes this process has ever allocated.
func allocated() uint64 {
	sample := []metrics.Sample{{Name: "/gc/heap/allocs:bytes"}}
	metrics.Read(sample)
	return sample[0].Value.Uint64()
}

// readEvents reads the events of an engine, if there are any, to their end. There can be no more than one for each two of
// the bytes.
func readEvents(t *testing.T, a *api, bytes int) {
	t.Helper()
	s, err := a.events(t.Context())
	if err != nil {
		return
	}
	defer s.close()
	for n := 0; ; n++ {
		select {
		case err := <-s.failed:
			if err == nil {
				t.Error("the events ended without a reason")
			}
			return
		case <-s.events:
			s.heard()
			if n > bytes/2 {
				t.Fatalf("%d events in %d bytes", n, bytes)
			}
		}
	}
}

// Whatever an engine answers, the list is of proper containers or there is an error; and what it costs to read is bounded by
// what may be read, not by what the answer says of itself.
func FuzzEngineAnswer(f *testing.F) {
	head := func(status, headers string) string { return "HTTP/1.1 " + status + "\r\n" + headers + "\r\n" }
	list := `[{"Id":"` + id1 + `","Names":["/db"],"Ports":[{"IP":"0.0.0.0","PrivatePort":1,"PublicPort":2,"Type":"tcp"}],` +
		`"NetworkSettings":{"Networks":{"bridge":{"IPAddress":"172.17.0.2"}}}}]`
	for _, answer := range []string{
		"", "x", head("200 OK", ""), head("200 OK", "Content-Type: application/json\r\n") + list,
		head("200 OK", fmt.Sprintf("Content-Length: %d\r\nApi-Version: 1.41\r\n", len(list))) + list,
		head("200 OK", "Content-Length: 99999999999\r\n") + list[:30],
		head("200 OK", "Transfer-Encoding: chunked\r\n") + fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", len(list), list),
		head("200 OK", "Transfer-Encoding: chunked\r\n") + "7fffffff\r\n[",
		head("200 OK", "") + "[" + strings.Repeat(`{},`, 3000) + `{}]`,
		head("200 OK", "") + strings.Repeat("[", 9000),
		head("200 OK", "Content-Encoding: gzip\r\n") + "\x1f\x8b\x08",
		head("404 Not Found", "Content-Type: application/json\r\n") + `{"message":"page not found"}`,
		head("500 Internal Server Error", "") + strings.Repeat("x", 5000),
		head("301 Moved Permanently", "Location: http://example.org/\r\n"), head("101 Switching Protocols", "Upgrade: tcp\r\n"),
		head("100 Continue", "") + head("200 OK", "") + list, head("200 OK", "X: "+strings.Repeat("y", 70<<10)+"\r\n"),
		head("200 OK", "") + strings.Repeat(`{"Type":"container","Action":"start","Actor":{"ID":"x"}}`+"\n", 3),
		head("200 OK", ": "+strings.Repeat("y", 50<<10)+"\r\n"), // a line without a name
		head("210 OK", "") + `{"Type":"container","Action":"start","Actor":{"ID":"x"}}` + "\n",
		head("200 OK", "") + "{}{}[]", head("200 OK", "") + `{"Action":"` + strings.Repeat("x", 9000) + `"}`,
		head("200 OK", "Api-Version: 99999999999999999999.-1\r\nOstype: windows\r\nDocker-Experimental: x\r\n"),
	} {
		f.Add([]byte(answer))
	}
	l := defaultLimits
	l.answer = 8 << 10
	l.call = time.Minute // that nothing is waited for the fuzzer sees to
	f.Fuzz(func(t *testing.T, raw []byte) {
		before := allocated()
		a, _ := answering(t, raw, l)
		_ = a.negotiate(t.Context()) // an error is as good as an answer
		a, read := answering(t, raw, l)
		containers, err := a.list(t.Context())
		a, readOfEvents := answering(t, raw, l)
		readEvents(t, a, len(raw))
		grown := allocated() - before

		// There are up to seven requests, whose headers may be 16 KiB long. encoding/json doubles its buffer, and an empty
		// object of 3 bytes becomes a summary of 300.
		if most := uint64(6<<20 + 16*len(raw)); grown > most {
			t.Errorf("%d bytes were allocated for an answer of %d, want at most %d", grown, len(raw), most)
		}
		if most := maxHeader + l.answer + 8<<10; read() > most {
			t.Errorf("%d bytes were read, want at most %d", read(), most)
		}
		if most := maxHeader + int64(len(raw)); readOfEvents() > most {
			t.Errorf("%d bytes of events were read, want at most %d", readOfEvents(), most)
		}
		if err != nil {
			if len(containers) > 0 {
				t.Errorf("%d containers with error %v", len(containers), err)
			}
			return
		}
		for _, c := range containers {
			if !isID(c.id) || !isName(c.name) {
				t.Errorf("container %q called %q", c.id, c.name)
			}
		}
	})
}
