package rpc

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"
)

func failure(code int, message, data, id string) string {
	if data != "" {
		quoted, err := json.Marshal(data)
		if err != nil {
			panic(err)
		}
		data = `"data":` + string(quoted) + `,`
	}
	return fmt.Sprintf(`{"error":{"code":%d,%s"message":"%s"},"id":%s,"jsonrpc":"2.0"}`, code, data, message, id)
}

func invalid(data, id string) string { return failure(-32600, "Invalid Request", data, id) }

func TestIDsAreEchoedByteForByte(t *testing.T) {
	for _, id := range []string{
		`0`, `-0`, `1`, `-1`, `1.0`, `1.50`, `1e3`, `1E+3`, `-1.5e-7`, `1e400`, `18446744073709551616`,
		`123456789012345678901234567890.123456789`,
		`""`, `"0"`, `"a b"`, `"\u0041\/\n\""`, `"\ud83d"`, `"Ж😀"`, `"<b>&"`, `"]},{"`,
		`null`,
	} {
		t.Run(id, func(t *testing.T) {
			s := newSpecification()
			want := `{"id":` + id + `,"jsonrpc":"2.0","result":7}`
			if diff := cmp.Diff(want, s.answer(`{"jsonrpc":"2.0","method":"sum","params":[7],"id": `+id+" }")); diff != "" {
				t.Errorf("result (-want +got):\n%s", diff)
			}
			want = failure(-32601, "Method not found", "", id)
			if diff := cmp.Diff(want, s.answer(`{"jsonrpc":"2.0","method":"none","id":`+id+"\t}")); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
		})
	}
}

func TestEnvelope(t *testing.T) {
	const (
		jsonrpcMust = `"jsonrpc" must be "2.0"`
		methodMust  = `"method" must be a string`
		idMust      = `"id" must be a string, a number or null`
		paramsMust  = "params must be an object or an array"
	)
	parse := func(data string) string { return failure(-32700, "Parse error", data, "null") }
	badParams := func(data string) string { return failure(-32602, "Invalid params", data, "1") }
	result := func(result string) string { return `{"id":1,"jsonrpc":"2.0","result":` + result + `}` }

	for _, test := range []struct{ name, request, want string }{
		{"empty body", ``, parse("the body is empty")},
		{"white space", " \t\r\n", parse("the body is empty")},
		{"byte order mark", "\ufeff{}", parse("the body is not valid JSON at byte 1")},
		{"broken UTF-8 in a string", "{\"jsonrpc\":\"2.0\",\"method\":\"sum\",\"id\":\"\xff\"}", parse("the body is not valid UTF-8")},
		{"trailing garbage", `{"jsonrpc":"2.0","method":"sum","id":1} x`, parse("the body is not valid JSON at byte 41")},
		{"two values", `{"jsonrpc":"2.0","method":"sum","id":1}{}`, parse("the body is not valid JSON at byte 40")},
		{"cut short", `{"jsonrpc":"2.0"`, parse("the body is not valid JSON at byte 16")},
		{"nested beyond reason", strings.Repeat("[", 20000) + strings.Repeat("]", 20000), parse("the body is not valid JSON at byte 10001")},

		{"a number", `1`, invalid("a request must be an object", "null")},
		{"a string", `"{}"`, invalid("a request must be an object", "null")},
		{"null", `null`, invalid("a request must be an object", "null")},
		{"an empty object", `{}`, invalid(jsonrpcMust, "null")},
		{"a batch in a batch", `[[]]`, `[` + invalid("a request must be an object", "null") + `]`},

		{"jsonrpc missing", `{"method":"echo","id":1}`, invalid(jsonrpcMust, "1")},
		{"jsonrpc of version 1", `{"jsonrpc":"1.0","method":"echo","id":1}`, invalid(jsonrpcMust, "1")},
		{"jsonrpc a number", `{"jsonrpc":2.0,"method":"echo","id":1}`, invalid(jsonrpcMust, "1")},
		{"jsonrpc null, notification", `{"jsonrpc":null,"method":"echo"}`, invalid(jsonrpcMust, "null")},
		{"jsonrpc with escapes", `{"jsonrpc":"\u0032.0","method":"echo","id":1}`, result(`"no params"`)},

		{"method missing", `{"jsonrpc":"2.0","id":"x"}`, invalid(methodMust, `"x"`)},
		{"method null", `{"jsonrpc":"2.0","method":null,"id":1}`, invalid(methodMust, "1")},
		{"method an object", `{"jsonrpc":"2.0","method":{"method":"echo"},"id":1}`, invalid(methodMust, "1")},
		{"method empty", `{"jsonrpc":"2.0","method":"","id":1}`, failure(-32601, "Method not found", "", "1")},
		{"method of other case", `{"jsonrpc":"2.0","method":"Echo","id":1}`, failure(-32601, "Method not found", "", "1")},
		{"method with escapes", `{"jsonrpc":"2.0","method":"e\u0063ho","id":1}`, result(`"no params"`)},

		{"id true", `{"jsonrpc":"2.0","method":"echo","id":true}`, invalid(idMust, "null")},
		{"id false", `{"jsonrpc":"2.0","method":"echo","id":false}`, invalid(idMust, "null")},
		{"id an object", `{"jsonrpc":"2.0","method":"echo","id":{}}`, invalid(idMust, "null")},
		{"id an array", `{"jsonrpc":"2.0","method":"echo","id":[1]}`, invalid(idMust, "null")},

		{"params missing", `{"jsonrpc":"2.0","method":"echo","id":1}`, result(`"no params"`)},
		{"params null", `{"jsonrpc":"2.0","method":"echo","params":null,"id":1}`, result(`"no params"`)},
		{"params an empty array", `{"jsonrpc":"2.0","method":"echo","params":[],"id":1}`, result(`[]`)},
		{"params an empty object", `{"jsonrpc":"2.0","method":"echo","params":{},"id":1}`, result(`{}`)},
		{"params hold brackets in strings", `{"jsonrpc":"2.0","method":"echo","params":{"a":"}]\"\\"},"id":1}`, result(`{"a":"}]\"\\"}`)},
		{"params a number", `{"jsonrpc":"2.0","method":"echo","params":1,"id":1}`, badParams(paramsMust)},
		{"params a string", `{"jsonrpc":"2.0","method":"echo","params":"x","id":1}`, badParams(paramsMust)},
		{"params true", `{"jsonrpc":"2.0","method":"echo","params":true,"id":1}`, badParams(paramsMust)},
		{"params a string, no such method", `{"jsonrpc":"2.0","method":"none","params":"x","id":1}`, failure(-32601, "Method not found", "", "1")},
		{"params refused by the method", `{"jsonrpc":"2.0","method":"subtract","params":["a"],"id":1}`, badParams("params must be [minuend, subtrahend]")},

		{"unknown member", `{"jsonrpc":"2.0","method":"echo","id":1,"extra":{"id":2},"extra":3}`, result(`"no params"`)},
		{"names of other case are unknown", `{"jsonrpc":"2.0","method":"echo","id":1,"ID":2,"Method":"none","PARAMS":[1]}`, result(`"no params"`)},
		{"names with escapes", `{"jsonrpc":"2.0","\u006dethod":"echo","\u0069d":1}`, result(`"no params"`)},
		{"method twice", `{"jsonrpc":"2.0","method":"echo","method":"sum","id":1}`, invalid(`"method" is given twice`, "1")},
		{"method twice, notification", `{"jsonrpc":"2.0","method":"echo","method":"echo"}`, invalid(`"method" is given twice`, "null")},
		{"params twice, one in disguise", `{"jsonrpc":"2.0","method":"echo","id":1,"params":[],"p\u0061rams":{}}`, invalid(`"params" is given twice`, "1")},
		{"id twice", `{"jsonrpc":"2.0","method":"echo","id":1,"id":1}`, invalid(`"id" is given twice`, "null")},
		{"id twice, method twice", `{"id":1,"id":2,"jsonrpc":"2.0","method":"echo","method":"echo"}`, invalid(`"id" is given twice`, "null")},

		{"a failure that is not the client's", `{"jsonrpc":"2.0","method":"fail","id":1}`, failure(-32603, "Internal error", "", "1")},
		{"a panic", `{"jsonrpc":"2.0","method":"panic","id":1}`, failure(-32603, "Internal error", "", "1")},
		{"a method without a result", `{"jsonrpc":"2.0","method":"silent","id":1}`, result(`null`)},

		{"notification with invalid params", `{"jsonrpc":"2.0","method":"echo","params":1}`, ``},
		{"notification that fails", `{"jsonrpc":"2.0","method":"fail"}`, ``},
		{"notification that panics", `{"jsonrpc":"2.0","method":"panic"}`, ``},

		{
			"one notification in a batch", ` [ {"jsonrpc":"2.0","method":"echo"} , {"jsonrpc":"2.0","method":"echo","id":1} ] `,
			`[` + result(`"no params"`) + `]`,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, newSpecification().answer(test.request)); diff != "" {
				t.Errorf("answer (-want +got):\n%s", diff)
			}
		})
	}
}

func TestAnswerAppends(t *testing.T) {
	s := newSpecification()
	for _, test := range []struct{ request, want string }{
		{`{"jsonrpc":"2.0","method":"sum","params":[7],"id":1}`, `before {"id":1,"jsonrpc":"2.0","result":7}`},
		{`[{"jsonrpc":"2.0","method":"sum","params":[7],"id":1}]`, `before [{"id":1,"jsonrpc":"2.0","result":7}]`},
		{`[{"jsonrpc":"2.0","method":"sum","params":[7]}]`, `before `},
		{`{`, `before ` + failure(-32700, "Parse error", "the body is not valid JSON at byte 1", "null")},
	} {
		got := string(s.Answer(context.Background(), ParseMessage([]byte(test.request)), []byte("before ")))
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.request, diff)
		}
	}
}

func batchOf(n int, call string) string {
	return "[" + strings.TrimSuffix(strings.Repeat(call+",", n), ",") + "]"
}

func TestBatchLimit(t *testing.T) {
	const call = `{"jsonrpc":"2.0","method":"sum","params":[7],"id":1}`

	s := newSpecification()
	if got, want := s.answer(batchOf(MaxBatch, call)), batchOf(100, `{"id":1,"jsonrpc":"2.0","result":7}`); got != want {
		t.Errorf("batch of %d: got %s", MaxBatch, got)
	}
	if len(s.calls) != 100 {
		t.Errorf("batch of %d: %d calls", MaxBatch, len(s.calls))
	}

	s = newSpecification()
	want := invalid("the batch holds 101 requests: at most 100 are allowed", "null")
	if diff := cmp.Diff(want, s.answer(batchOf(MaxBatch+1, call))); diff != "" {
		t.Errorf("batch of %d (-want +got):\n%s", MaxBatch+1, diff)
	}
	if s.calls != nil {
		t.Errorf("batch of %d: calls %v", MaxBatch+1, s.calls)
	}
}

func TestBatchAnswerLimit(t *testing.T) {
	r := NewRouter(zerolog.Nop())
	half, called := strings.Repeat("1", MaxBatchAnswer/2), 0
	r.Handle("half", func(_ context.Context, _ json.RawMessage, dst []byte) ([]byte, error) {
		called++
		return append(dst, half...), nil
	})
	body := `[{"jsonrpc":"2.0","method":"half","id":1},{"jsonrpc":"2.0","method":"half","id":2},` +
		`{"jsonrpc":"2.0","method":"half","id":3},{"jsonrpc":"2.0","method":"none","id":4},{"jsonrpc":"2.0","method":"half"}]`
	want := `[{"id":1,"jsonrpc":"2.0","result":` + half + `},{"id":2,"jsonrpc":"2.0","result":` + half + `},` +
		failure(-32000, "Answer too large", "the answers before this one have more than 33554432 bytes: send smaller batches", "3") + `,` +
		failure(-32601, "Method not found", "", "4") + `]`
	got := string(r.Answer(context.Background(), ParseMessage([]byte(body)), nil))
	if got != want {
		t.Errorf("%d bytes that end in %.500s, want %d", len(got), got[max(0, len(got)-500):], len(want))
	}
	if called != 3 {
		t.Errorf("called %d times, want 2 results and 1 notification", called)
	}
}

func TestCallsAreCountedBeforeTheyAreMade(t *testing.T) {
	for _, test := range []struct {
		body string
		want int
	}{
		{`{"jsonrpc":"2.0","method":"sum","id":1}`, 1},
		{`{"jsonrpc":"2.0","method":"sum"}`, 1},
		{`1`, 1},
		{`[1]`, 1},
		{`[1, {"a":[1,2,3]} ,"]"]`, 3},
		{batchOf(100, `{}`), 100},
		{batchOf(101, `{}`), 0},
		{`[]`, 0},
		{`[1`, 0},
		{``, 0},
	} {
		if got := ParseMessage([]byte(test.body)).Calls(); got != test.want {
			t.Errorf("%.30s: %d calls, want %d", test.body, got, test.want)
		}
	}
}
