package malformed_test

import (
	"bytes"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/connectionsd/connectionsd/test/malformed"
)

// There are more than anybody asks for, of all kinds, no two the same, and in each run the same.
func TestRequests(t *testing.T) {
	const enough = 12_000
	seen := make(map[string]bool)
	kinds := make(map[string]int)
	var first [][]byte
	for request := range malformed.Requests() {
		if seen[string(request.Bytes)] {
			t.Fatalf("twice: %v", request)
		}
		seen[string(request.Bytes)] = true
		kinds[request.Kind]++
		if len(first) < 1000 {
			first = append(first, request.Bytes)
		}
		if len(seen) == enough {
			break
		}
	}
	for _, kind := range malformed.Kinds() {
		if kinds[kind] < 20 {
			t.Errorf("%d requests of the kind %q", kinds[kind], kind)
		}
	}
	i := 0
	for request := range malformed.Requests() {
		if !bytes.Equal(request.Bytes, first[i]) {
			t.Fatalf("request %d is another in the second run: %v", i+1, request)
		}
		if i++; i == len(first) {
			break
		}
	}
}

func TestCheck(t *testing.T) {
	const rpcError = `{"error":{"code":-32700,"message":"Parse error"},"id":null,"jsonrpc":"2.0"}`
	for _, test := range []struct {
		name   string
		answer malformed.Answer
		silent bool
		want   string
	}{
		{"a client's error", malformed.Answer{Status: 400}, false, ""},
		{"another", malformed.Answer{Status: 431}, false, ""},
		{"a server's error", malformed.Answer{Status: 500}, false, "status 500"},
		{"not implemented", malformed.Answer{Status: 501}, true, "status 501"},
		{"a redirect", malformed.Answer{Status: 301}, false, "status 301"},
		{"nothing to say", malformed.Answer{Status: 204}, false, "status 204"},
		{"silence", malformed.Answer{}, false, "the connection was ended without an answer"},
		{"silence that may be", malformed.Answer{}, true, ""},
		{"an error of JSON-RPC", malformed.Answer{Status: 200, Body: []byte(rpcError)}, false, ""},
		{"some", malformed.Answer{Status: 200, Body: []byte("[" + rpcError + "," + rpcError + "]")}, false, ""},
		{"none", malformed.Answer{Status: 200, Body: []byte("[]")}, false, "status 200 with an empty batch"},
		{"a result", malformed.Answer{Status: 200, Body: []byte(`{"jsonrpc":"2.0","result":1}`)}, false, `status 200 with "{\"jsonrpc\":\"2.0\",\"result\":1}", which is no error`},
		{"no JSON-RPC", malformed.Answer{Status: 200, Body: []byte("ok")}, false, `status 200 with "ok", which is no answer of JSON-RPC`},
		{
			"an error of the server",
			malformed.Answer{Status: 200, Body: []byte(`{"jsonrpc":"2.0","error":{"code":-32603,"message":"x"}}`)},
			false,
			`status 200 with "{\"jsonrpc\":\"2.0\",\"error\":{\"code\":-32603,\"message\":\"x\"}}", which is the server's fault`,
		},
	} {
		got := ""
		if err := test.answer.Check(malformed.Request{Silent: test.silent}); err != nil {
			got = err.Error()
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.name, diff)
		}
	}
}
