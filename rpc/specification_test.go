package rpc

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"
)

// specification has the methods that the examples of https://www.jsonrpc.org/specification call, and some that fail. It
// records the calls that reached a handler.
type specification struct {
	*Router
	calls []string
	log   strings.Builder
}

func newSpecification() *specification {
	s := new(specification)
	s.Router = NewRouter(zerolog.New(&s.log))
	handle := func(name string, h func(params json.RawMessage) (any, error)) {
		s.Handle(name, func(_ context.Context, params json.RawMessage, dst []byte) ([]byte, error) {
			s.calls = append(s.calls, name+string(params))
			result, err := h(params)
			if err != nil {
				return append(dst, "dropped"...), err
			}
			text, err := json.Marshal(result)
			return append(dst, text...), err
		})
	}
	handle("subtract", func(params json.RawMessage) (any, error) {
		var numbers []int
		if json.Unmarshal(params, &numbers) == nil && len(numbers) == 2 {
			return numbers[0] - numbers[1], nil
		}
		var named struct{ Minuend, Subtrahend int }
		if err := json.Unmarshal(params, &named); err != nil {
			return nil, InvalidParams("params must be [minuend, subtrahend]")
		}
		return named.Minuend - named.Subtrahend, nil
	})
	handle("sum", func(params json.RawMessage) (any, error) {
		var numbers []int
		err := json.Unmarshal(params, &numbers)
		sum := 0
		for _, n := range numbers {
			sum += n
		}
		return sum, err
	})
	handle("get_data", func(json.RawMessage) (any, error) { return []any{"hello", 5}, nil })
	nothing := func(json.RawMessage) (any, error) { return nil, nil }
	handle("notify_hello", nothing)
	handle("notify_sum", nothing)
	handle("update", nothing)
	handle("echo", func(params json.RawMessage) (any, error) {
		if params == nil {
			return "no params", nil
		}
		return params, nil
	})
	handle("fail", func(json.RawMessage) (any, error) { return nil, errors.New("open /proc/net/secret: denied") })
	handle("panic", func(json.RawMessage) (any, error) { panic("the handler's own") })
	s.Handle("silent", func(_ context.Context, _ json.RawMessage, dst []byte) ([]byte, error) { return dst, nil })
	return s
}

func (s *specification) answer(body string) string {
	return string(s.Answer(context.Background(), ParseMessage([]byte(body)), nil))
}

// Section 7 of the specification, in its order. The answers differ from it in the order of the keys, which is monerod's,
// and in the data that explains an Invalid Request and a Parse error.
var specificationExamples = []struct {
	name, request, answer string
	calls                 []string
}{
	{
		"positional parameters",
		`{"jsonrpc": "2.0", "method": "subtract", "params": [42, 23], "id": 1}`,
		`{"id":1,"jsonrpc":"2.0","result":19}`,
		[]string{`subtract[42, 23]`},
	},
	{
		"positional parameters, the other way round",
		`{"jsonrpc": "2.0", "method": "subtract", "params": [23, 42], "id": 2}`,
		`{"id":2,"jsonrpc":"2.0","result":-19}`,
		[]string{`subtract[23, 42]`},
	},
	{
		"named parameters",
		`{"jsonrpc": "2.0", "method": "subtract", "params": {"subtrahend": 23, "minuend": 42}, "id": 3}`,
		`{"id":3,"jsonrpc":"2.0","result":19}`,
		[]string{`subtract{"subtrahend": 23, "minuend": 42}`},
	},
	{
		"named parameters, the other way round",
		`{"jsonrpc": "2.0", "method": "subtract", "params": {"minuend": 42, "subtrahend": 23}, "id": 4}`,
		`{"id":4,"jsonrpc":"2.0","result":19}`,
		[]string{`subtract{"minuend": 42, "subtrahend": 23}`},
	},
	{
		"a notification",
		`{"jsonrpc": "2.0", "method": "update", "params": [1,2,3,4,5]}`,
		``,
		[]string{`update[1,2,3,4,5]`},
	},
	{
		"a notification of a method that does not exist",
		`{"jsonrpc": "2.0", "method": "foobar"}`,
		``,
		nil,
	},
	{
		"call of a method that does not exist",
		`{"jsonrpc": "2.0", "method": "foobar", "id": "1"}`,
		`{"error":{"code":-32601,"message":"Method not found"},"id":"1","jsonrpc":"2.0"}`,
		nil,
	},
	{
		"invalid JSON",
		`{"jsonrpc": "2.0", "method": "foobar, "params": "bar", "baz]`,
		`{"error":{"code":-32700,"data":"the body is not valid JSON at byte 40","message":"Parse error"},"id":null,"jsonrpc":"2.0"}`,
		nil,
	},
	{
		"invalid Request object",
		`{"jsonrpc": "2.0", "method": 1, "params": "bar"}`,
		`{"error":{"code":-32600,"data":"\"method\" must be a string","message":"Invalid Request"},"id":null,"jsonrpc":"2.0"}`,
		nil,
	},
	{
		"batch, invalid JSON",
		"[\n" + `{"jsonrpc": "2.0", "method": "sum", "params": [1,2,4], "id": "1"},` + "\n" + `{"jsonrpc": "2.0", "method"` + "\n]",
		`{"error":{"code":-32700,"data":"the body is not valid JSON at byte 98","message":"Parse error"},"id":null,"jsonrpc":"2.0"}`,
		nil,
	},
	{
		"an empty array",
		`[]`,
		`{"error":{"code":-32600,"data":"the batch is empty: it must hold 1 to 100 requests","message":"Invalid Request"},"id":null,"jsonrpc":"2.0"}`,
		nil,
	},
	{
		"an invalid batch, but not empty",
		`[1]`,
		`[{"error":{"code":-32600,"data":"a request must be an object","message":"Invalid Request"},"id":null,"jsonrpc":"2.0"}]`,
		nil,
	},
	{
		"an invalid batch",
		`[1,2,3]`,
		`[{"error":{"code":-32600,"data":"a request must be an object","message":"Invalid Request"},"id":null,"jsonrpc":"2.0"},` +
			`{"error":{"code":-32600,"data":"a request must be an object","message":"Invalid Request"},"id":null,"jsonrpc":"2.0"},` +
			`{"error":{"code":-32600,"data":"a request must be an object","message":"Invalid Request"},"id":null,"jsonrpc":"2.0"}]`,
		nil,
	},
	{
		"a batch",
		`[
        {"jsonrpc": "2.0", "method": "sum", "params": [1,2,4], "id": "1"},
        {"jsonrpc": "2.0", "method": "notify_hello", "params": [7]},
        {"jsonrpc": "2.0", "method": "subtract", "params": [42,23], "id": "2"},
        {"foo": "boo"},
        {"jsonrpc": "2.0", "method": "foo.get", "params": {"name": "myself"}, "id": "5"},
        {"jsonrpc": "2.0", "method": "get_data", "id": "9"}
    ]`,
		`[{"id":"1","jsonrpc":"2.0","result":7},` +
			`{"id":"2","jsonrpc":"2.0","result":19},` +
			`{"error":{"code":-32600,"data":"\"jsonrpc\" must be \"2.0\"","message":"Invalid Request"},"id":null,"jsonrpc":"2.0"},` +
			`{"error":{"code":-32601,"message":"Method not found"},"id":"5","jsonrpc":"2.0"},` +
			`{"id":"9","jsonrpc":"2.0","result":["hello",5]}]`,
		[]string{`sum[1,2,4]`, `notify_hello[7]`, `subtract[42,23]`, `get_data`},
	},
	{
		"a batch of notifications",
		`[
        {"jsonrpc": "2.0", "method": "notify_sum", "params": [1,2,4]},
        {"jsonrpc": "2.0", "method": "notify_hello", "params": [7]}
    ]`,
		``,
		[]string{`notify_sum[1,2,4]`, `notify_hello[7]`},
	},
}

func TestSpecificationExamples(t *testing.T) {
	for _, test := range specificationExamples {
		t.Run(test.name, func(t *testing.T) {
			s := newSpecification()
			if diff := cmp.Diff(test.answer, s.answer(test.request)); diff != "" {
				t.Errorf("answer (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(test.calls, s.calls); diff != "" {
				t.Errorf("calls (-want +got):\n%s", diff)
			}
		})
	}
}
