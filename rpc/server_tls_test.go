package rpc

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"math/big"
	"net"
	"net/http"
	"testing"
	"time"
)

// selfSigned returns the configuration of a server at 127.0.0.1 and that of a client that trusts it.
func selfSigned(t *testing.T) (server, client *tls.Config) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(certificate)
	return &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}, &tls.Config{RootCAs: roots}
}

func TestServeTLS(t *testing.T) {
	for _, want := range []string{"HTTP/1.1", "HTTP/2.0"} {
		serverConfig, clientConfig := selfSigned(t)
		l := listen(t)
		stop, ended := start(t, &Server{
			TLS: serverConfig, DrainTimeout: time.Hour,
			Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.WriteString(w, r.Proto) }),
		}, l)
		client := &http.Client{Transport: &http.Transport{TLSClientConfig: clientConfig, ForceAttemptHTTP2: want == "HTTP/2.0"}}
		for range 2 {
			response, err := client.Get("https://" + l.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			body, err := io.ReadAll(response.Body)
			response.Body.Close()
			if err != nil || string(body) != want {
				t.Errorf("spoken is %q, %v, want %s", body, err, want)
			}
		}
		stop() // with an idle connection
		if err := <-ended; err != nil {
			t.Errorf("Serve: %v", err)
		}
		client.CloseIdleConnections()
	}
}

func TestServeCutsOffAHandshakeThatDoesNotEnd(t *testing.T) {
	config, _ := selfSigned(t)
	for name, sent := range map[string]string{"nothing": "", "half a record": "\x16\x03\x01\x02\x00\x01"} {
		l := listen(t)
		stop, ended := start(t, &Server{TLS: config, Handler: http.NotFoundHandler(), handshakeTimeout: 20 * time.Millisecond}, l)
		conn, err := net.Dial("tcp", l.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(conn, sent); err != nil {
			t.Fatal(err)
		}
		// The daemon ends it, in less than a Server's own 5 seconds; the client would wait for longer.
		if err := conn.SetReadDeadline(time.Now().Add(4 * time.Second)); err != nil {
			t.Fatal(err)
		}
		if got, err := io.ReadAll(conn); err != nil || len(got) > 0 {
			t.Errorf("%s: answer %q, error %v, want a closed connection", name, got, err)
		}
		conn.Close()
		stop()
		if err := <-ended; err != nil {
			t.Errorf("Serve: %v", err)
		}
	}
}

func TestServeTLSTellsAPlainClient(t *testing.T) {
	config, _ := selfSigned(t)
	l := listen(t)
	start(t, &Server{TLS: config, Handler: http.NotFoundHandler()}, l)
	response, err := http.ReadResponse(bufio.NewReader(send(t, l)), nil)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(response.Body)
	const want = "Client sent an HTTP request to an HTTPS server.\n"
	if err != nil || response.StatusCode != http.StatusBadRequest || string(body) != want {
		t.Errorf("status %d, body %q, %v", response.StatusCode, body, err)
	}
}

// A request of HTTP/2 has a goroutine of its own: Serve waits for it although the connection is closed.
func TestServeWaitsForTheRequestsOfHTTP2(t *testing.T) {
	serverConfig, clientConfig := selfSigned(t)
	arrived, cancelled, release := make(chan struct{}), make(chan struct{}), make(chan struct{})
	l := listen(t)
	stop, ended := start(t, &Server{
		TLS: serverConfig, DrainTimeout: time.Millisecond, closeTimeout: time.Hour,
		Handler: http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			close(arrived)
			<-r.Context().Done()
			close(cancelled)
			<-release
		}),
	}, l)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: clientConfig, ForceAttemptHTTP2: true}}
	failed := make(chan error, 1)
	go func() {
		response, err := client.Get("https://" + l.Addr().String())
		if err == nil {
			response.Body.Close()
		}
		failed <- err
	}()
	<-arrived
	stop()
	<-cancelled
	if err := <-failed; err == nil {
		t.Error("the request was answered")
	}
	select {
	case err := <-ended:
		t.Errorf("Serve returned %v with a request that runs", err)
		close(release)
		return
	default:
	}
	close(release)
	if err := <-ended; err != nil {
		t.Errorf("Serve: %v", err)
	}
	client.CloseIdleConnections()
}

func TestInFlightWaits(t *testing.T) {
	var f inFlight
	arrived, release := make(chan struct{}), make(chan struct{})
	over := false
	h := f.counted(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		close(arrived)
		<-release
		over = true
	}))
	go h.ServeHTTP(nil, new(http.Request))
	<-arrived
	go close(release)
	f.wait()
	if !over { // which the race detector looks at too
		t.Error("the request still runs")
	}
}

func TestNoRequestBeginsAfterTheLast(t *testing.T) {
	var f inFlight
	h := f.counted(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	h.ServeHTTP(nil, new(http.Request))
	f.wait()
	defer func() {
		if v := recover(); v != http.ErrAbortHandler {
			t.Errorf("panic %v, want http.ErrAbortHandler", v)
		}
	}()
	h.ServeHTTP(nil, new(http.Request))
}
