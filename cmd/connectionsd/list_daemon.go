package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/icholy/digest"
	"github.com/sourcegraph/jsonrpc2"

	"github.com/connectionsd/connectionsd/rpc"
)

// daemonAddress is where a daemon listens.
type daemonAddress struct {
	network, address string // as net.Dial takes them
	host             string // of the URL
	tls              bool
}

func (a *daemonAddress) String() string { return a.address }

// url returns the root of the daemon's URLs.
func (a *daemonAddress) url() string {
	u := url.URL{Scheme: "http", Host: a.host, Path: "/"}
	if a.tls {
		u.Scheme = "https"
	}
	return u.String()
}

// daemonAddresses are what parseDaemonAddress takes.
const daemonAddresses = "HOST:PORT, http://HOST:PORT, https://HOST:PORT or unix:/PATH"

// errLoginInAddress is for an address that must not be repeated: it may have a password in it.
var errLoginInAddress = errors.New("want " + daemonAddresses + "; a login stands in --rpc-login-file")

// parseDaemonAddress reads HOST:PORT, http://HOST[:PORT], https://HOST[:PORT] or unix:/PATH.
func parseDaemonAddress(s string) (*daemonAddress, error) {
	want := errors.New("want " + daemonAddresses)
	if path, ok := strings.CutPrefix(s, "unix:"); ok {
		path = strings.TrimPrefix(path, "//")
		if _, err := parseUnixSocket(path); err != nil {
			return nil, want
		}
		return &daemonAddress{network: "unix", address: path, host: "localhost"}, nil
	}
	if strings.Contains(s, "@") {
		return nil, errLoginInAddress
	}
	if !strings.Contains(s, "://") {
		if _, _, err := net.SplitHostPort(s); err != nil {
			return nil, want
		}
		s = "http://" + s
	}
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.Path != "" && u.Path != "/" ||
		u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, want
	}
	a := &daemonAddress{network: "tcp", host: u.Host, tls: u.Scheme == "https"}
	port := u.Port()
	if port == "" {
		port = map[bool]string{false: "80", true: "443"}[a.tls]
	}
	if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
		return nil, want
	}
	a.address = net.JoinHostPort(u.Hostname(), port)
	if again, err := url.Parse(a.url()); err != nil || again.Host != a.host { // the zone of an address can be anything
		return nil, want
	}
	return a, nil
}

// maxAnswer bounds what a daemon can make this process read, in bytes: the answer of about a million connections.
const maxAnswer = 1 << 30

// answerTimeout is how long one answer may take, from the connection to its last byte.
const answerTimeout = 30 * time.Second

// daemonSource asks a daemon.
type daemonSource struct {
	at       *daemonAddress
	base     string // of URLs; it may have the token in it, so no message has it
	client   *http.Client
	hasToken bool
	hasLogin bool
}

func openDaemon(o *lookOptions) (source, error) {
	config, err := clientTLS(&o.serve)
	if err != nil {
		return nil, &usageError{err}
	}
	at := o.address
	transport := &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			var dialer net.Dialer
			return dialer.DialContext(ctx, at.network, at.address)
		},
		TLSClientConfig: config, ForceAttemptHTTP2: true,
	}
	s := &daemonSource{
		at: at, base: at.url(),
		client: &http.Client{
			Transport: transport, Timeout: answerTimeout,
			// The daemon redirects nobody; whoever does is not to get the token.
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
	if o.token != "" {
		s.base, s.hasToken = s.base+o.token+"/", true
	}
	if o.serve.RPCLogin != (rpc.Login{}) {
		s.client.Transport = &digest.Transport{Username: o.serve.RPCLogin.User, Password: o.serve.RPCLogin.Password, Transport: transport}
		s.hasLogin = true
	}
	return s, nil
}

// clientTLS returns what the files say of whom to trust and what to show.
func clientTLS(files *Config) (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if name := files.RPCSSLCACertificates; name != "" {
		cas, err := readFile(name)
		if err != nil {
			return nil, fmt.Errorf("--rpc-ssl-ca-certificates: %w", err)
		}
		config.RootCAs = x509.NewCertPool()
		if !config.RootCAs.AppendCertsFromPEM(cas) {
			return nil, fmt.Errorf("--rpc-ssl-ca-certificates %s: there is no certificate in it: want PEM", name)
		}
	}
	if files.RPCSSLCertificate != "" {
		own, err := tlsConfig(Config{RPCSSLCertificate: files.RPCSSLCertificate, RPCSSLPrivateKey: files.RPCSSLPrivateKey})
		if err != nil {
			return nil, err
		}
		config.Certificates = own.Certificates
	}
	return config, nil
}

func (s *daemonSource) close() { s.client.CloseIdleConnections() }

// ask sends the question. No error has the token in it.
func (s *daemonSource) ask(ctx context.Context, q question, params json.RawMessage) ([]byte, error) {
	var answer []byte
	var err error
	if q == apiConnections {
		answer, err = s.get(ctx, params)
	} else {
		answer, err = s.call(ctx, params)
	}
	var said *jsonrpc2.Error
	if err != nil && !errors.As(err, &said) {
		err = fmt.Errorf("ask the daemon at %s: %w", s.at, err)
	}
	return answer, err
}

// call calls get_connections.
func (s *daemonSource) call(ctx context.Context, params json.RawMessage) ([]byte, error) {
	body, err := json.Marshal(map[string]any{"jsonrpc": "2.0", "id": "0", "method": "get_connections", "params": params})
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, s.base+"json_rpc", bytes.NewReader(body))
	if err != nil {
		return nil, errors.New("it has no URL") // which has the token
	}
	request.Header.Set("Content-Type", "application/json")
	answer, err := s.do(request)
	if err != nil {
		return nil, err
	}
	var response struct {
		Result json.RawMessage
		Error  *jsonrpc2.Error
	}
	if err := json.Unmarshal(answer, &response); err != nil {
		return nil, fmt.Errorf("its answer is no JSON-RPC: %w", err)
	}
	switch {
	case response.Error != nil:
		return nil, response.Error
	case len(response.Result) == 0 || response.Result[0] != '{':
		return nil, errors.New("its answer is no result of get_connections")
	}
	return response.Result, nil
}

// get gets /api/connections.
func (s *daemonSource) get(ctx context.Context, params json.RawMessage) ([]byte, error) {
	query, err := queryOf(params)
	if err != nil {
		return nil, err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.base+"api/connections?"+query.Encode(), nil)
	if err != nil {
		return nil, errors.New("it has no URL")
	}
	return s.do(request)
}

// queryOf makes a query string of params, as rpc.ConnectionsQuery made them of one.
func queryOf(params json.RawMessage) (url.Values, error) {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(params, &members); err != nil {
		return nil, err
	}
	query := make(url.Values)
	for name, value := range members {
		values := []json.RawMessage{value}
		if value[0] == '[' {
			if err := json.Unmarshal(value, &values); err != nil {
				return nil, err
			}
		}
		for _, v := range values {
			text := string(v)
			if v[0] == '"' {
				if err := json.Unmarshal(v, &text); err != nil {
					return nil, err
				}
			}
			query.Add(name, text)
		}
	}
	return query, nil
}

// do sends a request and returns the body of a 200.
func (s *daemonSource) do(request *http.Request) ([]byte, error) {
	response, err := s.client.Do(request)
	if err != nil {
		var whole *url.Error
		if errors.As(err, &whole) { // it repeats the URL
			err = whole.Err
		}
		return nil, s.explained(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, s.refused(response)
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("read its answer: %w", err)
	case len(body) > maxAnswer:
		return nil, fmt.Errorf("its answer is longer than %d bytes", maxAnswer)
	}
	return body, nil
}

// explained adds to an error what would help.
func (s *daemonSource) explained(err error) error {
	var unknown x509.UnknownAuthorityError
	switch {
	case errors.As(err, &unknown):
		return fmt.Errorf("%w: want --rpc-ssl-ca-certificates with what signed it", err)
	case strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"):
		return errors.New("it speaks no TLS: want http:// in --rpc-address")
	}
	return err
}

// refused says what an answer that is no 200 means.
func (s *daemonSource) refused(response *http.Response) error {
	switch response.StatusCode {
	case http.StatusUnauthorized:
		if s.hasLogin {
			return errors.New("it does not let this login in (401): see --rpc-login-file")
		}
		return errors.New("it asks for a login (401): want --rpc-login-file")
	case http.StatusNotFound:
		if s.hasToken {
			return errors.New("it does not take this access token, or is no connectionsd (404)")
		}
		return errors.New("it asks for an access token, or is no connectionsd (404): want --access-token")
	}
	body, _ := io.ReadAll(io.LimitReader(response.Body, 4096)) // what it has to say of itself
	if !s.at.tls && bytes.Contains(body, []byte("HTTP request to an HTTPS server")) {
		return errors.New("it speaks TLS alone: want https:// in --rpc-address")
	}
	return fmt.Errorf("it answers %d: %s", response.StatusCode, escaped(said(body)))
}

// said is the error message in the body of an answer, whichever of the two forms it has.
func said(body []byte) string {
	var inWords struct{ Error string }
	if json.Unmarshal(body, &inWords) == nil && inWords.Error != "" {
		return inWords.Error
	}
	var inObject struct{ Error struct{ Message string } }
	if json.Unmarshal(body, &inObject) == nil && inObject.Error.Message != "" {
		return inObject.Error.Message
	}
	return fmt.Sprintf("%.200s", bytes.TrimSpace(body))
}
