package malformed

import (
	"fmt"
	"math/rand/v2"
	"strings"
)

// httpKinds are wrong as HTTP.
func httpKinds() []kind {
	ending := func(make func(r *rand.Rand) string) func(*rand.Rand) Request {
		return func(r *rand.Rand) Request { return Request{Bytes: []byte(make(r)), Ends: true} }
	}
	return []kind{
		{"noise", func(r *rand.Rand) Request {
			// No request line begins like this.
			return Request{Bytes: append([]byte{byte(r.IntN(10))}, noise(r, 1+r.IntN(2000))...), Ends: true, Silent: true}
		}},
		{"another protocol", func(r *rand.Rand) Request {
			return Request{Ends: true, Silent: true, Bytes: append([]byte(pick(r,
				"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", // TLS
				"SSH-2.0-OpenSSH_9.2\r\n",
				"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
				"\x00\x00\x00\x2f\xff\x53\x4d\x42\x72", // SMB
				"EHLO mail.example\r\n",
				"*1\r\n$4\r\nPING\r\n", // Redis
			)), noise(r, 1+r.IntN(200))...)}
		}},
		{"request line", ending(requestLine)},
		{"target", ending(func(r *rand.Rand) string {
			at := path(r) + word(r, 8)
			return "GET " + pick(r, at+"%", at+"%g"+word(r, 2), at+"%4", "http://[::1"+at, at+"\x00", at+" "+word(r, 5), at+"\x7f"+word(r, 3), "//:"+word(r, 4)+at, ":"+at) +
				" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
		})},
		{"method", ending(func(r *rand.Rand) string {
			return pick(r, "DELETE", "PUT", "PATCH", "TRACE", "CONNECT", "BREW", word(r, 12), strings.ToUpper(word(r, 12)), "get", "post") + "x" + " " + path(r) +
				" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
		})},
		{"path", ending(func(r *rand.Rand) string {
			return "GET /" + pick(r, "../", ".", "%2e%2e/", "json_rpc/", "api/connections/", "healthz/", "a", "wp-login.php?") + word(r, 20) +
				" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
		})},
		{"header", ending(func(r *rand.Rand) string {
			return "POST " + path(r) + " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n" + badHeader(r) + "\r\nContent-Length: 0\r\n\r\n"
		})},
		{"host", ending(func(r *rand.Rand) string {
			at := word(r, 12)
			return "GET " + path(r) + " HTTP/1.1\r\nConnection: close\r\n" + pick(r, "X-No-Host: "+at, "Host: "+at+"/"+at, "Host: "+at+" "+at, "Host: localhost\r\nHost: "+at,
				"Host: [::1", "Host: \""+at, "Host: "+at+".evil.example", "Host: localhost:"+at, "Host: "+at+"\x01") + "\r\n\r\n"
		})},
		{"length", ending(func(r *rand.Rand) string {
			n := fmt.Sprint(1 + r.IntN(1000))
			return "POST " + path(r) + " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: " +
				pick(r, "-"+n, "+"+n, n+"x", "0x"+n, n+" "+n, n+", 0", n+"\r\nContent-Length: 0"+n+"1", "99999999999999999999"+n, n+".0", word(r, 5), "\""+n+"\"") + "\r\n\r\n{}"
		})},
		{"coding", ending(func(r *rand.Rand) string {
			return "POST " + path(r) + " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nTransfer-Encoding: " +
				pick(r, "gzip", "identity", word(r, 12), "chunked, chunked", "chunked, "+word(r, 6), word(r, 6)+", chunked", "chunked\r\nTransfer-Encoding: chunked", "chunked;"+word(r, 4)) + "\r\n\r\n0\r\n\r\n"
		})},
		{"chunks", ending(func(r *rand.Rand) string {
			n := 1 + r.IntN(1<<16)
			return "POST " + posted(r) + " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n" +
				pick(r, "g"+word(r, 4)+"\r\n", fmt.Sprintf("%x\r\n", n)+word(r, 1), fmt.Sprintf("%x\n{}\n%x\n", n, n), "-2\r\n{}\r\n0\r\n\r\n",
					fmt.Sprintf("2\r\n{}%s\r\n0\r\n\r\n", word(r, 9)), fmt.Sprintf("ffffffffffffffff%x\r\n{}", n), "2\r\n{}\r\n", fmt.Sprintf("%x;", n), "\r\n"+word(r, 8))
		})},
		{"end too early", ending(func(r *rand.Rand) string {
			body := word(r, 200)
			return fmt.Sprintf("POST %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s", posted(r), len(body)+1+r.IntN(1000), body)
		})},
		{"no end of the headers", func(r *rand.Rand) Request {
			whole := fmt.Sprintf("POST %s HTTP/1.1\r\nHost: localhost\r\nX-%s: %s\r\n\r\n", path(r), word(r, 10), word(r, 30))
			return Request{Bytes: []byte(whole[:1+r.IntN(len(whole)-2)]), Ends: true, Silent: true}
		}},
		{"headers too large", ending(func(r *rand.Rand) string {
			name, n := word(r, 10), 21<<10+r.IntN(1<<12)
			return "GET " + path(r) + " HTTP/1.1\r\nHost: localhost\r\n" + pick(r,
				"X-"+name+": "+strings.Repeat("a", n),
				strings.Repeat("X-"+name+": a\r\n", n/(len(name)+7)),
				"X-"+strings.Repeat(name, n/len(name))+": a") + "\r\n\r\n"
		})},
		{"URL too long", ending(func(r *rand.Rand) string {
			return "GET " + path(r) + "?" + word(r, 10) + "=" + strings.Repeat("a", 8<<10+r.IntN(1<<12)) + " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
		})},
		{"body too large", ending(func(r *rand.Rand) string {
			return fmt.Sprintf("POST %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Length: %d\r\n\r\n{", posted(r), 1<<20+1+r.Int64N(1<<40))
		})},
		{"expectation", ending(func(r *rand.Rand) string {
			return "POST " + path(r) + " HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nExpect: " + word(r, 12) + "\r\nContent-Length: 2\r\n\r\n{}"
		})},
	}
}

// posted is a path that takes a body.
func posted(r *rand.Rand) string { return pick(r, "/json_rpc", "/", "/get_connections") }

func requestLine(r *rand.Rand) string {
	at := path(r) + "?" + word(r, 12)
	line := pick(r,
		at, "GET", "GET "+at, "GET  "+at+" HTTP/1.1", " GET "+at+" HTTP/1.1", "GET "+at+" HTTP/1.1 "+word(r, 4), "GET\t"+at+"\tHTTP/1.1",
		"GET "+at+" HTTP", "GET "+at+" http/1.1", "GET "+at+" HTTP/1", "GET "+at+" HTTP/1.1.1", "GET "+at+" HTTP/"+word(r, 3), "GET "+at+" HTTP/-1.1",
		fmt.Sprintf("GET %s HTTP/%d.%d", at, 2+r.IntN(8), r.IntN(10)), fmt.Sprintf("GET %s HTTP/1.1%d", at, r.IntN(1000)), "GET "+at+" HTTPS/1.1",
		"G"+pick(r, "(", ")", "<", "@", ",", ";", "\"", "\\", "[", "]", "{", "}", "\x01", "\xff")+"T "+at+" HTTP/1.1")
	return line + "\r\nHost: localhost\r\nConnection: close\r\n\r\n"
}

func badHeader(r *rand.Rand) string {
	name, value := "X-"+word(r, 10), word(r, 20)
	return pick(r,
		name, name+" : "+value, ": "+value, name+"\x00: "+value, name+": "+value+"\x00", name+": "+value+"\x01"+value, name+"("+word(r, 3)+"): "+value,
		name+": "+value+"\x7f", "X "+name+": "+value, name+"\xe9: "+value, " "+name+": "+value+"\r\nbroken", name+"@"+word(r, 3)+": "+value, "\""+name+"\": "+value)
}
