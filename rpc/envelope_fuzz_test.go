package rpc

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"
)

// FuzzEnvelope compares the answers with those that expected finds by way of encoding/json.
func FuzzEnvelope(f *testing.F) {
	for _, example := range specificationExamples {
		f.Add([]byte(example.request))
	}
	for _, seed := range []string{
		``, ` `, `{`, `}`, `[`, `]`, `"`, `\`, `nul`, `null`, `1e`, `{"a"}`, `{"a":}`, `{"a":1,}`, `[1,]`, `[,1]`, "\"\xff\"", "\x00", "\ufeff[]",
		`{"jsonrpc":"2.0","method":"echo","params":[{"a":"}]\"\\"}],"id":1.50}`,
		`{"jsonrpc":"2.0","method":"echo","params":{"a":[[],{}]},"id":"\u0041\"\\"}`,
		`{"jsonrpc":"2.0","\u006dethod":"e\u0063ho","id":null}`,
		`{"jsonrpc":"2.0","method":"echo","params":null,"id":-1e400,"x":true}`,
		`{"jsonrpc":"2.0","method":"echo","params":3,"id":"3"}`,
		`{"jsonrpc":"2.0","method":"panic","id":4}`,
		`{"jsonrpc":"2.0","method":"echo","method":"echo","id":5}`,
		`{"jsonrpc":"2.0","method":"echo","id":6,"id":6}`,
		`{"jsonrpc":"2.0","method":"echo","id":[7]}`,
		`{"jsonrpc":"1.0","method":"echo","id":8}`,
		` [ {"jsonrpc" : "2.0" , "method" : "echo" , "id" : 9 } , [ ] , 10 ] `,
		batchOf(100, `{}`), batchOf(101, `{}`),
	} {
		f.Add([]byte(seed))
	}
	r := NewRouter(zerolog.Nop())
	r.Handle("echo", func(_ context.Context, params json.RawMessage, dst []byte) ([]byte, error) {
		return append(dst, params...), nil
	})
	r.Handle("panic", func(context.Context, json.RawMessage, []byte) ([]byte, error) { panic("in vain") })

	f.Fuzz(func(t *testing.T, body []byte) {
		sent := bytes.Clone(body)
		m := ParseMessage(body)
		answer := r.Answer(context.Background(), m, nil)
		if !bytes.Equal(sent, body) {
			t.Fatalf("the body was changed to %q", body)
		}
		wantAnswers, wantBatch := expected(body)
		if len(answer) == 0 {
			if len(wantAnswers) > 0 {
				t.Fatalf("nothing answered, want %+v", wantAnswers)
			}
			return
		}
		if !json.Valid(answer) {
			t.Fatalf("the answer is not JSON: %q", answer)
		}
		var texts []json.RawMessage
		if wantBatch {
			if err := json.Unmarshal(answer, &texts); err != nil {
				t.Fatalf("the answer to a batch is no array: %v", err)
			}
			if len(texts) > m.Calls() {
				t.Fatalf("%d answers to %d calls", len(texts), m.Calls())
			}
		} else {
			texts = []json.RawMessage{answer}
		}
		var got []outcome
		for _, text := range texts {
			got = append(got, outcomeOf(t, text))
		}
		if diff := cmp.Diff(wantAnswers, got); diff != "" {
			t.Fatalf("answers (-want +got):\n%s", diff)
		}
	})
}

// An outcome is what an answer says: its id and result as they stand, or its id and error code.
type outcome struct {
	ID, Result string
	Code       int
}

type member struct {
	name  string
	value string
}

// decodeMembers are the members of an object as encoding/json finds them.
func decodeMembers(text []byte) ([]member, error) {
	d := json.NewDecoder(bytes.NewReader(text))
	if _, err := d.Token(); err != nil {
		return nil, err
	}
	var members []member
	for d.More() {
		name, err := d.Token()
		if err != nil {
			return nil, err
		}
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			return nil, err
		}
		members = append(members, member{name.(string), string(value)})
	}
	return members, nil
}

// outcomeOf reads one answer and checks its members and their order.
func outcomeOf(t *testing.T, text []byte) outcome {
	t.Helper()
	answer, err := decodeMembers(text)
	if err != nil || len(answer) != 3 {
		t.Fatalf("answer %q: error %v", text, err)
	}
	names := answer[0].name + " " + answer[1].name + " " + answer[2].name
	switch {
	case names == "id jsonrpc result" && answer[1].value == `"2.0"`:
		return outcome{ID: answer[0].value, Result: answer[2].value}
	case names == "error id jsonrpc" && answer[2].value == `"2.0"`:
		e, err := decodeMembers([]byte(answer[0].value))
		if err != nil {
			t.Fatalf("error %q: %v", answer[0].value, err)
		}
		var code int
		if err := json.Unmarshal([]byte(e[0].value), &code); err != nil {
			t.Fatalf("code %q: %v", e[0].value, err)
		}
		messages := map[int]string{
			-32700: `"Parse error"`, -32600: `"Invalid Request"`, -32601: `"Method not found"`,
			-32602: `"Invalid params"`, -32603: `"Internal error"`,
		}
		if e[0].name != "code" || e[len(e)-1] != (member{"message", messages[code]}) ||
			len(e) > 3 || len(e) == 3 && e[1].name != "data" {
			t.Fatalf("error %q", answer[0].value)
		}
		return outcome{ID: answer[1].value, Code: code}
	}
	t.Fatalf("answer %q", text)
	return outcome{}
}

// expected says what must be answered to body, and whether as a batch.
func expected(body []byte) (answers []outcome, batch bool) {
	d := json.NewDecoder(bytes.NewReader(body))
	var value json.RawMessage
	if d.Decode(&value) != nil || !utf8.Valid(body) {
		return []outcome{{ID: "null", Code: -32700}}, false
	}
	if _, err := d.Token(); err != io.EOF {
		return []outcome{{ID: "null", Code: -32700}}, false
	}
	calls := []json.RawMessage{value}
	if value[0] == '[' {
		batch = true
		_ = json.Unmarshal(value, &calls)
		if len(calls) == 0 || len(calls) > 100 {
			return []outcome{{ID: "null", Code: -32600}}, false
		}
	}
	for _, call := range calls {
		if answer, ok := expectedOf(call); ok {
			answers = append(answers, answer)
		}
	}
	return answers, batch
}

// expectedOf says what must be answered to one call, if anything.
func expectedOf(call json.RawMessage) (outcome, bool) {
	if call[0] != '{' {
		return outcome{ID: "null", Code: -32600}, true
	}
	members, _ := decodeMembers(call)
	values, twice := map[string]string{}, false
	for _, m := range members {
		if _, ok := values[m.name]; ok && strings.Contains("|jsonrpc|method|params|id|", "|"+m.name+"|") {
			twice = true
			if m.name == "id" {
				return outcome{ID: "null", Code: -32600}, true
			}
		}
		values[m.name] = m.value
	}
	id, answered := values["id"]
	if !answered {
		id = "null"
	} else if strings.ContainsAny(id[:1], "{[tf") {
		return outcome{ID: "null", Code: -32600}, true
	}
	var version, method any
	_ = json.Unmarshal([]byte(values["jsonrpc"]), &version)
	_ = json.Unmarshal([]byte(values["method"]), &method)
	_, isString := method.(string)
	params := values["params"]
	switch {
	case twice || version != "2.0" || !isString:
		return outcome{ID: id, Code: -32600}, true
	case method != "echo" && method != "panic":
		return outcome{ID: id, Code: -32601}, answered
	case params != "" && !strings.ContainsAny(params[:1], "{[n"):
		return outcome{ID: id, Code: -32602}, answered
	case method == "panic":
		return outcome{ID: id, Code: -32603}, answered
	case params == "":
		params = "null"
	}
	return outcome{ID: id, Result: params}, answered
}
