package rpc

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os/exec"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/icholy/digest"
)

// A guardedServer answers on a socket and notes its answers.
type guardedServer struct {
	*httptest.Server
	guard *guard

	mu      sync.Mutex
	answers []string // status, and stale=true where it says so
}

// newGuardedServer returns a server whose clock moves on by late after its first answer.
func newGuardedServer(t *testing.T, late time.Duration) *guardedServer {
	s := &guardedServer{guard: newGuard()}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// One at a time, for the sake of the guard's clock.
		s.mu.Lock()
		defer s.mu.Unlock()
		got := serve(s.guard, r)
		for name, values := range got.Header {
			w.Header()[name] = values
		}
		w.WriteHeader(got.Status)
		_, _ = io.WriteString(w, got.Body)
		answer := fmt.Sprint(got.Status)
		if strings.Contains(fmt.Sprint(got.Header), "stale=true") {
			answer += " stale=true"
		}
		if s.answers == nil {
			s.guard.clock.advance(late)
		}
		s.answers = append(s.answers, answer)
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *guardedServer) wantAnswers(t *testing.T, want []string, failures int) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	if diff := cmp.Diff(want, s.answers); diff != "" {
		t.Errorf("answers (-want +got):\n%s", diff)
	}
	if got := len(s.guard.failures); got != failures {
		t.Errorf("%d failures, want %d", got, failures)
	}
}

func TestCurl(t *testing.T) {
	for _, test := range []struct {
		name, login string
		late        time.Duration
		prints      string
		answers     []string
		failures    int
	}{
		{"right password", "user:pass", 0, `"in"`, []string{"401", "200"}, 0},
		{"right password, nonce expired", "user:pass", nonceLife + 1, `"in"`, []string{"401", "401 stale=true", "200"}, 0},
		{"wrong password", "user:Pass", 0, unauthorizedEnvelope, []string{"401", "401"}, 1},
		{"wrong password, nonce expired", "user:Pass", nonceLife + 1, unauthorizedEnvelope, []string{"401", "401"}, 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newGuardedServer(t, test.late)
			curl := exec.CommandContext(t.Context(), "curl", "--silent", "--show-error", "--noproxy", "*", "--max-time", "30",
				"--digest", "--user", test.login, "--data", one, s.URL+"/json_rpc")
			out, err := curl.CombinedOutput()
			if err != nil {
				t.Fatalf("curl, a command that this test needs: %v\n%s", err, out)
			}
			if string(out) != test.prints {
				t.Errorf("curl prints %s, want %s", out, test.prints)
			}
			s.wantAnswers(t, test.answers, test.failures)
		})
	}
}

// The same by a client that keeps its nonce for the next request.
func TestClientThatKeepsItsNonce(t *testing.T) {
	s := newGuardedServer(t, 0)
	client := &http.Client{Transport: &digest.Transport{Username: "user", Password: "pass", Transport: s.Client().Transport}}
	for i, late := range []time.Duration{0, nonceLife, 1, 0} {
		s.mu.Lock()
		s.guard.clock.advance(late)
		s.mu.Unlock()
		if err := post(client, s.URL); err != nil {
			t.Errorf("request %d: %v", i+1, err)
		}
	}
	s.wantAnswers(t, []string{"401", "200", "200", "401 stale=true", "200", "200"}, 0)
}

// post makes a call that should be let in.
func post(client *http.Client, url string) error {
	got, err := client.Post(url+"/json_rpc", "application/json", strings.NewReader(one))
	if err != nil {
		return err
	}
	defer got.Body.Close()
	body, err := io.ReadAll(got.Body)
	if err != nil {
		return err
	}
	if got.StatusCode != 200 || string(body) != letIn.Body {
		return fmt.Errorf("status %d, %s", got.StatusCode, body)
	}
	return nil
}

// One client with many requests at once: it counts them in one order and sends them in another.
func TestParallelRequestsOfOneClient(t *testing.T) {
	const requests = 200
	auth := newDigestAuth(Login{User: "user", Password: "pass"}, time.Now, nil)
	in := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, http.StatusOK, []byte(`"in"`)) })
	var stale sync.Map
	guarded := auth.require(func(*http.Request) face { return envelopeFace }, in)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		guarded.ServeHTTP(w, r)
		if strings.Contains(fmt.Sprint(w.Header()), "stale=true") {
			stale.Store(r, true)
		}
	}))
	defer server.Close()
	transport := &http.Transport{MaxIdleConnsPerHost: requests}
	defer transport.CloseIdleConnections()
	client := &http.Client{Transport: &digest.Transport{Username: "user", Password: "pass", Transport: transport}}

	if err := post(client, server.URL); err != nil { // from here on the client has a nonce
		t.Fatal(err)
	}
	errs := make([]error, requests)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() { errs[i] = post(client, server.URL) })
	}
	wg.Wait()
	for i, err := range errs {
		if err != nil {
			t.Errorf("request %d: %v", i, err)
		}
	}
	stale.Range(func(any, any) bool {
		t.Error("a request was told that its nonce is stale")
		return false
	})
	if n := auth.nonces.used.Len(); n != 1 {
		t.Errorf("the client needed %d nonces, want 1", n)
	}
}
