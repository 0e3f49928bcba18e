package rpc

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/connectionsd/connectionsd/docs"
)

// documentedMethod is a method of openrpc.json.
type documentedMethod struct {
	name   string
	params []string
}

// methods are those of openrpc.json, in its order.
func (d *document) methods(t *testing.T) []documentedMethod {
	t.Helper()
	var list []documentedMethod
	methods, _ := d.find("methods")
	for _, m := range methods.([]any) {
		object := m.(map[string]any)
		method := documentedMethod{name: object["name"].(string)}
		for _, p := range object["params"].([]any) {
			method.params = append(method.params, p.(map[string]any)["name"].(string))
		}
		list = append(list, method)
	}
	return list
}

// schemaOfParam is the schema of a parameter, by the numbers of the method and of the parameter.
func (d *document) schemaOfParam(t *testing.T, method, param int) *jsonschema.Schema {
	t.Helper()
	return d.schema(t, "methods", strconv.Itoa(method), "params", strconv.Itoa(param), "schema")
}

// documentedErrors are the errors of openrpc.json by code; those of a method, unless it is -1.
func (d *document) documentedErrors(method int) map[string]any {
	byCode := make(map[string]any)
	add := func(path ...string) bool {
		e, _ := d.find(path...)
		if e != nil {
			byCode[fmt.Sprint(e.(map[string]any)["code"])] = e
		}
		return e != nil
	}
	if method >= 0 {
		for i := 0; add("methods", strconv.Itoa(method), "errors", strconv.Itoa(i)); i++ {
		}
		return byCode
	}
	for _, name := range d.members("components", "errors") {
		add("components", "errors", name)
	}
	return byCode
}

// The document is one of OpenRPC, by OpenRPC's own schema.
func TestOpenRPCIsValid(t *testing.T) {
	d := openRPCDocument(t)
	schema, err := d.compiler.Compile(openRPCSchema)
	if err != nil {
		t.Fatal(err)
	}
	if err := schema.Validate(d.root); err != nil {
		t.Error(err)
	}
	// That the schema does look: a document without methods is none.
	delete(d.root.(map[string]any), "methods")
	if err := schema.Validate(d.root); err == nil {
		t.Error("a document without methods is valid")
	}
}

// Every method is documented, and no other.
func TestOpenRPCMethods(t *testing.T) {
	var got []string
	for _, method := range openRPCDocument(t).methods(t) {
		got = append(got, method.name)
	}
	want := slices.Sorted(documentedOptions(&stillness{}).Router.names())
	if diff := cmp.Diff(want, slices.Sorted(slices.Values(got))); diff != "" {
		t.Errorf("methods (-served +documented):\n%s", diff)
	}
}

// Every result is what its method's schema says.
func TestOpenRPCResults(t *testing.T) {
	d := openRPCDocument(t)
	params := map[string][]string{"get_connections": {
		`{"extended":true}`, `{"states":["standby"],"extended":true}`, `{"limit":1}`, `{"local_port":7}`, `{"scope":18080}`, `[]`, `null`,
	}}
	for i, method := range d.methods(t) {
		schema := d.schema(t, "methods", strconv.Itoa(i), "result", "schema")
		for _, p := range append(params[method.name], `{}`) {
			c := circumstance{host: aRichHost(), body: `{"jsonrpc":"2.0","id":7,"method":"` + method.name + `","params":` + p + `}`}
			got := c.ask("POST", "/json_rpc")
			var answer struct {
				ID      int
				JSONRPC string
				Result  json.RawMessage
				Error   json.RawMessage
			}
			if err := json.Unmarshal([]byte(got.Body), &answer); err != nil || got.Status != 200 || answer.ID != 7 || answer.JSONRPC != "2.0" || answer.Error != nil {
				t.Errorf("%s %s: %d %.500s, %v", method.name, p, got.Status, got.Body, err)
				continue
			}
			if err := schema.Validate(jsonValue(t, answer.Result)); err != nil {
				t.Errorf("%s %s: %v\n%.1000s", method.name, p, err, answer.Result)
			}
		}
	}
}

// Every error is documented: with its code, its message, and whether it has data; and all that are documented occur. Of a
// method are those that depend on it.
func TestOpenRPCErrors(t *testing.T) {
	d := openRPCDocument(t)
	call := func(method, params string) string {
		return `{"jsonrpc":"2.0","id":7,"method":"` + method + `","params":` + params + `}`
	}
	type request struct {
		circumstance
		verb   string // POST if none
		method int    // its number; -1: none was called
		code   string
		status int
	}
	var requests []request
	at := func(name string) circumstance {
		list := circumstances(t)
		i := slices.IndexFunc(list, func(c circumstance) bool { return c.name == name })
		if i < 0 {
			t.Fatalf("there is no circumstance %q", name)
		}
		return list[i]
	}
	with := func(c circumstance, body string) circumstance {
		c.body = body
		return c
	}
	rich := circumstance{host: aRichHost()}
	for _, r := range []request{
		{circumstance: with(rich, `{`), code: "-32700", status: 200},
		{circumstance: with(rich, `{"jsonrpc":"1.0"}`), code: "-32600", status: 200},
		{circumstance: at("a body too large"), code: "-32600", status: 413},
		{circumstance: with(rich, call("get_peers", `{}`)), code: "-32601", status: 200},
		{circumstance: with(at("no credentials"), ``), code: "401", status: 401},
		{circumstance: with(at("a name that is not the daemon's"), ``), code: "403", status: 403},
		{circumstance: rich, verb: "GET", code: "405", status: 405},
		{circumstance: with(at("too often"), ``), code: "429", status: 429},
		{circumstance: at("a body that does not come"), code: "408", status: 408},
		{circumstance: at("a URL too long"), code: "414", status: 414},
		{circumstance: at("too many at once"), code: "503", status: 503},
	} {
		r.method = -1
		requests = append(requests, r)
	}
	for i, method := range d.methods(t) {
		requests = append(requests, request{circumstance: with(rich, call(method.name, `7`)), method: i, code: "-32602", status: 200})
		// The answers before it fill the batch.
		full := with(rich, `[`+call("much", `{}`)+`,`+call(method.name, `{}`)+`]`)
		full.options = func(o *Options) {
			o.Router.Handle("much", func(_ context.Context, _ json.RawMessage, dst []byte) ([]byte, error) {
				return append(dst, make([]byte, MaxBatchAnswer)...), nil
			})
		}
		requests = append(requests, request{circumstance: full, method: i, code: "-32000", status: 200})
		if method.name == "get_connections" || method.name == "get_info" {
			broken := with(at("the kernel does not answer"), call(method.name, `{}`))
			requests = append(requests, request{circumstance: broken, method: i, code: "-32603", status: 200})
		}
		switch method.name {
		case "get_connections":
			requests = append(requests, request{circumstance: with(rich, call(method.name, `{"scope":3306}`)), method: i, code: "-32001", status: 200})
		case "get_info":
			unseen := with(rich, call(method.name, `{}`))
			unseen.options = func(o *Options) {
				o.Router.methods["get_info"].handler = Handler(node(&stillness{snap: aRichHost()}, 3306).GetInfo).stream()
			}
			requests = append(requests, request{circumstance: unseen, method: i, code: "-32001", status: 200})
		}
	}

	all := d.documentedErrors(-1)
	seen, seenOf := make(map[string]bool), make(map[int]map[string]bool)
	for _, r := range requests {
		verb := http.MethodPost
		if r.verb != "" {
			verb = r.verb
		}
		got := r.ask(verb, "/json_rpc")
		body := []byte(got.Body)
		if body[0] == '[' { // the last of a batch, an error
			body = body[bytes.LastIndex(body, []byte(`,{"error":`))+1 : len(body)-1]
		}
		var answer struct{ Error map[string]any }
		if err := json.Unmarshal(body, &answer); err != nil || got.Status != r.status {
			t.Errorf("%.200s: %d %.200s, %v", r.body, got.Status, body, err)
			continue
		}
		code := fmt.Sprint(answer.Error["code"])
		if code != r.code {
			t.Errorf("%.200s: %.200s, want the code %s", r.body, body, r.code)
		}
		described, ok := all[code].(map[string]any)
		if !ok {
			t.Errorf("%s is not documented", code)
			continue
		}
		if code != "403" && answer.Error["message"] != described["message"] {
			t.Errorf("%s: message %v, the document has %v", code, answer.Error["message"], described["message"])
		}
		if (answer.Error["data"] == nil) != (described["data"] == nil) {
			t.Errorf("%s: data %v, the document has %v", code, answer.Error["data"], described["data"])
		}
		seen[code] = true
		if r.method >= 0 {
			if seenOf[r.method] == nil {
				seenOf[r.method] = make(map[string]bool)
			}
			seenOf[r.method][code] = true
		}
	}
	if diff := cmp.Diff(sortedKeys(all), sortedKeys(seen)); diff != "" {
		t.Errorf("errors (-documented +seen):\n%s", diff)
	}
	for i, method := range d.methods(t) {
		if diff := cmp.Diff(sortedKeys(d.documentedErrors(i)), sortedKeys(seenOf[i])); diff != "" {
			t.Errorf("errors of %s (-documented +seen):\n%s", method.name, diff)
		}
	}
}

// The examples are what their schemas say, and name parameters that there are.
func TestOpenRPCExamples(t *testing.T) {
	d := openRPCDocument(t)
	examples := 0
	for i, method := range d.methods(t) {
		at := []string{"methods", strconv.Itoa(i)}
		list, _ := d.find(append(at, "examples")...)
		pairs, _ := list.([]any)
		for _, pair := range pairs {
			examples++
			example := pair.(map[string]any)
			for _, p := range example["params"].([]any) {
				param := p.(map[string]any)
				j := slices.Index(method.params, param["name"].(string))
				if j < 0 {
					t.Errorf("%s %s: no such parameter: %s", method.name, example["name"], param["name"])
				} else if err := d.schemaOfParam(t, i, j).Validate(param["value"]); err != nil {
					t.Errorf("%s %s: %v", method.name, example["name"], err)
				}
			}
			value := example["result"].(map[string]any)["value"]
			if err := d.schema(t, append(at, "result", "schema")...).Validate(value); err != nil {
				t.Errorf("%s %s: %v", method.name, example["name"], err)
			}
		}
	}
	if examples < 3 {
		t.Errorf("%d examples were looked at", examples)
	}
}

// rpc.discover answers with the document, whole.
func TestOpenRPCDiscovers(t *testing.T) {
	c := circumstance{host: aRichHost(), body: `{"jsonrpc":"2.0","id":7,"method":"rpc.discover"}`}
	var answer struct{ Result any }
	if err := json.Unmarshal([]byte(c.ask("POST", "/json_rpc").Body), &answer); err != nil {
		t.Fatal(err)
	}
	var document any
	if err := json.Unmarshal([]byte(docs.OpenRPC()), &document); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(document, answer.Result); diff != "" {
		t.Errorf("rpc.discover (-document +answer):\n%s", diff)
	}
}
