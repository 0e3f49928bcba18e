package malformed

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/url"
	"strings"
	"unicode/utf8"
)

// jsonKinds are right as HTTP, and wrong as what they carry.
func jsonKinds() []kind {
	envelope := func(make func(r *rand.Rand) string) func(*rand.Rand) Request {
		return func(r *rand.Rand) Request { return post(pick(r, "/json_rpc", "/"), make(r)) }
	}
	return []kind{
		{"JSON cut short", func(r *rand.Rand) Request {
			whole := call(r)
			return post(posted(r), whole[:1+r.IntN(len(whole)-1)])
		}},
		{"JSON with a byte changed", func(r *rand.Rand) Request {
			return post(posted(r), broken(r, func(b []byte) []byte {
				b[r.IntN(len(b))] = byte(r.Uint32())
				return b
			}))
		}},
		{"JSON with a byte left out", func(r *rand.Rand) Request {
			return post(posted(r), broken(r, func(b []byte) []byte {
				i := r.IntN(len(b))
				return append(b[:i], b[i+1:]...)
			}))
		}},
		{"JSON with more behind it", func(r *rand.Rand) Request {
			return post(posted(r), call(r)+pick(r, ",", "}", "]", "x"+word(r, 5), call(r), "\x00", "//"+word(r, 9)))
		}},
		{"no JSON", func(r *rand.Rand) Request {
			return post(posted(r), pick(r, "<"+word(r, 9)+"/>", word(r, 9)+"=1&a=b", "'"+word(r, 9)+"'", "\ufeff"+call(r), "{"+word(r, 9)+":1}", "[1,]"+word(r, 3), "+"+fmt.Sprint(r.Uint32()), "0"+fmt.Sprint(r.Uint32()), "NaN"+word(r, 3)))
		}},
		{"not UTF-8", func(r *rand.Rand) Request {
			return post(posted(r), `{"jsonrpc":"2.0","method":"get_connections","id":"`+word(r, 9)+pick(r, "\xff", "\xc0\xaf", "\xed\xa0\x80", "\xf5\x80\x80\x80", "\x80")+`"}`)
		}},
		{"nested too deep", func(r *rand.Rand) Request {
			n := 10001 + r.IntN(1000)
			return post(posted(r), strings.Repeat("[", n)+word(r, 4)+strings.Repeat("]", n))
		}},
		{"no request object", envelope(func(r *rand.Rand) string {
			return pick(r, fmt.Sprint(r.Int64()), `"`+word(r, 20)+`"`, "true", "null", fmt.Sprintf("[%d]", r.Int64()), fmt.Sprintf(`["%s",null]`, word(r, 9)), fmt.Sprintf("[[%d]]", r.Int64()))
		})},
		{"jsonrpc", envelope(func(r *rand.Rand) string {
			return member(r, "jsonrpc", pick(r, "2.0", "2", `"1.0"`, `"2"`, `"2.00"`, "null", "[]", `{"2.0":`+fmt.Sprint(r.Uint32())+`}`, `"`+word(r, 9)+`"`, fmt.Sprint(r.Uint32())))
		})},
		{"method", envelope(func(r *rand.Rand) string {
			return member(r, "method", pick(r, fmt.Sprint(r.Int32()), "null", "true", "[]", `["get_connections"]`, `{"method":"get_connections"}`))
		})},
		{"id", envelope(func(r *rand.Rand) string {
			return member(r, "id", pick(r, "true", "false", "[]", fmt.Sprintf("[%d]", r.Uint32()), "{}", `{"`+word(r, 9)+`":1}`))
		})},
		{"a member twice", envelope(func(r *rand.Rand) string {
			return pick(r,
				fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"get_connections","method":"%s"}`, r.Uint32(), word(r, 9)),
				fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"id":%d,"method":"get_connections"}`, r.Uint32(), r.Uint32()),
				fmt.Sprintf(`{"jsonrpc":"2.0","jsonrpc":"2.0","id":%d,"method":"get_connections"}`, r.Uint32()),
				fmt.Sprintf(`{"jsonrpc":"2.0","id":%d,"method":"get_connections","params":{},"p\u0061rams":[]}`, r.Uint32()))
		})},
		{"no such method", envelope(func(r *rand.Rand) string {
			return member(r, "method", `"`+pick(r, "", "get_", "rpc.", "Get_Connections", "get_connections\\u0000", "__proto__")+word(r, 12)+`"`)
		})},
		{"params", func(r *rand.Rand) Request {
			if params := badParams(r); r.IntN(3) == 0 {
				return post("/get_connections", params)
			} else {
				return post("/json_rpc", member(r, "params", params))
			}
		}},
		{"params of no structure", envelope(func(r *rand.Rand) string {
			return member(r, "params", pick(r, fmt.Sprint(r.Int64()), `"`+word(r, 20)+`"`, "true", "1.5e3"))
		})},
		{"query", func(r *rand.Rand) Request {
			query := pick(r, "limit=", "local_port=", "pid=", "scope=", "extended=", "incoming=", "states=", "remote_address=") +
				pick(r, "-1", "99999999999", "x"+word(r, 9), "%zz"+word(r, 3), "1;2"+word(r, 3), url.QueryEscape("\x00"+word(r, 9)), "1.5.5", "0x10"+word(r, 4), "yes"+word(r, 4))
			if r.IntN(3) == 0 {
				query = word(r, 12) + "zz=" + word(r, 12)
			}
			return get(pick(r, "/get_connections", "/api/connections") + "?" + query)
		}},
		{"batch", envelope(func(r *rand.Rand) string {
			bad := func() string {
				return pick(r, fmt.Sprint(r.Uint32()), "[]", "{}", `"`+word(r, 9)+`"`, "null", member(r, "jsonrpc", `"1.0"`), member(r, "method", `"no_`+word(r, 9)+`"`), member(r, "params", badParams(r)))
			}
			if r.IntN(8) == 0 {
				return "[" + strings.Repeat(call(r)+",", 100+r.IntN(30)) + call(r) + "]" // more than there may be
			}
			calls := []string{bad()}
			for range r.IntN(20) {
				calls = append(calls, bad())
			}
			return "[" + strings.Join(calls, ",") + "]"
		})},
	}
}

// call is one that is right.
func call(r *rand.Rand) string {
	return fmt.Sprintf(`{"jsonrpc":"2.0","method":"get_connections","params":{"limit":%d,"states":["ESTABLISHED"]},"id":"%s"}`, 1+r.IntN(1<<30), word(r, 12))
}

// member is a call in which one member has a value that it must not have.
func member(r *rand.Rand, name, value string) string {
	members := []struct{ name, value string }{
		{"jsonrpc", `"2.0"`}, {"method", `"get_connections"`}, {"id", pick(r, fmt.Sprint(r.Uint32()), `"`+word(r, 12)+`"`)}, {"params", "{}"},
	}
	r.Shuffle(len(members), func(i, j int) { members[i], members[j] = members[j], members[i] })
	var b strings.Builder
	for i, m := range members {
		if m.name == name {
			m.value = value
		}
		b.WriteString(string("{,,,"[i]) + `"` + m.name + `":` + m.value)
	}
	return b.String() + "}"
}

// badParams are none of get_connections.
func badParams(r *rand.Rand) string {
	number, text := fmt.Sprint(r.Uint32()), `"`+word(r, 12)+`"`
	name := pick(r, "incoming", "states", "local_port", "remote_port", "remote_address", "pid", "process", "scope", "limit", "extended")
	wrong := map[string][]string{
		"incoming":       {number, text, "null", "[]", `"true"`},
		"states":         {number, text, "null", "[]", "[" + number + "]", `["LISTEN"]`, `["` + word(r, 9) + `"]`, "{}"},
		"local_port":     {"-" + number, "65536", text, "null", "[]", "[65536," + number + "]", "80.5", "true"},
		"remote_port":    {"-1", "7" + number, text, "null", "[]", "[" + text + "]", "1e9"},
		"remote_address": {number, text, "null", "[]", `"192.0.2.` + number + `"`, `"192.0.2.0/33"`, `["::1","` + word(r, 5) + `"]`},
		"pid":            {"-" + number, "0", text, "null", "[1]", "1.5"},
		"process":        {number, `""`, "null", "[" + text + "]"},
		"scope":          {"-" + number, "65536", text, "null", "[1]", "true"},
		"limit":          {"-" + number, "0", text, "null", "99999999999", "1.5"},
		"extended":       {number, text, "null", "[]", `"yes"`},
	}[name]
	switch r.IntN(4) {
	case 0:
		return fmt.Sprintf(`{"%s_":%s}`, word(r, 12), number) // none has such a name
	case 1:
		return fmt.Sprintf(`[%s]`, number)
	default:
		return fmt.Sprintf(`{"%s":%s,"%s":%s}`, "extended_"+word(r, 5), "true", name, pick(r, wrong...))
	}
}

// broken is a call after some change that has made it no JSON.
func broken(r *rand.Rand, change func([]byte) []byte) string {
	for {
		if b := change([]byte(call(r))); !json.Valid(b) || !utf8.Valid(b) {
			return string(b)
		}
	}
}

func post(path, body string) Request {
	return Request{Bytes: []byte(fmt.Sprintf("POST %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s", path, len(body), body))}
}

func get(target string) Request {
	return Request{Bytes: []byte("GET " + target + " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")}
}
