package rpc

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"mime"
	"net/http"
	"net/http/httptest"
	"os"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"github.com/rs/zerolog"

	"github.com/connectionsd/connectionsd/collector/service"
	"github.com/connectionsd/connectionsd/docs"
	"github.com/connectionsd/connectionsd/model"
)

// aRichHost has a bit of all that a host can have, and numbers as large as they come. The owner of its listener on 3306
// cannot be seen.
func aRichHost() *model.Snapshot {
	snap := snapshotOf(
		socketOf(model.Listen, "0.0.0.0:80", "0.0.0.0:0"),
		socketOf(model.Listen, "[::]:22", "[::]:0"),
		socketOf(model.Listen, "[fe80::1]:53", "[::]:0"),
		socketOf(model.Listen, "127.0.0.1:5432", "0.0.0.0:0"),
		socketOf(model.Listen, "192.0.2.1:3306", "0.0.0.0:0"),
		socketOf(model.Listen, "[2001:db8::1]:18080", "[::]:0"),
		socketOf(model.Established, "192.0.2.1:80", "198.51.100.7:50000"),
		socketOf(model.Established, "[2001:db8::1]:18080", "[2001:db8::2]:65535"),
		socketOf(model.Established, "[::ffff:127.0.0.1]:40000", "[::ffff:127.0.0.1]:5432"),
		socketOf(model.Established, "[fe80::1]:40001", "[fe80::2]:443"),
		socketOf(model.Established, "10.0.0.1:18081", "10.0.0.2:0"),
		socketOf(model.SynSent, "192.0.2.1:40002", "203.0.113.9:6379"),
		socketOf(model.SynRecv, "192.0.2.1:80", "203.0.113.9:1"),
		socketOf(model.FinWait1, "192.0.2.1:40003", "203.0.113.9:2"),
		socketOf(model.FinWait2, "192.0.2.1:40004", "203.0.113.9:3"),
		socketOf(model.CloseWait, "192.0.2.1:40005", "203.0.113.9:4"),
		socketOf(model.LastAck, "192.0.2.1:40006", "203.0.113.9:5"),
		socketOf(model.Closing, "192.0.2.1:40007", "203.0.113.9:6"),
		socketOf(model.TimeWait, "192.0.2.1:40008", "203.0.113.9:7"),
		socketOf(model.Close, "192.0.2.1:40009", "203.0.113.9:8"),
	)
	snap.NetNSLabels = map[uint32]string{3: "blue"}
	snap.Zones = map[model.Interface]string{{NetNS: 2, Index: 4}: "wg-0.1@x"}
	snap.Containers = []model.Container{
		{Runtime: "docker", ID: strings.Repeat("0123456789abcdef", 4), Name: "orders-db"},
		{Runtime: "containerd", ID: strings.Repeat("f", 64), PodUID: "0a1b2c3d-4e5f-6071-8293-a4b5c6d7e8f9"},
	}
	snap.Owners = []model.Owner{
		{PID: 1, Name: "nginx", Label: "nginx", Icon: "nginx", Command: "nginx: master process \x1b\u2028\xff", Container: 1},
		{PID: math.MaxInt32, Name: "docker-proxy", Label: "Docker", Icon: "docker", Command: "/usr/bin/docker-proxy -proto tcp", Container: 0},
		{PID: 18080, Name: "a \"\xff\\\x01name", Label: "monerod", Icon: "monero", Container: model.NoContainer},
		{PID: 9, Container: model.NoContainer}, // it left before it was named
	}
	for i := range snap.Known {
		snap.Known[i].Container = model.NoContainer
	}
	for i, owner := range map[int]int32{0: 0, 1: 3, 3: 1, 5: 2, 6: 0, 7: 2, 8: 3} {
		snap.Known[i].Owner, snap.Known[i].Container = owner, snap.Owners[owner].Container
	}
	snap.Known[3].ForwardsTo = 5432
	for _, i := range []int{6, 7, 12} {
		snap.Known[i].Incoming = true
	}
	for _, i := range []int{2, 9} {
		snap.Sockets[i].Interface = 4
	}
	for _, i := range []int{3, 10} {
		snap.Sockets[i].NetNS = 3
	}
	most := &snap.Sockets[7]
	for _, n := range []*uint64{&most.Cookie, &most.BytesReceived, &most.BytesSent, &most.DeliveryRate} {
		*n = math.MaxUint64
	}
	for _, n := range []*uint32{
		&most.UID, &most.Inode, &most.RTT, &most.RTTVar, &most.MinRTT, &most.TotalRetrans, &most.CongestionWindow,
		&most.LastDataRecv, &most.LastDataSent,
	} {
		*n = math.MaxUint32
	}
	most.CongestionState = 4
	k := &snap.Known[7]
	k.ID, k.Age, k.AgeExact, k.Download, k.Upload = [16]byte{0xff, 15: 1}, math.MaxInt64, true, math.MaxUint64, math.MaxUint64
	return snap
}

// noMetric is one that cannot be gathered.
type noMetric struct{}

func (noMetric) Describe(chan<- *prometheus.Desc) {}

func (noMetric) Collect(metrics chan<- prometheus.Metric) {
	desc := prometheus.NewDesc("invalid", "It cannot be gathered.", nil, nil)
	metrics <- prometheus.NewInvalidMetric(desc, errors.New("the metric is invalid"))
}

// metricsOf is the handler of a registry that has some metrics and, if it is broken, one that is invalid.
func metricsOf(broken bool) http.Handler {
	registry := prometheus.NewRegistry()
	registry.MustRegister(prometheus.NewGauge(prometheus.GaugeOpts{Name: "connectionsd_build_info", Help: "1."}))
	if broken {
		registry.MustRegister(noMetric{})
	}
	return promhttp.HandlerFor(registry, promhttp.HandlerOpts{DisableCompression: true})
}

// documentedOptions serve all that is documented, from what c collects.
func documentedOptions(c *stillness) Options {
	n := node(c, 0)
	connections := GetConnections(c, ConnectionsOptions{Height: math.MaxUint64})
	router := NewRouter(zerolog.Nop())
	router.HandleStream("get_connections", connections)
	router.Handle("get_info", n.GetInfo)
	router.Handle("get_version", n.GetVersion)
	router.Handle("rpc.discover", Discover(docs.OpenRPC()))
	bare := NewRouter(zerolog.Nop())
	bare.HandleStream("get_connections", connections)
	bare.Handle("get_info", n.GetInfo)
	bare.Handle("getinfo", n.GetInfo)
	bare.Handle("get_net_stats", n.GetNetStats)
	return Options{
		Router:      router,
		Bare:        bare,
		Queries:     map[string]QueryParams{"get_connections": ConnectionsQuery},
		Connections: RESTConnections(c, service.BuiltIn(), 0, zerolog.Nop()),
		OpenAPI:     Document("application/yaml", docs.OpenAPI()),
		Health:      Health(),
		Ready: Ready(func() error { return c.err }, func() []Degradation {
			return []Degradation{{Feature: "owners", Reason: "CAP_SYS_PTRACE is missing"}}
		}),
		Metrics: metricsOf(c.err != nil),
		Access:  Access{AllowedHosts: []string{"example.com"}}, // of httptest.NewRequest
		Now:     func() time.Time { return time.Unix(1000, 0) },
		Log:     zerolog.Nop(),
	}
}

// A circumstance is how a path is asked for, and of what daemon.
type circumstance struct {
	name    string
	host    *model.Snapshot // nil: the kernel does not answer
	options func(*Options)
	query   string
	body    string
	request func(*http.Request)
	twice   bool // the second answer counts
}

// circumstances bring every answer that there is.
func circumstances(t *testing.T) []circumstance {
	t.Helper()
	rich, login := aRichHost(), func(o *Options) { o.Login = Login{User: "user", Password: "pass"} }
	list := []circumstance{
		{name: "the kernel does not answer"},
		{name: "an empty host", host: snapshotOf()},
		{name: "another method", host: rich, request: func(r *http.Request) { r.Method = http.MethodDelete }},
		{name: "a name that is not the daemon's", host: rich, request: func(r *http.Request) { r.Host = "evil.example" }},
		{name: "a page of another origin", host: rich, request: func(r *http.Request) {
			r.Header.Set("Origin", "https://evil.example")
			r.Header.Set("Sec-Fetch-Site", "cross-site")
		}},
		{name: "no credentials", host: rich, options: login},
		{name: "no token", host: rich, options: func(o *Options) {
			token, err := ParseAccessToken("0123456789abcdef")
			if err != nil {
				t.Fatal(err)
			}
			o.AccessTokens = []AccessToken{token}
		}},
		{name: "too often", host: rich, twice: true, options: func(o *Options) {
			login(o) // without one /metrics is not limited
			o.Rate, o.Burst = 0.1, 1
		}},
		{name: "a query that cannot be read", host: rich, query: "%zz"},
		{name: "an unknown parameter", host: rich, query: "zone=1", body: `{"zone":1}`},
		{name: "a body that is no JSON", host: rich, body: `{`},
		{name: "a body that is no parameters", host: rich, body: `7`},
		{name: "a body too large", host: rich, body: strings.Repeat(" ", MaxBody+1)},
		{name: "a body that does not come", host: rich, request: func(r *http.Request) {
			r.Body = io.NopCloser(iotest.ErrReader(os.ErrDeadlineExceeded))
		}},
		{name: "a URL too long", host: rich, request: func(r *http.Request) { r.RequestURI = "/" + strings.Repeat("a", maxURL) }},
		{name: "too many at once", host: rich, options: func(o *Options) {
			o.bounds = newBounds(func(Refusal) {})
			o.bounds.answering.most = 0
		}},
	}
	for _, test := range []struct{ query, body string }{
		{"", ""},
		{"", "null"},
		{"", "[]"},
		{"extended=true", `{"extended":true}`},
		{"extended=true&states=ESTABLISHED,SYN_SENT,SYN_RECV,FIN_WAIT1,FIN_WAIT2,CLOSE_WAIT,LAST_ACK,CLOSING", `{"extended":true,"states":["normal","standby","before_handshake"]}`},
		{"local_port=7", `{"local_port":7}`},
		{"limit=1&incoming=true", `{"limit":1,"incoming":true}`},
		{"remote_address=2001:db8::/32,198.51.100.7&remote_port=65535&pid=18080&process=x", `{"remote_address":"fe80::2"}`},
		{"scope=80", `{"scope":18080}`},
		{"scope=3306", `{"scope":3306}`}, // whose owner cannot be seen
		{"limit=0", `{"limit":0}`},
	} {
		list = append(list, circumstance{name: "parameters " + test.query + " " + test.body, host: rich, query: test.query, body: test.body})
	}
	return list
}

// ask asks for a path in this circumstance.
func (c circumstance) ask(method, path string) response {
	source := &stillness{snap: c.host}
	if c.host == nil {
		source.err = errors.New("netlink: no buffer space")
	}
	opts := documentedOptions(source)
	if c.options != nil {
		c.options(&opts)
	}
	h := NewHandler(opts)
	for again := c.twice; ; again = false {
		body := ""
		if method == http.MethodPost {
			body = c.body
		}
		r := httptest.NewRequest(method, path, strings.NewReader(body))
		r.URL.RawQuery = c.query
		if c.request != nil {
			c.request(r)
		}
		if got := serve(h, r); !again {
			return got
		}
	}
}

// Every answer is documented, down to the last member, and everything that is documented is an answer.
func TestOpenAPIAnswers(t *testing.T) {
	d := openAPIDocument(t)
	documented, seen := make(map[string]bool), make(map[string]bool)
	for _, path := range d.members("paths") {
		for _, operation := range d.operations(path) {
			for _, status := range d.members("paths", path, operation, "responses") {
				documented[path+" "+operation+" "+status] = true
			}
			for _, c := range circumstances(t) {
				got := c.ask(strings.ToUpper(operation), path)
				of := operation
				if got.Status == http.StatusMethodNotAllowed && operation == "post" {
					of = "get" // where the other methods of a path are described
				}
				if err := d.checkAnswer(t, path, of, got); err != nil {
					t.Errorf("%s %s: %s: %v\n%.1000s", operation, path, c.name, err, got.Body)
				}
				seen[fmt.Sprintf("%s %s %d", path, of, got.Status)] = true
			}
		}
	}
	if diff := cmp.Diff(sortedKeys(documented), sortedKeys(seen)); diff != "" {
		t.Errorf("answers (-documented +seen):\n%s", diff)
	}
}

// HEAD has GET's status everywhere, so that it needs no description of its own.
func TestOpenAPIHead(t *testing.T) {
	for _, path := range openAPIDocument(t).members("paths") {
		for _, c := range circumstances(t) {
			if get, head := c.ask("GET", path).Status, c.ask("HEAD", path).Status; get != head {
				t.Errorf("%s: %s: status %d of GET, %d of HEAD", path, c.name, get, head)
			}
		}
	}
}

// operations are the methods of a path, in lower case.
func (d *document) operations(path string) []string {
	return slices.DeleteFunc(d.members("paths", path), func(name string) bool { return name == "parameters" })
}

// checkAnswer holds an answer against what is documented for its path, method and status.
func (d *document) checkAnswer(t *testing.T, path, operation string, got response) error {
	t.Helper()
	at := []string{"paths", path, operation, "responses", fmt.Sprint(got.Status)}
	if described, _ := d.find(at...); described == nil {
		return fmt.Errorf("status %d is not documented", got.Status)
	}
	for _, name := range d.members(append(at, "headers")...) {
		if err := d.checkHeader(t, append(at, "headers", name), got.Header); err != nil {
			return fmt.Errorf("header %s: %w", name, err)
		}
	}
	mediaType, _, err := mime.ParseMediaType(got.Header.Get("Content-Type"))
	if err != nil {
		return err
	}
	if !slices.Contains(d.members(append(at, "content")...), mediaType) {
		return fmt.Errorf("%s is not documented", mediaType)
	}
	if operation == "head" {
		return nil
	}
	var body any = got.Body
	if mediaType == "application/json" {
		body = jsonValue(t, []byte(got.Body))
	}
	return d.schema(t, append(at, "content", mediaType, "schema")...).Validate(body)
}

func (d *document) checkHeader(t *testing.T, at []string, header http.Header) error {
	t.Helper()
	name := at[len(at)-1]
	var values []string
	for key, list := range header { // WWW-authenticate is sent as monerod writes it
		if strings.EqualFold(key, name) {
			values = append(values, list...)
		}
	}
	if values == nil {
		return errors.New("missing")
	}
	if required, _ := d.find(append(at, "required")...); required != true {
		return errors.New("always there, but not required")
	}
	kind, _ := d.find(append(at, "schema", "type")...)
	for _, text := range values {
		var value any = text
		if kind == "integer" {
			value = json.Number(text)
		}
		if err := d.schema(t, append(at, "schema")...).Validate(value); err != nil {
			return err
		}
	}
	return nil
}

// Every path is documented with its methods, but for those of the envelope, whose matter is openrpc.json, and the profiles of
// Go's runtime, which are no part of the interface.
func TestOpenAPIPaths(t *testing.T) {
	opts := documentedOptions(&stillness{})
	handlers := reflect.ValueOf(opts)
	for i := range handlers.NumField() {
		if field := handlers.Field(i); field.Type() == reflect.TypeFor[http.Handler]() && field.IsNil() && handlers.Type().Field(i).Name != "Profiles" {
			t.Errorf("Options.%s is not in documentedOptions", handlers.Type().Field(i).Name)
		}
	}
	var routes []string
	opts.bounds = newBounds(func(Refusal) {})
	mux := newRoutes(opts, nil, new(buffers), false, func(*http.Request) face { return restFace })
	err := chi.Walk(mux, func(method, route string, _ http.Handler, _ ...func(http.Handler) http.Handler) error {
		if method != http.MethodHead && route != "/" && route != "/json_rpc" {
			routes = append(routes, strings.ToLower(method)+" "+route)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	var documented []string
	d := openAPIDocument(t)
	for _, path := range d.members("paths") {
		for _, operation := range d.operations(path) {
			if operation != "head" {
				documented = append(documented, operation+" "+path)
			}
		}
	}
	slices.Sort(routes)
	slices.Sort(documented)
	if diff := cmp.Diff(documented, routes); diff != "" {
		t.Errorf("paths (-documented +served):\n%s", diff)
	}
}

// The examples are what their schemas say.
func TestOpenAPIExamples(t *testing.T) {
	d := openAPIDocument(t)
	examples := 0
	var walk func(v any, at []string)
	check := func(at []string, value any) {
		examples++
		if err := d.schema(t, append(slices.Clone(at), "schema")...).Validate(value); err != nil {
			t.Errorf("%s: %v", strings.Join(at, " "), err)
		}
	}
	walk = func(v any, at []string) {
		object, ok := v.(map[string]any)
		if !ok {
			return
		}
		if _, ok := object["schema"]; ok {
			if value, ok := object["example"]; ok {
				check(at, value)
			}
			named, _ := object["examples"].(map[string]any)
			for _, example := range named {
				check(at, example.(map[string]any)["value"])
			}
		}
		for key, value := range object {
			walk(value, append(slices.Clone(at), key))
		}
	}
	walk(d.root, nil)
	if examples < 20 {
		t.Errorf("%d examples were looked at", examples)
	}
}
