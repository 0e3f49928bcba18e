package rpc

import (
	"encoding/json"
	"errors"
	"net/http"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/sourcegraph/jsonrpc2"
)

func TestDiscover(t *testing.T) {
	const document = " {\n  \"a\" : [ 1, \"<b>  c\" ]\n}\n"
	h := Discover(document)
	for _, test := range []struct{ params, result, data string }{
		{params: ``, result: `{"a":[1,"<b>  c"]}`},
		{params: `{}`, result: `{"a":[1,"<b>  c"]}`},
		{params: "{ \n}", result: `{"a":[1,"<b>  c"]}`},
		{params: `[]`, result: `{"a":[1,"<b>  c"]}`},
		{params: `[ ]`, result: `{"a":[1,"<b>  c"]}`},
		{params: `[0]`, data: `params: rpc.discover takes none, want {} or nothing, not [0]`},
		{params: `[[]]`, data: `params: rpc.discover takes none, want {} or nothing, not [[]]`},
		{params: `{"a":{}}`, data: `params: rpc.discover takes none, want {} or nothing, not {"a":{}}`},
	} {
		var params json.RawMessage
		if test.params != "" {
			params = json.RawMessage(test.params)
		}
		got, err := h(t.Context(), params, []byte("before"))
		if want := "before" + test.result; string(got) != want {
			t.Errorf("%s: %s, want %s", test.params, got, want)
		}
		var rpcErr *jsonrpc2.Error
		if isRefused := errors.As(err, &rpcErr); isRefused != (test.data != "") || isRefused && (rpcErr.Code != -32602 || reasonOf(err) != test.data) {
			t.Errorf("%s: error %v, want %q", test.params, err, test.data)
		}
	}
}

func TestDiscoverOfWhatIsNoJSON(t *testing.T) {
	defer func() {
		if v := recover(); v == nil {
			t.Error("no panic")
		}
	}()
	Discover(`{"openrpc"`)
}

func TestDocument(t *testing.T) {
	want := response{Status: 200, Body: "openapi: 3.1.0\n", Header: http.Header{
		"Content-Type": {"application/yaml"}, "Content-Length": {"15"},
	}}
	if diff := cmp.Diff(want, ask(Document("application/yaml", "openapi: 3.1.0\n"), "/openapi.yaml")); diff != "" {
		t.Errorf("response (-want +got):\n%s", diff)
	}
}
