package rpc

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// The deadlines of HTTP/2 are those of each request: a slow one is cut off, and the connection goes on for the others.
func TestSlowClientsOfHTTP2(t *testing.T) {
	serverConfig, clientConfig := selfSigned(t)
	clientConfig.InsecureSkipVerify = true // in a bubble it is the year 2000
	opts := testOptions(io.Discard)
	opts.Connections = answering(1 << 20)
	synctest.Test(t, func(t *testing.T) {
		p := newPipes()
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- (&Server{Handler: NewHandler(opts), TLS: serverConfig}).Serve(ctx, p) }()
		dialed := 0
		transport := &http.Transport{
			TLSClientConfig: clientConfig, ForceAttemptHTTP2: true,
			DialContext: func(context.Context, string, string) (net.Conn, error) {
				dialed++
				return p.dial("192.0.2.1:1").Conn, nil
			},
			// So that it takes no more of a body than it is asked for.
			HTTP2: &http.HTTP2Config{MaxReceiveBufferPerStream: 64 << 10},
		}
		client := &http.Client{Transport: transport}

		body, send := io.Pipe()
		response, err := client.Post("https://localhost/json_rpc", "", body)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(response.Body)
		response.Body.Close()
		if took := time.Since(p.began); err != nil || response.StatusCode != 408 || response.ProtoMajor != 2 || took != readTimeout {
			t.Errorf("a body that does not come: %s %d %s, %v after %v; want 408 after %v", response.Proto, response.StatusCode, text, err, took, readTimeout)
		}
		send.Close()

		began := time.Now()
		unread, err := client.Get("https://localhost/api/connections")
		if err != nil {
			t.Fatal(err)
		}
		time.Sleep(writeTimeout + 8*time.Second + time.Second)
		if n, err := io.Copy(io.Discard, unread.Body); err == nil || n >= 1<<20 {
			t.Errorf("an answer that is not read for %v: %d bytes, %v; want it broken off", time.Since(began), n, err)
		}
		unread.Body.Close()

		response, err = client.Get("https://localhost/healthz")
		if err != nil || response.StatusCode != 200 {
			t.Fatalf("the next request: %v, %v", response, err)
		}
		response.Body.Close()
		if dialed != 1 {
			t.Errorf("%d connections, want 1", dialed)
		}
		response, err = client.Get("https://localhost/" + strings.Repeat("a", maxURL))
		if err != nil || response.StatusCode != 414 {
			t.Fatalf("a URL too long: %v, %v", response, err)
		}
		response.Body.Close()
		transport.CloseIdleConnections()
		stop()
		if err := <-ended; err != nil {
			t.Errorf("Serve: %v", err)
		}
		time.Sleep(time.Hour)
	})
}
