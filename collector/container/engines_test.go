//go:build linux

package container

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rs/zerolog"
)

// quick are limits for tests. That of a call is long: what is to answer does,
// however busy the machine is.
var quick = limits{
	call:     time.Minute,
	answer:   1 << 20,
	check:    20 * time.Millisecond,
	again:    time.Millisecond,
	againMax: 10 * time.Millisecond,
	settle:   time.Millisecond,
	share:    1,
	gapMax:   10 * time.Millisecond,
}

// impatient are those for engines that are not to answer.
var impatient = func() limits {
	l := quick
	l.call = 100 * time.Millisecond
	return l
}()

// log keeps what is logged.
type log struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *log) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

// lines returns level and message of what was logged above debug, of the engine
// at a host alone if one is given.
func (l *log) lines(t *testing.T, host ...string) []string {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	var lines []string
	for line := range bytes.Lines(l.b.Bytes()) {
		var entry struct{ Level, Message, Engine string }
		if err := json.Unmarshal(line, &entry); err != nil {
			t.Fatal(err)
		}
		if entry.Level != "debug" && (host == nil || entry.Engine == host[0]) {
			lines = append(lines, entry.Level+": "+entry.Message)
		}
	}
	return lines
}

const (
	answers = "info: container engine answers"
	fails   = "warn: container engine cannot be asked; its containers keep the names they had"
)

// run makes Engines and runs them until the test is done.
func run(t *testing.T, l limits, o Options) (*Engines, *log) {
	t.Helper()
	logged := new(log)
	o.Log = zerolog.New(logged)
	e, err := newEngines(o, l)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		e.Run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-ended
	})
	return e, logged
}

// until waits until something is so.
func until(t *testing.T, what string, is func() bool) {
	t.Helper()
	deadline := time.Now().Add(time.Minute)
	for !is() {
		if time.Now().After(deadline) {
			t.Fatalf("not so: %s", what)
		}
		time.Sleep(time.Millisecond)
	}
}

// named reports whether the container with that id is called so now, "" for not
// at all.
func (e *Engines) named(id, want string) func() bool {
	return func() bool {
		name, _ := e.Current().Name(id)
		return name == want
	}
}

func TestEngines(t *testing.T) {
	d, p := newFake(t), newFake(t)
	d.set(running(id1, "web", at("bridge", "172.17.0.2"), publishing("0.0.0.0", 80, 8080)))
	p.set(running(id2, "db", at("podman", "10.88.0.2"), publishing("", 5432, 5433)))
	e, log := run(t, quick, Options{Hosts: []string{d.host(), p.host()}})
	<-e.Asked()
	l := e.Current()
	for id, want := range map[string]string{id1: "web", id2: "db"} {
		if name, ok := l.Name(id); name != want || !ok {
			t.Errorf("%s is called %q, %t, want %q", id, name, ok, want)
		}
	}
	if id, ok := l.At(netip.MustParseAddr("10.88.0.2")); id != id2 || !ok {
		t.Errorf("at 10.88.0.2: %q, %t", id, ok)
	}
	if id, private, ok := l.Published(netip.MustParseAddr("127.0.0.1"), 80); id != id1 || private != 8080 || !ok {
		t.Errorf("port 80: %q, %d, %t", id, private, ok)
	}
	if id, private, ok := l.Published(netip.MustParseAddr("::1"), 5432); id != id2 || private != 5433 || !ok {
		t.Errorf("port 5432: %q, %d, %t", id, private, ok)
	}
	diff(t, "problems", []string(nil), e.Problems())
	diff(t, "log", []string{answers, answers}, log.lines(t))
}

func TestNoEngines(t *testing.T) {
	e, err := New(Options{Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	e.Run(t.Context())
	<-e.Asked()
	if _, ok := e.Current().Name(id1); ok || e.Problems() != nil {
		t.Error("something out of nothing")
	}
}

func TestNewRefuses(t *testing.T) {
	const want = "engine %q: want the socket of an engine of this host, such as unix:///run/docker.sock, in at most 107 bytes"
	for _, host := range []string{"", "/run/docker.sock", "unix://", "unix:run/docker.sock", "unix://run/docker.sock", "tcp://192.0.2.1:2375", "npipe:////./pipe/docker_engine", "unix:///" + strings.Repeat("a", 107)} {
		_, err := New(Options{Hosts: []string{"unix:///run/docker.sock", host}, Log: zerolog.Nop()})
		if err == nil || err.Error() != fmt.Sprintf(want, host) {
			t.Errorf("error %v, want %s", err, fmt.Sprintf(want, host))
		}
	}
	if _, err := New(Options{Hosts: []string{"unix:///" + strings.Repeat("a", 106)}, Log: zerolog.Nop()}); err != nil {
		t.Error(err)
	}
}

// What is asked for: the version that the engine has, the containers that have
// processes, and the events that change them.
func TestWhatIsAskedFor(t *testing.T) {
	t.Setenv("DOCKER_HOST", "tcp://192.0.2.1:1")
	t.Setenv("DOCKER_API_VERSION", "1.44")
	t.Setenv("DOCKER_CERT_PATH", "/nowhere")
	t.Setenv("DOCKER_TLS_VERIFY", "1")
	f := newFake(t)
	e, _ := run(t, quick, Options{Hosts: []string{f.host()}})
	<-e.Asked()
	diff(t, "problems", []string(nil), e.Problems())
	f.mu.Lock()
	defer f.mu.Unlock()
	diff(t, "first requests", []string{"/_ping", "/v1.41/events", "/v1.41/containers/json"}, f.requests[:3])
	diff(t, "list", "filters=%7B%22status%22%3A%7B%22paused%22%3Atrue%2C%22running%22%3Atrue%7D%7D", f.queries["/v1.41/containers/json"])
	filters, since, ok := strings.Cut(f.queries["/v1.41/events"], "&since=")
	const wanted = "filters=%7B%22event%22%3A%7B%22connect%22%3Atrue%2C%22destroy%22%3Atrue%2C%22die%22%3Atrue%2C%22died%22%3Atrue%2C%22disconnect%22%3Atrue%2C" +
		"%22remove%22%3Atrue%2C%22rename%22%3Atrue%2C%22start%22%3Atrue%2C%22stop%22%3Atrue%7D%2C%22type%22%3A%7B%22container%22%3Atrue%2C%22network%22%3Atrue%7D%7D"
	diff(t, "events", wanted, filters)
	if !ok || since == "" {
		t.Error("no time from which on")
	}
}

// The list follows the events, and nothing else makes it be asked for again.
func TestEnginesFollow(t *testing.T) {
	f := newFake(t)
	e, _ := run(t, quick, Options{Hosts: []string{f.host()}})
	<-e.Asked()
	until(t, "one listens", func() bool { return f.listening() == 1 })
	for _, step := range []struct {
		name, kind, action string
		containers         []any
		is                 func(*List) bool
	}{
		{"start", "container", "start", []any{running(id1, "web", at("bridge", "172.17.0.2"))}, func(l *List) bool {
			name, _ := l.Name(id1)
			id, _ := l.At(netip.MustParseAddr("172.17.0.2"))
			return name == "web" && id == id1
		}},
		{"rename", "container", "rename", []any{running(id1, "front", at("bridge", "172.17.0.2"))}, func(l *List) bool {
			name, _ := l.Name(id1)
			return name == "front"
		}},
		{"network connect", "network", "connect", []any{running(id1, "front", at("bridge", "172.17.0.2"), at("more", "172.18.0.2"))}, func(l *List) bool {
			id, _ := l.At(netip.MustParseAddr("172.18.0.2"))
			return id == id1
		}},
		{"network disconnect", "network", "disconnect", []any{running(id1, "front", at("more", "172.18.0.2"))}, func(l *List) bool {
			_, ok := l.At(netip.MustParseAddr("172.17.0.2"))
			return !ok
		}},
		{"die", "container", "die", nil, func(l *List) bool {
			_, ok := l.Name(id1)
			return !ok
		}},
		{"start", "container", "start", []any{running(id1, "front")}, func(l *List) bool {
			_, ok := l.Name(id1)
			return ok
		}},
		{"removal, as Podman tells it", "container", "remove", nil, func(l *List) bool {
			_, ok := l.Name(id1)
			return !ok
		}},
	} {
		f.set(step.containers...)
		f.say(step.kind, step.action)
		until(t, step.name, func() bool { return step.is(e.Current()) })
	}

	// An engine that does not filter is not asked for each of its events.
	until(t, "the lists are all made", func() bool { return f.asked("/containers/json") >= 8 })
	before := f.asked("/containers/json")
	for range 100 {
		f.say("container", "exec_create: sh")
		f.say("container", "health_status: healthy")
	}
	f.set(running(id2, "last"))
	f.say("container", "start")
	until(t, "start", e.named(id2, "last"))
	if n := f.asked("/containers/json") - before; n > 2 {
		t.Errorf("%d lists for one event", n)
	}
}

// A burst of events is answered by few lists, at the daemon's own limits.
func TestEnginesBurst(t *testing.T) {
	f := newFake(t)
	l := defaultLimits
	l.call = time.Minute
	e, _ := run(t, l, Options{Hosts: []string{f.host()}})
	<-e.Asked()
	until(t, "one listens", func() bool { return f.listening() == 1 })
	before := f.asked("/containers/json")
	var all []any
	for i := range 500 {
		all = append(all, running(nthID(i), fmt.Sprint("c", i)))
		f.set(all...)
		f.say("container", "start")
	}
	until(t, "the last has started", e.named(nthID(499), "c499"))
	until(t, "the first has started", e.named(nthID(0), "c0"))
	f.endEvents()
	until(t, "all events are heard", func() bool { return f.asked("/events") == 2 && f.listening() == 1 })
	if n := f.asked("/containers/json") - before; n > 5 {
		t.Errorf("%d lists for 500 events", n)
	}
}

// An event during a list makes another one.
func TestEventDuringAList(t *testing.T) {
	f := newFake(t)
	listing, finish := make(chan struct{}), make(chan struct{})
	var first sync.Once
	f.answerWith(func(w http.ResponseWriter, r *http.Request) bool {
		if strings.HasSuffix(r.URL.Path, "/containers/json") {
			stale := false
			first.Do(func() {
				stale = true
				close(listing)
				<-finish
			})
			if stale {
				fmt.Fprint(w, "[]")
			}
			return stale
		}
		return false
	})
	e, _ := run(t, quick, Options{Hosts: []string{f.host()}})
	<-listing
	f.set(running(id1, "web"))
	f.say("container", "start")
	close(finish)
	until(t, "start", e.named(id1, "web"))
}

// Names stay what they were while the engine is away; its first list replaces
// them. The log tells of both once.
func TestEngineIsRestarted(t *testing.T) {
	f := newFake(t)
	f.set(running(id1, "web", at("bridge", "172.17.0.2")), running(id2, "db"))
	e, log := run(t, quick, Options{Hosts: []string{f.host()}})
	<-e.Asked()
	f.stop()
	until(t, "it is missed", func() bool { return e.Problems() != nil })
	diff(t, "problems", []string{"docker at " + f.host() + ": there is no such socket: start the engine, or name the socket that it listens on"}, e.Problems())
	if name, _ := e.Current().Name(id1); name != "web" {
		t.Errorf("called %q while the engine is away", name)
	}
	f.set(running(id1, "front"))
	f.start()
	until(t, "it is back", e.named(id1, "front"))
	if _, ok := e.Current().Name(id2); ok {
		t.Error("the container that went meanwhile is there")
	}
	diff(t, "problems", []string(nil), e.Problems())
	diff(t, "log", []string{answers, fails, answers}, log.lines(t))
	// It is listened to again.
	until(t, "one listens", func() bool { return f.listening() == 1 })
	f.set()
	f.say("container", "die")
	until(t, "die", e.named(id1, ""))
	// The next time is told as well.
	f.stop()
	until(t, "it is missed again", func() bool { return e.Problems() != nil })
	diff(t, "log", []string{answers, fails, answers, fails}, log.lines(t))
}

// An engine that ends its connections and is there is no problem.
func TestConnectionsAreEnded(t *testing.T) {
	f := newFake(t)
	f.set(running(id1, "web"))
	e, log := run(t, quick, Options{Hosts: []string{f.host()}})
	for i := range 3 {
		until(t, "it is listened to and listed", func() bool { return f.listening() == 1 && f.asked("/containers/json") > i })
		f.endEvents()
	}
	until(t, "it is listened to again", func() bool { return f.asked("/events") == 4 })
	diff(t, "problems", []string(nil), e.Problems())
	diff(t, "log", []string{answers}, log.lines(t))
	until(t, "names", e.named(id1, "web"))
}

// A frozen engine keeps its connections open. It is found out all the same, and
// its names stay.
func TestEngineIsFrozen(t *testing.T) {
	f, other := newFake(t), newFake(t)
	f.set(running(id1, "web"))
	e, log := run(t, impatient, Options{Hosts: []string{f.host(), other.host()}})
	until(t, "names", e.named(id1, "web"))
	f.freeze()
	want := "docker at " + f.host() + ": no answer within 100ms: it hangs; restart it"
	until(t, "it is missed", func() bool { return slices.Contains(e.Problems(), want) })
	if name, _ := e.Current().Name(id1); name != "web" {
		t.Errorf("called %q while the engine is frozen", name)
	}
	// The other one is live meanwhile.
	other.set(running(id2, "db"))
	until(t, "one listens", func() bool { return other.listening() == 1 })
	other.say("container", "start")
	until(t, "the other one's start", e.named(id2, "db"))
	f.set(running(id1, "front"))
	f.goOn()
	until(t, "it goes on", e.named(id1, "front"))
	until(t, "no problems", func() bool { return e.Problems() == nil })
	diff(t, "log", []string{answers, fails, answers}, log.lines(t, f.host())[:3])
}

// Whatever an engine does, it is said in a sentence, warned of once, and holds
// up nobody.
func TestFaults(t *testing.T) {
	endless := strings.Repeat(" ", 1<<16)
	only := func(path string, answer http.HandlerFunc) func(http.ResponseWriter, *http.Request) bool {
		return func(w http.ResponseWriter, r *http.Request) bool {
			if !strings.HasSuffix(r.URL.Path, path) {
				return false
			}
			answer(w, r)
			return true
		}
	}
	hang := func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	silent := "no answer within 100ms: it hangs; restart it"
	for _, test := range []struct {
		name   string
		answer func(http.ResponseWriter, *http.Request) bool
		limits limits
		want   string
	}{
		{"accepts and never answers", only("", hang), impatient, silent},
		{"never begins the events", only("/events", hang), impatient, silent},
		{"never answers with the list", only("/containers/json", hang), impatient, silent},
		{"stops in the middle of the list", only("/containers/json", func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, "[")
			w.(http.Flusher).Flush()
			hang(w, r)
		}), impatient, silent},
		{"an endless list", only("/containers/json", func(w http.ResponseWriter, _ *http.Request) {
			for {
				if _, err := io.WriteString(w, endless); err != nil {
					return
				}
			}
		}), quick, "its answer is longer than 1 MiB: see what it lists with docker ps"},
		{"a list that is none", only("/containers/json", func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, `{"message":"no"}`)
		}), quick, "its answer is not understood (json: cannot unmarshal object into Go value of type []container.Summary): see that this is the socket of Docker or Podman, and that it speaks version 1.40 of the API or a later one"},
		{"no JSON", only("/containers/json", func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, "<html>")
		}), quick, "its answer is not understood (invalid character '<' looking for beginning of value): see that this is the socket of Docker or Podman, and that it speaks version 1.40 of the API or a later one"},
		{"the list is cut off", only("/containers/json", func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, `[{"Id":"`)
		}), quick, "it ended the connection: see whether it is being restarted"},
		{"a proxy that forbids the list", only("/containers/json", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusForbidden)
			fmt.Fprint(w, "Not\r\n\x1b[31mallowed"+strings.Repeat("é", 1000))
		}), quick, "it answers 403 Forbidden: Error response from daemon: Not   [31mallowed" + strings.Repeat("é", 64) + " …: it, or a proxy before it, has to allow GET of /_ping, /events and /containers/json"},
		{"a proxy that forbids the events", only("/events", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusForbidden)
			fmt.Fprint(w, "no")
		}), quick, "it answers 403 Forbidden: Error response from daemon: no: it, or a proxy before it, has to allow GET of /_ping, /events and /containers/json"},
		{"another status than that of events", only("/events", func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusAccepted)
			fmt.Fprintln(w, `{"Type":"container","Action":"start"}`)
			w.(http.Flusher).Flush()
			hang(w, r)
		}), quick, "it answers 202 Accepted: it, or a proxy before it, has to allow GET of /_ping, /events and /containers/json"},
		{"no events", only("/events", func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusNoContent)
		}), quick, "it answers 204 No Content: it, or a proxy before it, has to allow GET of /_ping, /events and /containers/json"},
		{"an error of its own", only("/containers/json", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusInternalServerError)
			fmt.Fprint(w, `{"message":"broken"}`)
		}), quick, "it answers 500 Internal Server Error: Error response from daemon: broken: it, or a proxy before it, has to allow GET of /_ping, /events and /containers/json"},
		{"no engine", only("", http.NotFound), quick, "it answers 404 Not Found: Error response from daemon: 404 page not found: it, or a proxy before it, has to allow GET of /_ping, /events and /containers/json"},
		{"too old", only("/_ping", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Api-Version", "1.39")
		}), quick, "its answer is not understood (API version 1.39 is not supported by this client: the minimum supported API version is 1.40): see that this is the socket of Docker or Podman, and that it speaks version 1.40 of the API or a later one"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			f, other := newFake(t), newFake(t)
			f.answerWith(test.answer)
			other.set(running(id1, "web"))
			e, log := run(t, test.limits, Options{Hosts: []string{f.host(), other.host()}, Guessed: true})
			until(t, "the other one's name", e.named(id1, "web"))
			<-e.Asked()
			want := "docker at " + f.host() + ": " + test.want
			until(t, want, func() bool { return slices.Contains(e.Problems(), want) })
			// However often it is tried again, that is told once.
			tries := f.asked("/_ping")
			until(t, "it is tried again", func() bool { return f.asked("/_ping") > tries+3 })
			diff(t, "log", []string{fails}, log.lines(t, f.host()))
			// It recovers by itself.
			f.answerWith(nil)
			f.set(running(id2, "db"))
			until(t, "it is well again", e.named(id2, "db"))
			until(t, "no problems", func() bool { return e.Problems() == nil })
		})
	}
}

// What comes as an event is bounded, and a stream that is of no use does not
// keep the names from being known.
func TestFaultyEvents(t *testing.T) {
	endless := strings.Repeat("x", 1<<16)
	for name, say := range map[string]func(*fake){
		"an endless event": func(f *fake) {
			f.sayRaw(`{"Type":"`)
			for range 17 {
				f.sayRaw(endless)
			}
		},
		"garbage":      func(f *fake) { f.sayRaw("\x00\xff<html>") },
		"another type": func(f *fake) { f.sayRaw(`[1,2,3]` + "\n") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFake(t)
			e, _ := run(t, quick, Options{Hosts: []string{f.host()}})
			<-e.Asked()
			until(t, "one listens", func() bool { return f.listening() == 1 })
			subscriptions := f.asked("/events")
			f.set(running(id1, "web"))
			say(f)
			until(t, "it is listened to anew", func() bool { return f.asked("/events") > subscriptions })
			until(t, "name", e.named(id1, "web"))
		})
	}
}

// Events of any number are no long event.
func TestManyEvents(t *testing.T) {
	f := newFake(t)
	e, _ := run(t, quick, Options{Hosts: []string{f.host()}})
	<-e.Asked()
	until(t, "one listens", func() bool { return f.listening() == 1 })
	attribute := strings.Repeat("x", 1<<16)
	for range 32 {
		f.sayRaw(fmt.Sprintf(`{"Type":"container","Action":"exec_start","Actor":{"Attributes":{"a":%q}}}`+"\n", attribute))
	}
	f.set(running(id1, "web"))
	f.say("container", "start")
	until(t, "name", e.named(id1, "web"))
	if n := f.asked("/events"); n != 1 {
		t.Errorf("listened to %d times, want once", n)
	}
}

// A socket that there never was is not worth a line in the log, and no problem
// where it was only a guess and another one was right.
func TestNoSocket(t *testing.T) {
	missing := noHost(t)
	problem := "docker at " + missing + ": there is no such socket: start the engine, or name the socket that it listens on"

	alone, log := run(t, quick, Options{Hosts: []string{missing}, Guessed: true})
	<-alone.Asked()
	diff(t, "problems of one alone", []string{problem}, alone.Problems())
	diff(t, "log", []string(nil), log.lines(t))

	f := newFake(t)
	guessed, log := run(t, quick, Options{Hosts: []string{missing, f.host()}, Guessed: true})
	<-guessed.Asked()
	diff(t, "problems of guesses", []string(nil), guessed.Problems())
	diff(t, "log", []string{answers}, log.lines(t))
	f.stop()
	until(t, "the right one is missed", func() bool { return guessed.Problems() != nil })
	diff(t, "problems of guesses", []string{"docker at " + f.host() + ": there is no such socket: start the engine, or name the socket that it listens on"}, guessed.Problems())
	f.start()

	named, log := run(t, quick, Options{Hosts: []string{missing, f.host()}})
	<-named.Asked()
	diff(t, "problems of what was named", []string{problem}, named.Problems())
	diff(t, "log", []string{answers}, log.lines(t))
}

// A socket that nobody listens at any more, as a killed engine leaves it.
func TestStaleSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "podman.sock")
	listener, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	listener.SetUnlinkOnClose(false)
	listener.Close()
	e, log := run(t, quick, Options{Hosts: []string{"unix://" + path}})
	<-e.Asked()
	diff(t, "problems", []string{"podman at unix://" + path + ": connection refused: nobody listens at the socket; start the engine"}, e.Problems())
	diff(t, "log", []string{fails}, log.lines(t))
}

// What is no socket at all.
func TestNotASocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "file")
	write(t, path, "")
	e, _ := run(t, quick, Options{Hosts: []string{"unix://" + path + "/docker.sock"}})
	<-e.Asked()
	diff(t, "problems", []string{"docker at unix://" + path + "/docker.sock: it cannot be reached (stat " + path + "/docker.sock: not a directory): name the socket that it listens on"}, e.Problems())
}

// Something that does not speak HTTP.
func TestNotAnEngine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	listener, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			fmt.Fprint(conn, "220 mail.example.org ESMTP\r\n")
			_, _ = conn.Read(make([]byte, 4096))
			conn.Close()
		}
	}()
	defer func() {
		listener.Close()
		<-ended
	}()
	e, log := run(t, quick, Options{Hosts: []string{"unix://" + path}})
	<-e.Asked()
	problems := e.Problems()
	if len(problems) != 1 || !strings.HasPrefix(problems[0], "docker at unix://"+path+": its answer is not understood (") {
		t.Errorf("problems %q", problems)
	}
	diff(t, "log", []string{fails}, log.lines(t))
}

// root may connect to every socket, so that this test runs again as nobody.
func TestForbidden(t *testing.T) {
	const variable = "CONTAINER_TEST_FORBIDDEN"
	if path := os.Getenv(variable); path != "" {
		e, log := run(t, quick, Options{Hosts: []string{"unix://" + path}})
		<-e.Asked()
		diff(t, "problems", []string{"docker at unix://" + path + ": permission denied: run as root or add the user to the group of the socket"}, e.Problems())
		diff(t, "log", []string{fails}, log.lines(t))
		return
	}
	f := newFake(t)
	if err := os.Chmod(f.path, 0); err != nil {
		t.Fatal(err)
	}
	// The directory, which is the test's alone, must let others in.
	for dir := filepath.Dir(f.path); dir != os.TempDir() && dir != "/"; dir = filepath.Dir(dir) {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.Command("/proc/self/exe", "-test.run=^TestForbidden$", "-test.v")
	cmd.Env = append(os.Environ(), variable+"="+f.path)
	if os.Getuid() == 0 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	}
	out, err := cmd.CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("--- PASS: TestForbidden")) {
		t.Errorf("%v:\n%s", err, out)
	}
}

// Run ends at once, whatever an engine is doing.
func TestRunEnds(t *testing.T) {
	for name, answer := range map[string]func(*http.Request) bool{
		"connecting": func(*http.Request) bool { return true },
		"events":     func(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, "/events") },
		"listing":    func(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, "/containers/json") },
		"listening":  func(*http.Request) bool { return false },
	} {
		t.Run(name, func(t *testing.T) {
			f := newFake(t)
			reached := make(chan struct{}, 1000)
			f.answerWith(func(_ http.ResponseWriter, r *http.Request) bool {
				if answer(r) {
					reached <- struct{}{}
					<-r.Context().Done()
					return true
				}
				return false
			})
			l := defaultLimits
			l.call = time.Hour
			e, err := newEngines(Options{Hosts: []string{f.host(), noHost(t)}, Log: zerolog.Nop()}, l)
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan struct{})
			go func() {
				defer close(ended)
				e.Run(ctx)
			}()
			if name == "listening" {
				<-e.Asked()
			} else {
				<-reached
			}
			cancel()
			<-ended
		})
	}
}

// Of one engine at two sockets, one of which is away, the other one counts.
func TestTwoSocketsOfOneEngine(t *testing.T) {
	a, b := newFake(t), newFake(t)
	a.set(running(id1, "web"))
	b.set(running(id1, "web"))
	e, _ := run(t, quick, Options{Hosts: []string{a.host(), b.host()}})
	<-e.Asked()
	a.stop()
	until(t, "one is missed", func() bool { return e.Problems() != nil })
	until(t, "one listens", func() bool { return b.listening() == 1 })
	b.set(running(id1, "front"))
	b.say("container", "rename")
	until(t, "rename", e.named(id1, "front"))
}

func TestMoreContainersThanAreKept(t *testing.T) {
	logged := new(log)
	e, err := newEngines(Options{Hosts: []string{noHost(t)}, Log: zerolog.New(logged)}, quick)
	if err != nil {
		t.Fatal(err)
	}
	full := make([]known, maxContainers)
	for range 2 {
		e.told(e.engines[0], full)
	}
	const tooMany = "warn: container engine has more containers than are kept; the names of the oldest are not known"
	diff(t, "log", []string{tooMany, answers}, logged.lines(t))
}

func TestProblem(t *testing.T) {
	e := &engine{host: "unix:///run/podman/podman.sock", name: "podman", limits: defaultLimits}
	for _, test := range []struct {
		err  error
		want string
	}{
		{&net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.EAGAIN)}, "it accepts no connections: it hangs; restart it"},
		{&net.OpError{Op: "read", Err: os.NewSyscallError("read", syscall.ECONNRESET)}, "it ended the connection: see whether it is being restarted"},
		{&net.OpError{Op: "write", Err: os.NewSyscallError("write", syscall.EPIPE)}, "it ended the connection: see whether it is being restarted"},
		{&net.OpError{Op: "dial", Net: "unix", Err: os.NewSyscallError("connect", syscall.EMFILE)}, "it cannot be reached (dial unix: connect: too many open files): name the socket that it listens on"},
		{context.DeadlineExceeded, "no answer within 2s: it hangs; restart it"},
		{errTooLong, "its answer is longer than 32 MiB: see what it lists with podman ps"},
		{errors.New("a\x00\u202eb\xff"), "its answer is not understood (a  b ): see that this is the socket of Docker or Podman, and that it speaks version 1.40 of the API or a later one"},
	} {
		if got := e.problem(test.err); got != "podman at unix:///run/podman/podman.sock: "+test.want {
			t.Errorf("%v: %q, want %q", test.err, got, test.want)
		}
	}
}
