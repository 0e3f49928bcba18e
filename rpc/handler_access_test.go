package rpc

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// statusOf is what h answers a GET.
func statusOf(h http.Handler, path string) int {
	return serve(h, httptest.NewRequest("GET", path, nil)).Status
}

// What begins after SetAccess is let in, or not, by what that says.
func TestSetAccess(t *testing.T) {
	h := NewHandler(testOptions(io.Discard))
	access := Access{AllowedHosts: []string{"example.com"}}
	type statuses struct{ Plain, First, Second, Health, Metrics int }
	now := func() statuses {
		return statuses{
			statusOf(h, "/api/connections"), statusOf(h, "/"+firstToken+"/api/connections"), statusOf(h, "/"+secondToken+"/api/connections"),
			statusOf(h, "/healthz"), statusOf(h, "/metrics"),
		}
	}
	for _, step := range []struct {
		name   string
		change func()
		want   statuses
	}{
		{"as it began", func() {}, statuses{200, 404, 404, 200, 200}},
		{"a token", func() { access.AccessTokens = accessTokens(t, firstToken) }, statuses{404, 200, 404, 200, 404}},
		{"another token beside it", func() { access.AccessTokens = accessTokens(t, firstToken, secondToken) }, statuses{404, 200, 200, 200, 404}},
		{"the other token alone", func() { access.AccessTokens = accessTokens(t, secondToken) }, statuses{404, 404, 200, 200, 404}},
		{"a login too", func() { access.Login = userPass }, statuses{404, 404, 401, 200, 404}},
		{"the login alone", func() { access.AccessTokens = nil }, statuses{401, 401, 401, 200, 401}},
		{"none of them", func() { access.Login = Login{} }, statuses{200, 404, 404, 200, 200}},
		{"another name of the host", func() { access.AllowedHosts = []string{"node.example.org"} }, statuses{403, 403, 403, 403, 403}},
	} {
		step.change()
		h.SetAccess(access)
		if diff := cmp.Diff(step.want, now()); diff != "" {
			t.Errorf("%s (-want +got):\n%s", step.name, diff)
		}
	}
}

// A client keeps what it has of an unchanged rate and login, and begins anew where they change.
func TestSetAccessKeepsWhatDoesNotChange(t *testing.T) {
	opts := limited(1, 2)
	opts.Now = func() time.Time { return time.Unix(0, 0) }
	h := NewHandler(opts)
	access := opts.Access
	get := func(want int) {
		t.Helper()
		if got := statusOf(h, "/api/connections"); got != want {
			t.Errorf("status %d, want %d", got, want)
		}
	}
	get(200)
	access.AllowedHosts = append(access.AllowedHosts, "node.example.org")
	h.SetAccess(access)
	get(200)
	get(429)
	access.Burst = 3
	h.SetAccess(access)
	for range 3 {
		get(200)
	}
	get(429)

	access.Rate, access.Login = 0, userPass
	h.SetAccess(access)
	ask := func(nonce string, count int) response {
		request := httptest.NewRequest("POST", "/json_rpc", strings.NewReader(one))
		request.Header.Set("Authorization", rightAttempt().with(func(a *attempt) {
			a.uri, a.nc = "/json_rpc", fmt.Sprintf("%08x", count)
		}).authorization(nonce))
		return serve(h, request)
	}
	nonce := nonceIn(serve(h, httptest.NewRequest("POST", "/json_rpc", nil)))
	if got := ask(nonce, 1).Status; got != 200 {
		t.Errorf("status %d with the login, want 200", got)
	}
	access.Burst = 7
	h.SetAccess(access)
	if got := ask(nonce, 2).Status; got != 200 {
		t.Errorf("status %d with the nonce of before, want 200", got)
	}
	access.Login.Password += "x"
	h.SetAccess(access)
	if got := ask(nonce, 3).Status; got != 401 {
		t.Errorf("status %d with the password of before, want 401", got)
	}
}

// A request ends by the access that it began by.
func TestSetAccessLeavesRequestsInFlight(t *testing.T) {
	opts := testOptions(io.Discard)
	began, end := make(chan struct{}), make(chan struct{})
	opts.Connections = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(began)
		<-end
		writeJSON(w, http.StatusOK, []byte("{}"))
	})
	h := NewHandler(opts)
	answer := make(chan int)
	go func() { answer <- statusOf(h, "/api/connections") }()
	<-began
	h.SetAccess(Access{AccessTokens: accessTokens(t, firstToken), AllowedHosts: opts.AllowedHosts})
	if got := statusOf(h, "/api/connections"); got != 404 {
		t.Errorf("the next request: status %d, want 404", got)
	}
	close(end)
	if got := <-answer; got != 200 {
		t.Errorf("the request in flight: status %d, want 200", got)
	}
}

// Access can be set while requests are answered; for the race detector.
func TestSetAccessConcurrently(t *testing.T) {
	h := NewHandler(limited(1e6, 1e6))
	var asking sync.WaitGroup
	for range 4 {
		asking.Go(func() {
			for range 200 {
				if got := statusOf(h, "/"+firstToken+"/api/connections"); got != 200 && got != 404 {
					t.Errorf("status %d, want 200 or 404", got)
				}
			}
		})
	}
	for i := range 50 {
		access := Access{AllowedHosts: []string{"example.com"}, Rate: 1e6, Burst: 1e6 + i%2, LogEvery: i % 3}
		if i%2 == 0 {
			access.AccessTokens = accessTokens(t, firstToken)
		}
		h.SetAccess(access)
	}
	asking.Wait()
}
