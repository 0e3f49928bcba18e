//go:build linux

package container

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// fake is an engine at a real socket: it speaks as much of the API as is asked
// for.
type fake struct {
	t    *testing.T
	path string // of the socket

	mu         sync.Mutex
	version    string // of the API
	containers []any  // the list, as it is to be in JSON
	answer     func(w http.ResponseWriter, r *http.Request) bool
	frozen     chan struct{} // closed when it goes on; nil while it is not frozen
	listeners  map[chan string]bool
	requests   []string // paths
	queries    map[string]string
	server     *http.Server
	ended      chan struct{}
}

// newFake starts an engine.
func newFake(t *testing.T) *fake {
	t.Helper()
	f := &fake{
		t: t, path: filepath.Join(t.TempDir(), "docker.sock"), version: "1.41",
		listeners: make(map[chan string]bool), queries: make(map[string]string),
	}
	f.start()
	t.Cleanup(f.stop)
	return f
}

func (f *fake) host() string { return "unix://" + f.path }

func (f *fake) start() {
	f.t.Helper()
	listener, err := net.Listen("unix", f.path)
	if err != nil {
		f.t.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(f.serve)}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = server.Serve(listener)
	}()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.server, f.ended = server, ended
}

// stop ends the engine and all its connections. Its socket is gone, too.
func (f *fake) stop() {
	f.mu.Lock()
	server, ended := f.server, f.ended
	f.server = nil
	f.mu.Unlock()
	if server == nil {
		return
	}
	f.goOn()
	_ = server.Close()
	<-ended
}

// freeze makes it answer nothing, as SIGSTOP does; its connections stay.
func (f *fake) freeze() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.frozen = make(chan struct{})
}

func (f *fake) goOn() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.frozen != nil {
		close(f.frozen)
		f.frozen = nil
	}
}

// set makes these the containers.
func (f *fake) set(containers ...any) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.containers = containers
}

// answerWith lets a function answer; what it returns false for is answered as
// ever.
func (f *fake) answerWith(answer func(w http.ResponseWriter, r *http.Request) bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answer = answer
}

// say tells an event to those who listen, as Docker writes it.
func (f *fake) say(kind, action string) {
	f.sayRaw(fmt.Sprintf(`{"Type":%q,"Action":%q,"Actor":{"ID":%q,"Attributes":{"name":"x"}},"scope":"local","time":1}`+"\n", kind, action, id1))
}

// endEvents ends the streams of events, behind what was said before.
func (f *fake) endEvents() { f.sayRaw("") }

func (f *fake) sayRaw(text string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for listener := range f.listeners {
		listener <- text
	}
}

// asked returns how many requests of a path there were, by its end.
func (f *fake) asked(path string) (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, request := range f.requests {
		if strings.HasSuffix(request, path) {
			n++
		}
	}
	return n
}

// listening returns how many listen to the events.
func (f *fake) listening() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.listeners)
}

func (f *fake) serve(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	f.requests = append(f.requests, r.URL.Path)
	f.queries[r.URL.Path] = r.URL.RawQuery
	version, containers, answer, frozen := f.version, slices.Clone(f.containers), f.answer, f.frozen
	f.mu.Unlock()
	if frozen != nil {
		select {
		case <-frozen:
		case <-r.Context().Done():
			return
		}
	}
	if answer != nil && answer(w, r) {
		return
	}
	w.Header().Set("Api-Version", version)
	switch {
	case r.URL.Path == "/_ping":
		fmt.Fprint(w, "OK")
	case r.URL.Path == "/v1.41/containers/json":
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(containers)
	case r.URL.Path == "/v1.41/events":
		f.serveEvents(w, r)
	default:
		http.NotFound(w, r)
	}
}

func (f *fake) serveEvents(w http.ResponseWriter, r *http.Request) {
	listener := make(chan string, 1024)
	f.mu.Lock()
	f.listeners[listener] = true
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		defer f.mu.Unlock()
		delete(f.listeners, listener)
	}()
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusOK)
	w.(http.Flusher).Flush()
	for {
		select {
		case <-r.Context().Done():
			return
		case text := <-listener:
			if text == "" {
				return
			}
			if _, err := fmt.Fprint(w, text); err != nil {
				return
			}
			w.(http.Flusher).Flush()
		}
	}
}

// running is a container as Docker 20.10 lists it.
func running(id, name string, more ...func(map[string]any)) any {
	c := map[string]any{
		"Id": id, "Names": []string{"/" + name}, "Image": "bb:1", "State": "running", "Ports": []any{},
		"NetworkSettings": map[string]any{"Networks": map[string]any{}},
	}
	for _, f := range more {
		f(c)
	}
	return c
}

// at gives it an address in a network.
func at(network, addr string) func(map[string]any) {
	return func(c map[string]any) {
		c["NetworkSettings"].(map[string]any)["Networks"].(map[string]any)[network] = map[string]any{"IPAddress": addr, "GlobalIPv6Address": "", "MacAddress": "02:42:ac:11:00:02"}
	}
}

// publishing publishes a TCP port of it.
func publishing(ip string, public, private int) func(map[string]any) {
	return func(c map[string]any) {
		c["Ports"] = append(c["Ports"].([]any), map[string]any{"IP": ip, "PublicPort": public, "PrivatePort": private, "Type": "tcp"})
	}
}

// noHost is the address of a socket that there is not.
func noHost(t *testing.T) string {
	return "unix://" + filepath.Join(t.TempDir(), "docker.sock")
}

func diff(t *testing.T, what string, want, got any) {
	t.Helper()
	if d := cmp.Diff(want, got); d != "" {
		t.Errorf("%s (-want +got):\n%s", what, d)
	}
}
