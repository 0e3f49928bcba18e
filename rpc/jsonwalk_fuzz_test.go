package rpc

import (
	"bytes"
	"encoding/json"
	"testing"
)

// walked appends a value as the walk finds it, without white space.
func walked(dst, value []byte) []byte {
	start := skipSpace(value, 0)
	separate := func(opened int) {
		if len(dst) > opened {
			dst = append(dst, ',')
		}
	}
	switch value[start] {
	case '{':
		dst = append(dst, '{')
		opened := len(dst)
		for name, v := range members(value) {
			separate(opened)
			dst = walked(append(append(dst, name...), ':'), v)
		}
		return append(dst, '}')
	case '[':
		dst = append(dst, '[')
		opened := len(dst)
		for v := range elements(value) {
			separate(opened)
			dst = walked(dst, v)
		}
		return append(dst, ']')
	}
	return append(dst, value[start:valueEnd(value, start)]...)
}

// The walk finds each value of a text where encoding/json does, byte for byte, and reads strings as it does.
func FuzzJSONWalk(f *testing.F) {
	for _, seed := range []string{
		`{}`, `[]`, ` [ 1 , "a" , [ ] , { } , null , true , -1.5e+3 ] `, `{"a":{"b":["}",{"c":"\\"}],"d":"]\""},"a":[[[]]]}`, "\t\n\r{ \"\" : \"\" }", `"\ud800\u0041"`, `7`,
		`{"a" :1,"b": 2 , "c":"\u2028"}`, `[[1,2],[3,[4,"[",5]],"{"]`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		if checkJSON(text) != nil {
			return
		}
		var want bytes.Buffer
		if err := json.Compact(&want, text); err != nil {
			t.Fatalf("%q is accepted, and is no JSON: %v", text, err)
		}
		if got := walked(nil, text); !bytes.Equal(got, want.Bytes()) {
			t.Fatalf("%q is walked as %q", text, got)
		}
		if start := skipSpace(text, 0); text[start] == '"' {
			var want string
			if err := json.Unmarshal(text, &want); err != nil {
				t.Fatal(err)
			}
			if got := stringValue(text[start:valueEnd(text, start)]); string(got) != want {
				t.Fatalf("%q says %q, want %q", text, got, want)
			}
		}
	})
}
