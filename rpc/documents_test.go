package rpc

import (
	"bytes"
	"encoding/json"
	"errors"
	"net/netip"
	"os"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"

	"github.com/connectionsd/connectionsd/docs"
	"github.com/connectionsd/connectionsd/model"
)

// A document is docs/openapi.yaml or docs/openrpc.json, with the JSON schemas in it.
type document struct {
	root     any
	compiler *jsonschema.Compiler
}

const documentURL = "document.json"

func newDocument(t *testing.T, root any, draft *jsonschema.Draft) *document {
	t.Helper()
	c := jsonschema.NewCompiler()
	c.DefaultDraft(draft)
	c.AssertFormat()
	c.UseLoader(nowhereElse{})
	if err := c.AddResource(documentURL, root); err != nil {
		t.Fatal(err)
	}
	return &document{root, c}
}

// nowhereElse loads no schema: those that are needed have been added.
type nowhereElse struct{}

func (nowhereElse) Load(url string) (any, error) {
	return nil, errors.New(url + " is not in the document")
}

// openAPIDocument is docs/openapi.yaml. The schemas of OpenAPI 3.1 are those of JSON Schema 2020-12.
func openAPIDocument(t *testing.T) *document {
	t.Helper()
	var root any
	if err := yaml.Unmarshal([]byte(docs.OpenAPI()), &root); err != nil {
		t.Fatal(err)
	}
	asJSON, err := json.Marshal(root) // fails for what YAML has and JSON has not
	if err != nil {
		t.Fatal(err)
	}
	return newDocument(t, jsonValue(t, asJSON), jsonschema.Draft2020)
}

// openRPCSchema is where the specification of OpenRPC says that the schema of its documents is, and openRPCSchemaID its
// $id. The file is that of the npm package @open-rpc/spec 1.4.1, whose licence is beside it.
const (
	openRPCSchema   = "https://raw.githubusercontent.com/open-rpc/meta-schema/master/schema.json"
	openRPCSchemaID = "https://meta.open-rpc.org/"
)

// openRPCDocument is docs/openrpc.json. The schemas of OpenRPC 1.3 are those of JSON Schema draft 7.
func openRPCDocument(t *testing.T) *document {
	t.Helper()
	d := newDocument(t, jsonValue(t, []byte(docs.OpenRPC())), jsonschema.Draft7)
	schema, err := os.ReadFile("testdata/openrpc-1.3/schema.json")
	if err != nil {
		t.Fatal(err)
	}
	// The schema of its schemas is one that wants titles and is else draft 7.
	draft7 := `{"allOf": [{"$ref": "http://json-schema.org/draft-07/schema#"}], "definitions": {"JSONSchemaObject": {"properties": {"$ref": {"type": "string", "format": "uri-reference"}}}}}`
	schema = bytes.Replace(schema, []byte(`"$schema": "https://meta.json-schema.tools/"`), []byte(`"$schema": "http://json-schema.org/draft-07/schema#"`), 1)
	for url, text := range map[string]string{
		openRPCSchema:                     `{"$ref": "` + openRPCSchemaID + `"}`,
		openRPCSchemaID:                   string(schema),
		"https://meta.json-schema.tools":  draft7,
		"https://meta.json-schema.tools/": draft7,
	} {
		if err := d.compiler.AddResource(url, jsonValue(t, []byte(text))); err != nil {
			t.Fatal(err)
		}
	}
	return d
}

// jsonValue is JSON with its numbers as they stand.
func jsonValue(t *testing.T, text []byte) any {
	t.Helper()
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatalf("%v in %.200s", err, text)
	}
	return v
}

// find returns what is at a path of member names and of the numbers of elements, and where it is once the references on the
// way are followed. What is not there is nil.
func (d *document) find(path ...string) (value any, pointer string) {
	value = d.root
	for i := 0; ; i++ {
		if object, ok := value.(map[string]any); ok {
			if ref, ok := object["$ref"].(string); ok && strings.HasPrefix(ref, "#/") {
				value, pointer = d.find(strings.Split(ref[2:], "/")...)
			}
		}
		if i == len(path) {
			return value, pointer
		}
		switch parent := value.(type) {
		case map[string]any:
			value = parent[path[i]]
		case []any:
			value = nil
			if n, err := strconv.Atoi(path[i]); err == nil && n < len(parent) {
				value = parent[n]
			}
		default:
			return nil, ""
		}
		pointer += "/" + strings.NewReplacer("~", "~0", "/", "~1").Replace(path[i])
	}
}

// members are the names of the members of the object at a path, sorted.
func (d *document) members(path ...string) []string {
	value, _ := d.find(path...)
	object, _ := value.(map[string]any)
	return sortedKeys(object)
}

// schema is the schema at a path.
func (d *document) schema(t *testing.T, path ...string) *jsonschema.Schema {
	t.Helper()
	value, pointer := d.find(path...)
	if value == nil {
		t.Fatalf("there is no schema at %s", strings.Join(path, " "))
	}
	schema, err := d.compiler.Compile(documentURL + "#" + pointer)
	if err != nil {
		t.Fatal(err)
	}
	return schema
}

func sortedKeys[V any](m map[string]V) []string {
	var keys []string
	for key := range m {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	return keys
}

// texts are the strings of an array.
func texts(array any) []string {
	var list []string
	elements, _ := array.([]any)
	for _, element := range elements {
		text, _ := element.(string)
		list = append(list, text)
	}
	return list
}

// The two documents have one word for one thing.
func TestDocumentsAgree(t *testing.T) {
	api, rpc := openAPIDocument(t), openRPCDocument(t)
	shared := 0
	for _, name := range rpc.members("components", "schemas") {
		theirs, _ := api.find("components", "schemas", name)
		if theirs == nil {
			continue // of a method that has no path
		}
		shared++
		ours, _ := rpc.find("components", "schemas", name)
		if diff := cmp.Diff(theirs, ours); diff != "" {
			t.Errorf("%s (-openapi.yaml +openrpc.json):\n%s", name, diff)
		}
	}
	if shared < 20 {
		t.Errorf("%d schemas are in both documents", shared)
	}
	theirs, _ := api.find("info", "version")
	if ours, _ := rpc.find("info", "version"); theirs == nil || theirs != ours {
		t.Errorf("version %v of openapi.yaml, %v of openrpc.json", theirs, ours)
	}
}

// Every schema is one, whether an answer needs it or not.
func TestDocumentedSchemasAreSchemas(t *testing.T) {
	for name, d := range map[string]*document{"openapi.yaml": openAPIDocument(t), "openrpc.json": openRPCDocument(t)} {
		for _, schema := range d.members("components", "schemas") {
			if _, err := d.compiler.Compile(documentURL + "#/components/schemas/" + schema); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		}
	}
}

// Each object says which members it can have and has no other.
func TestDocumentedObjectsAreClosed(t *testing.T) {
	for name, d := range map[string]*document{"openapi.yaml": openAPIDocument(t), "openrpc.json": openRPCDocument(t)} {
		objects := 0
		var walk func(v any, at string)
		walk = func(v any, at string) {
			switch v := v.(type) {
			case map[string]any:
				if v["type"] == "object" {
					objects++
					if v["additionalProperties"] != false {
						t.Errorf("%s: %s may have any member", name, at)
					}
				}
				for key, value := range v {
					walk(value, at+"/"+key)
				}
			case []any:
				for _, value := range v {
					walk(value, at)
				}
			}
		}
		walk(d.root, "")
		if objects < 4 {
			t.Errorf("%s: %d objects", name, objects)
		}
	}
}

// fill makes a record of which every member is there, and whatever records it holds too.
func fill(v reflect.Value) {
	switch v.Interface().(type) {
	case netip.Addr:
		v.Set(reflect.ValueOf(netip.MustParseAddr("192.0.2.1")))
		return
	case netip.AddrPort:
		v.Set(reflect.ValueOf(netip.MustParseAddrPort("192.0.2.1:1")))
		return
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			fill(v.Field(i))
		}
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem())
	case reflect.String:
		v.SetString("x")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(1)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(1)
	}
}

// A record can have the members that its schema has, and no other; those that it always has are required.
func TestDocumentedMembers(t *testing.T) {
	type record interface{ AppendJSON(dst []byte) []byte }
	names := func(r record, under string) []string {
		var object map[string]json.RawMessage
		text := r.AppendJSON(nil)
		if err := json.Unmarshal(text, &object); err != nil {
			t.Fatalf("%v in %s", err, text)
		}
		if under != "" {
			var inner map[string]json.RawMessage
			if err := json.Unmarshal(object[under], &inner); err != nil {
				t.Fatalf("%v in %s", err, text)
			}
			object = inner
		}
		return sortedKeys(object)
	}
	for _, test := range []struct {
		schema string
		empty  record // with nothing that can be left out
		full   record
		under  string // the member that is meant, if not the record
	}{
		{schema: "Listener", empty: new(model.Listener), full: new(model.Listener)},
		{schema: "Flow", empty: new(model.Flow), full: new(model.Flow)},
		{schema: "Connection", empty: new(model.Connection), full: new(model.Connection)},
		{schema: "Socket", empty: &model.Connection{Socket: new(model.SocketDetail)}, full: new(model.Connection), under: "socket"},
	} {
		fill(reflect.ValueOf(test.full).Elem())
		for name, d := range map[string]*document{"openapi.yaml": openAPIDocument(t), "openrpc.json": openRPCDocument(t)} {
			schema, _ := d.find("components", "schemas", test.schema)
			if schema == nil && name == "openrpc.json" && (test.schema == "Listener" || test.schema == "Flow") {
				continue // of no method
			}
			if diff := cmp.Diff(d.members("components", "schemas", test.schema, "properties"), names(test.full, test.under)); diff != "" {
				t.Errorf("%s: members of %s (-document +record):\n%s", name, test.schema, diff)
			}
			required, _ := d.find("components", "schemas", test.schema, "required")
			want := texts(required)
			slices.Sort(want)
			if diff := cmp.Diff(want, names(test.empty, test.under)); diff != "" {
				t.Errorf("%s: required members of %s (-document +record):\n%s", name, test.schema, diff)
			}
		}
	}
}

// documentedParameters are the schemas of the parameters of get_connections by name, of each place that has them.
func documentedParameters(t *testing.T) map[string]map[string]*jsonschema.Schema {
	t.Helper()
	api, rpc := openAPIDocument(t), openRPCDocument(t)
	body := make(map[string]*jsonschema.Schema)
	for _, name := range api.members("components", "schemas", "ConnectionsParameters", "properties") {
		body[name] = api.schema(t, "components", "schemas", "ConnectionsParameters", "properties", name)
	}
	params := make(map[string]*jsonschema.Schema)
	for i, method := range rpc.methods(t) {
		for j, name := range method.params {
			if method.name != "get_connections" {
				t.Errorf("%s has the parameter %s", method.name, name)
			}
			params[name] = rpc.schemaOfParam(t, i, j)
		}
	}
	return map[string]map[string]*jsonschema.Schema{"the body of POST /get_connections": body, "openrpc.json": params}
}

// The parameters are documented, each by its name and each once, and no others are.
func TestDocumentedParameters(t *testing.T) {
	var want []string
	lists := make(map[string]bool)
	for _, p := range parameters() {
		want = append(want, p.name)
		lists[p.name] = p.list
	}
	slices.Sort(want)
	for where, schemas := range documentedParameters(t) {
		if diff := cmp.Diff(want, sortedKeys(schemas)); diff != "" {
			t.Errorf("%s (-code +document):\n%s", where, diff)
		}
	}
	api := openAPIDocument(t)
	if diff := cmp.Diff(want, api.members("components", "parameters")); diff != "" {
		t.Errorf("components of openapi.yaml (-code +document):\n%s", diff)
	}
	for _, path := range [][]string{{"paths", "/api/connections", "parameters"}, {"paths", "/get_connections", "get", "parameters"}} {
		list, _ := api.find(path...)
		var got []string
		for _, element := range list.([]any) {
			ref, _ := element.(map[string]any)["$ref"].(string)
			got = append(got, strings.TrimPrefix(ref, "#/components/parameters/"))
		}
		slices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-code +document):\n%s", strings.Join(path, " "), diff)
		}
	}
	for _, name := range want {
		p, _ := api.find("components", "parameters", name)
		if got := p.(map[string]any)["name"]; got != name {
			t.Errorf("the parameter %s is called %v", name, got)
		}
		if _, isList := p.(map[string]any)["explode"]; isList != lists[name] {
			t.Errorf("%s: a list in openapi.yaml: %t, want %t", name, isList, lists[name])
		}
	}
}

// What the schemas of the parameters allow is taken, and what they forbid is refused.
func TestDocumentedParametersAreTheRules(t *testing.T) {
	values := []string{
		`true`, `false`, `null`, `{}`, `[]`, `[[]]`, `1.5`,
		`1.0`, `0.0`, `1e3`, `[1.0]`, `65535.0`, `65536.0`, `2147483647.0`, `2147483648.0`, `"1.0"`,
		`-1`, `0`, `1`, `18080`, `65535`, `65536`, `2147483647`, `2147483648`,
		`[0]`, `[1]`, `[1,65535]`, `[65536]`, `["1"]`, `[null]`, `[` + listed(256, "1") + `]`, `[` + listed(257, "1") + `]`,
		`""`, `"x"`, `"1"`, `"true"`, `"ESTABLISHED"`,
		`["ESTABLISHED"]`, `["SYN_SENT","SYN_RECV","FIN_WAIT1","FIN_WAIT2","CLOSE_WAIT","LAST_ACK","CLOSING"]`,
		`["before_handshake","normal","standby"]`, `["synchronizing"]`, `["LISTEN"]`, `["TIME_WAIT"]`, `["CLOSE"]`, `[""]`, `["x"]`,
		`[` + listed(256, `"normal"`) + `]`, `[` + listed(257, `"normal"`) + `]`,
		`"192.0.2.1"`, `"192.0.2.256"`, `"192.0.2"`, `"192.0.2.01"`, `"192.0.2.0/24"`, `"192.0.2.1/24"`, `"0.0.0.0/0"`, `"192.0.2.1/32"`,
		`"192.0.2.1/33"`, `"192.0.2.0/024"`, `"192.0.2.0/"`, `"2001:db8::1"`, `"::"`, `"::ffff:192.0.2.1"`, `"fe80::1%eth0"`, `"[::1]"`,
		`"2001:db8::/32"`, `"::/0"`, `"::1/128"`, `"::1/129"`, `"1:2:3:4:5:6:7:8/64"`, `"1:2:3:4:5:6:7::/64"`, `"::2:3:4:5:6:7:8/64"`,
		`"1::8/64"`, `"1:2:3:4:5:6:7:8:9/64"`, `"1::2::3/64"`, `"2001:DB8::/032"`, `"2001:db8::g/32"`, `"node.example/24"`,
		`["192.0.2.1","2001:db8::/32"]`, `["192.0.2.1","x"]`, `[` + listed(256, `"::1"`) + `]`, `[` + listed(257, `"::1"`) + `]`,
	}
	for where, schemas := range documentedParameters(t) {
		for name, schema := range schemas {
			taken := 0
			for _, value := range values {
				_, err := parseConnectionsParams(json.RawMessage(`{"` + name + `":` + value + `}`))
				allowed := schema.Validate(jsonValue(t, []byte(value)))
				if (err == nil) != (allowed == nil) {
					t.Errorf("%s: %s %s: the schema says %v, the code %v", where, name, value, allowed, err)
				}
				if err == nil {
					taken++
				}
			}
			if taken == 0 || taken == len(values) {
				t.Errorf("%s: %d of %d values of %s are taken", where, taken, len(values), name)
			}
		}
	}
}
