package rpc

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/sourcegraph/jsonrpc2"

	"github.com/connectionsd/connectionsd/model"
)

var equateParams = cmp.Options{cmp.AllowUnexported(connectionsParams{}), cmpopts.EquateComparable(netip.Prefix{})}

// networks are the prefixes of a filter.
func networks(texts ...string) []netip.Prefix {
	var prefixes []netip.Prefix
	for _, text := range texts {
		prefixes = append(prefixes, netip.MustParsePrefix(text))
	}
	return prefixes
}

// listed is a text n times, with commas between.
func listed(n int, text string) string { return strings.Repeat(text+",", n-1) + text }

// ports are n times the port 1.
func ports(n int) []uint16 {
	list := make([]uint16, n)
	for i := range list {
		list[i] = 1
	}
	return list
}

func filtered(f model.Filter) connectionsParams { return connectionsParams{filter: f} }

var yes, no = true, false

func TestConnectionsParams(t *testing.T) {
	for _, test := range []struct {
		params string
		want   connectionsParams
	}{
		{``, connectionsParams{}},
		{` `, connectionsParams{}},
		{`null`, connectionsParams{}},
		{`{}`, connectionsParams{}},
		{` { } `, connectionsParams{}},
		{`[]`, connectionsParams{}},
		{" [\n] ", connectionsParams{}},

		{`{"pid":7.0,"scope":1e3,"limit":2147483647.0}`, connectionsParams{filter: model.Filter{PID: 7}, scope: 1000, limit: 2147483647}},
		{`{"local_port":[1.0,6.5535E4]}`, filtered(model.Filter{LocalPorts: []uint16{1, 65535}})},

		{`{"incoming":true}`, filtered(model.Filter{Incoming: &yes})},
		{`{"incoming":false}`, filtered(model.Filter{Incoming: &no})},
		{` {"in\u0063oming" : true } `, filtered(model.Filter{Incoming: &yes})},

		{`{"states":["ESTABLISHED"]}`, filtered(model.Filter{States: model.States(model.Established)})},
		{`{"states":["established","syn-sent","Fin_Wait1"]}`, filtered(model.Filter{States: model.States(model.Established, model.SynSent, model.FinWait1)})},
		{`{"states":["SYN_SENT","SYN_SENT"]}`, filtered(model.Filter{States: model.States(model.SynSent)})},
		{`{"states":["normal"]}`, filtered(model.Filter{States: model.States(model.Established)})},
		{`{"states":["before_handshake"]}`, filtered(model.Filter{States: model.States(model.SynSent, model.SynRecv)})},
		{`{"states":["standby","CLOSING"]}`, filtered(model.Filter{States: model.States(model.FinWait1, model.FinWait2, model.CloseWait, model.LastAck, model.Closing)})},

		{`{"local_port":18080}`, filtered(model.Filter{LocalPorts: []uint16{18080}})},
		{`{"local_port":[1,65535]}`, filtered(model.Filter{LocalPorts: []uint16{1, 65535}})},
		{`{"remote_port":443}`, filtered(model.Filter{RemotePorts: []uint16{443}})},
		{`{"remote_port":[ 443 , 80 ]}`, filtered(model.Filter{RemotePorts: []uint16{443, 80}})},
		{`{"local_port":[` + listed(256, "1") + `]}`, filtered(model.Filter{LocalPorts: ports(256)})},

		{`{"remote_address":"192.0.2.0/24"}`, filtered(model.Filter{RemoteAddresses: networks("192.0.2.0/24")})},
		{`{"remote_address":"192.0.2.7/24"}`, filtered(model.Filter{RemoteAddresses: networks("192.0.2.0/24")})},
		{`{"remote_address":"192.0.2.7"}`, filtered(model.Filter{RemoteAddresses: networks("192.0.2.7/32")})},
		{`{"remote_address":"0.0.0.0/0"}`, filtered(model.Filter{RemoteAddresses: networks("0.0.0.0/0")})},
		{`{"remote_address":"2001:db8::/32"}`, filtered(model.Filter{RemoteAddresses: networks("2001:db8::/32")})},
		{`{"remote_address":"2001:DB8:0:0::1/32"}`, filtered(model.Filter{RemoteAddresses: networks("2001:db8::/32")})},
		{`{"remote_address":"2001:db8::1"}`, filtered(model.Filter{RemoteAddresses: networks("2001:db8::1/128")})},
		{`{"remote_address":"::/0"}`, filtered(model.Filter{RemoteAddresses: networks("::/0")})},
		{`{"remote_address":"::ffff:192.0.2.7"}`, filtered(model.Filter{RemoteAddresses: networks("192.0.2.7/32")})},
		{`{"remote_address":"::ffff:192.0.2.7/120"}`, filtered(model.Filter{RemoteAddresses: networks("192.0.2.0/24")})},
		{`{"remote_address":"::ffff:0:0/96"}`, filtered(model.Filter{RemoteAddresses: networks("0.0.0.0/0")})},
		{`{"remote_address":["192.0.2.0/24","::1"]}`, filtered(model.Filter{RemoteAddresses: networks("192.0.2.0/24", "::1/128")})},

		{`{"pid":1}`, filtered(model.Filter{PID: 1})},
		{`{"process":"a \u0022b\u0022"}`, filtered(model.Filter{Process: `a "b"`})},
		{`{"pid":2147483647}`, filtered(model.Filter{PID: 2147483647})},
		{`{"limit":1}`, connectionsParams{limit: 1}},
		{`{"limit":2147483647}`, connectionsParams{limit: 2147483647}},
		{`{"extended":true}`, connectionsParams{extended: true}},
		{`{"extended":false}`, connectionsParams{}},

		{
			`{"extended":true,"limit":10,"pid":7,"remote_address":["10.0.0.0/8"],"remote_port":[443],"local_port":1,"states":["normal"],"incoming":false}`,
			connectionsParams{extended: true, limit: 10, filter: model.Filter{
				Incoming: &no, States: model.States(model.Established), LocalPorts: []uint16{1}, RemotePorts: []uint16{443},
				RemoteAddresses: networks("10.0.0.0/8"), PID: 7,
			}},
		},
	} {
		got, err := parseConnectionsParams(json.RawMessage(test.params))
		if err != nil {
			t.Errorf("%s: %v", test.params, err)
		}
		if diff := cmp.Diff(test.want, got, equateParams); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.params, diff)
		}
	}
}

const (
	wantBool   = "want true or false"
	wantPort   = "want a port from 1 to 65535 or an array of them"
	wantStates = "want an array of TCP states such as ESTABLISHED or SYN_SENT"
	wantState  = "is no state of a connection: want one of ESTABLISHED, SYN_SENT, SYN_RECV, FIN_WAIT1, FIN_WAIT2, " +
		"CLOSE_WAIT, LAST_ACK, CLOSING, before_handshake, normal, standby"
	wantNetworks = "want a network such as 192.0.2.0/24 or 2001:db8::/32, an address, or an array of them"
	wantNetwork  = "is no network, want one such as 192.0.2.0/24 or 2001:db8::/32, or an address"
	wantPID      = "want the number of a process, from 1 to 2147483647"
	wantLimit    = "want how many records at the most, from 1 to 2147483647"
	wantOneOf    = "no such parameter, want one of incoming, states, local_port, remote_port, remote_address, pid, process, scope, limit, extended"
	wantOneValue = "an empty array selects nothing, want one value or more"
	wantFewer    = "more than 256 values, want at most so many"
	wantObject   = `params must be an object such as {"local_port": 18080}`
)

func TestConnectionsParamsThatAreWrong(t *testing.T) {
	for _, test := range []struct{ params, data string }{
		{`[1]`, wantObject + ", not [1]"},
		{` [{"pid":7}]`, wantObject + `, not [{"pid":7}]`},
		{`true`, wantObject + ", not true"},
		{`7`, wantObject + ", not 7"},
		{`"pid"`, wantObject + `, not "pid"`},

		{`{"colour":1}`, "colour: " + wantOneOf},
		{`{"PID":1}`, "PID: " + wantOneOf},
		{`{"":1}`, `"": ` + wantOneOf},
		{`{"a\"\u0007<":1}`, "a\"\a<: " + wantOneOf},
		{`{"` + strings.Repeat("x", 65) + `":1}`, strings.Repeat("x", 64) + "…: " + wantOneOf},
		{`{"x` + strings.Repeat("ü", 33) + `":1}`, "x" + strings.Repeat("ü", 31) + "…: " + wantOneOf}, // the 64th byte is half a letter
		{`{"pid":1,"colour":1,"limit":0}`, "colour: " + wantOneOf},
		{`{"pid":1,"pid":1}`, "pid: given twice, want it once"},
		{`{"pid":1,"p\u0069d":2}`, "pid: given twice, want it once"},

		{`{"incoming":null}`, "incoming: " + wantBool + ", not null"},
		{`{"incoming":1}`, "incoming: " + wantBool + ", not 1"},
		{`{"incoming":"true"}`, "incoming: " + wantBool + `, not "true"`},
		{`{"incoming":[true]}`, "incoming: " + wantBool + ", not [true]"},

		{`{"states":null}`, "states: " + wantStates + ", not null"},
		{`{"states":"ESTABLISHED"}`, "states: " + wantStates + `, not "ESTABLISHED"`},
		{`{"states":{"a":1}}`, "states: " + wantStates + `, not {"a":1}`},
		{`{"states":[1]}`, "states: " + wantStates + ", not [1]"},
		{`{"states":["normal",null]}`, "states: " + wantStates + `, not ["normal",null]`},
		{`{"states":[]}`, "states: " + wantOneValue},
		{`{"states":[""]}`, `states: "" ` + wantState},
		{`{"states":["ESTABLISHED","LISTEN"]}`, `states: "LISTEN" ` + wantState},
		{`{"states":["` + strings.Repeat("x", 100_000) + `"]}`, `states: "` + strings.Repeat("x", 64) + `…" ` + wantState},
		{`{"states":[` + listed(257, `"normal"`) + `]}`, "states: " + wantFewer},

		{`{"local_port":null}`, "local_port: " + wantPort + ", not null"},
		{`{"local_port":"18080"}`, "local_port: " + wantPort + `, not "18080"`},
		{`{"local_port":0}`, "local_port: " + wantPort + ", not 0"},
		{`{"local_port":-1}`, "local_port: " + wantPort + ", not -1"},
		{`{"local_port":65536}`, "local_port: " + wantPort + ", not 65536"},
		{`{"local_port":1.5}`, "local_port: " + wantPort + ", not 1.5"},
		{`{"local_port":1e5}`, "local_port: " + wantPort + ", not 1e5"},
		{`{"local_port":1e400}`, "local_port: " + wantPort + ", not 1e400"},
		{`{"local_port":[]}`, "local_port: " + wantOneValue},
		{`{"local_port":[1,0]}`, "local_port: " + wantPort + ", not [1,0]"},
		{`{"local_port":[1,[2]]}`, "local_port: " + wantPort + ", not [1,[2]]"},
		{`{"local_port":[1,null]}`, "local_port: " + wantPort + ", not [1,null]"},
		{`{"local_port":[` + listed(257, "1") + `]}`, "local_port: " + wantFewer},
		{`{"remote_port":65536}`, "remote_port: " + wantPort + ", not 65536"},
		{`{"remote_port":[0]}`, "remote_port: " + wantPort + ", not [0]"},

		{`{"remote_address":null}`, "remote_address: " + wantNetworks + ", not null"},
		{`{"remote_address":7}`, "remote_address: " + wantNetworks + ", not 7"},
		{`{"remote_address":[7]}`, "remote_address: " + wantNetworks + ", not [7]"},
		{`{"remote_address":[]}`, "remote_address: " + wantOneValue},
		{`{"remote_address":""}`, `remote_address: "" ` + wantNetwork},
		{`{"remote_address":"192.0.2.1/33"}`, `remote_address: "192.0.2.1/33" ` + wantNetwork},
		{`{"remote_address":"192.0.2.1/"}`, `remote_address: "192.0.2.1/" ` + wantNetwork},
		{`{"remote_address":"192.0.2"}`, `remote_address: "192.0.2" ` + wantNetwork},
		{`{"remote_address":"192.0.2.1:443"}`, `remote_address: "192.0.2.1:443" ` + wantNetwork},
		{`{"remote_address":"[::1]"}`, `remote_address: "[::1]" ` + wantNetwork},
		{`{"remote_address":"fe80::1%eth0"}`, `remote_address: "fe80::1%eth0" ` + wantNetwork},
		{`{"remote_address":"fe80::%eth0/64"}`, `remote_address: "fe80::%eth0/64" ` + wantNetwork},
		{`{"remote_address":"example.org"}`, `remote_address: "example.org" ` + wantNetwork},
		{`{"remote_address":["::1","\u0000\"\ud800"]}`, `remote_address: "\x00\"�" ` + wantNetwork},
		{`{"remote_address":"` + strings.Repeat("1", 100_000) + `"}`, `remote_address: "` + strings.Repeat("1", 64) + `…" ` + wantNetwork},
		{`{"remote_address":[` + listed(257, `"::1"`) + `]}`, "remote_address: " + wantFewer},

		{`{"pid":null}`, "pid: " + wantPID + ", not null"},
		{`{"pid":"7"}`, "pid: " + wantPID + `, not "7"`},
		{`{"pid":0}`, "pid: " + wantPID + ", not 0"},
		{`{"pid":-7}`, "pid: " + wantPID + ", not -7"},
		{`{"pid":2147483648}`, "pid: " + wantPID + ", not 2147483648"},
		{`{"process":7}`, "process: want the name of a process, not 7"},
		{`{"process":""}`, `process: want the name of a process, not ""`},
		{`{"process":["a"]}`, `process: want the name of a process, not ["a"]`},
		{`{"process":null}`, "process: want the name of a process, not null"},
		{`{"pid":[7]}`, "pid: " + wantPID + ", not [7]"},
		{`{"pid":{"x": "` + strings.Repeat("y", 100) + `"}}`, "pid: " + wantPID + `, not {"x": "` + strings.Repeat("y", 57) + "…"},

		{`{"limit":null}`, "limit: " + wantLimit + ", not null"},
		{`{"limit":0}`, "limit: " + wantLimit + ", not 0"},
		{`{"limit":-1}`, "limit: " + wantLimit + ", not -1"},
		{`{"limit":2147483648}`, "limit: " + wantLimit + ", not 2147483648"},
		{`{"limit":1.5}`, "limit: " + wantLimit + ", not 1.5"},
		{`{"limit":0.0}`, "limit: " + wantLimit + ", not 0.0"},
		{`{"limit":2147483648.0}`, "limit: " + wantLimit + ", not 2147483648.0"},
		{`{"limit":true}`, "limit: " + wantLimit + ", not true"},

		{`{"extended":null}`, "extended: " + wantBool + ", not null"},
		{`{"extended":0}`, "extended: " + wantBool + ", not 0"},
		{`{"extended":"yes"}`, "extended: " + wantBool + `, not "yes"`},
	} {
		_, err := parseConnectionsParams(json.RawMessage(test.params))
		if diff := cmp.Diff(test.data, invalidParamsData(t, err)); diff != "" {
			t.Errorf("%.200s: data (-want +got):\n%s", test.params, diff)
		}
	}
}

// invalidParamsData is the data of an error that must be -32602.
func invalidParamsData(t *testing.T, err error) string {
	t.Helper()
	e, ok := err.(*jsonrpc2.Error)
	if !ok || e == nil || e.Code != -32602 || e.Message != "Invalid params" || e.Data == nil {
		t.Fatalf("error %#v, want -32602 with data", err)
	}
	var data string
	if err := json.Unmarshal(*e.Data, &data); err != nil {
		t.Fatalf("data %q is no string: %v", *e.Data, err)
	}
	// The longest sentence of the table has 300 bytes. What is repeated of the request is at most 64 bytes, each of
	// which can need six in an escape.
	if !utf8.Valid(*e.Data) || len(*e.Data) > 300+6*64 {
		t.Fatalf("data of %d bytes, UTF-8 %t: %.1000q", len(*e.Data), utf8.Valid(*e.Data), *e.Data)
	}
	return data
}

// A query string means what the JSON beside it means.
func TestConnectionsQuery(t *testing.T) {
	for _, test := range []struct{ query, params string }{
		{``, `{}`},
		{`&`, `{}`},
		{`incoming=true`, `{"incoming":true}`},
		{`incoming=false`, `{"incoming":false}`},
		{`%69ncoming=%74rue`, `{"incoming":true}`},
		{`states=ESTABLISHED`, `{"states":["ESTABLISHED"]}`},
		{`states=ESTABLISHED,syn-sent`, `{"states":["ESTABLISHED","syn-sent"]}`},
		{`states=ESTABLISHED&states=SYN_SENT`, `{"states":["ESTABLISHED","SYN_SENT"]}`},
		{`states=standby%2CSYN_SENT&states=normal`, `{"states":["standby","SYN_SENT","normal"]}`},
		{`local_port=18080`, `{"local_port":[18080]}`},
		{`local_port=18080,1&local_port=65535`, `{"local_port":[18080,1,65535]}`},
		{`local_port=` + listed(256, "1"), `{"local_port":[` + listed(256, "1") + `]}`},
		{`remote_port=443&remote_port=80`, `{"remote_port":[443,80]}`},
		{`remote_address=192.0.2.7/24`, `{"remote_address":["192.0.2.7/24"]}`},
		{`remote_address=192.0.2.0%2F24,%3A%3A1`, `{"remote_address":["192.0.2.0/24","::1"]}`},
		{`remote_address=::ffff:192.0.2.7`, `{"remote_address":["::ffff:192.0.2.7"]}`},
		{`pid=7`, `{"pid":7}`},
		{`process=7`, `{"process":"7"}`},
		{`process=a,%22b%22`, `{"process":"a,\"b\""}`},
		{`limit=10`, `{"limit":10}`},
		{`extended=true`, `{"extended":true}`},
		{
			`extended=true&limit=10&pid=7&remote_address=10.0.0.0/8&remote_port=443&local_port=1&states=normal&incoming=false`,
			`{"incoming":false,"states":["normal"],"local_port":[1],"remote_port":[443],"remote_address":["10.0.0.0/8"],"pid":7,"limit":10,"extended":true}`,
		},
	} {
		values, err := url.ParseQuery(test.query)
		if err != nil {
			t.Fatalf("%s: %v", test.query, err)
		}
		params, err := ConnectionsQuery(values)
		if err != nil || string(params) != test.params {
			t.Errorf("%s: params %s, error %v, want %s", test.query, params, err, test.params)
			continue
		}
		got, err := parseConnectionsParams(params)
		if err != nil {
			t.Errorf("%s: %v", test.query, err)
		}
		want, err := parseConnectionsParams(json.RawMessage(test.params))
		if err != nil {
			t.Errorf("%s: %v", test.params, err)
		}
		if diff := cmp.Diff(want, got, equateParams); diff != "" {
			t.Errorf("%s (-JSON +query):\n%s", test.query, diff)
		}
	}
	// Two ways to say the same: one value by itself and a list of it.
	single, err := parseConnectionsParams(json.RawMessage(`{"local_port":1,"remote_address":"::1"}`))
	if err != nil {
		t.Fatal(err)
	}
	list, err := parseConnectionsParams(json.RawMessage(`{"local_port":[1],"remote_address":["::1"]}`))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(single, list, equateParams); diff != "" {
		t.Errorf("one value (-by itself +in a list):\n%s", diff)
	}
}

func TestConnectionsQueryThatIsWrong(t *testing.T) {
	for _, test := range []struct{ query, data string }{
		{`colour=1`, "colour: " + wantOneOf},
		{`colour`, "colour: " + wantOneOf},
		{`PID=7`, "PID: " + wantOneOf},
		{`=7`, `"": ` + wantOneOf},
		{`pid=7&zebra=1&colour=1&zoo=1`, "colour: " + wantOneOf}, // the first by the alphabet, whatever order a map has
		{`%ff=1`, "\ufffd: " + wantOneOf},
		{strings.Repeat("x", 65), strings.Repeat("x", 64) + "…: " + wantOneOf},
		{strings.Repeat("%ff", 65), "…: " + wantOneOf},

		{`incoming=1`, "incoming: " + wantBool + ", not 1"},
		{`incoming=`, "incoming: " + wantBool + `, not ""`},
		{`incoming`, "incoming: " + wantBool + `, not ""`},
		{`incoming=TRUE`, "incoming: " + wantBool + `, not "TRUE"`},
		{`incoming=null`, "incoming: " + wantBool + `, not "null"`},
		{`incoming=true,false`, "incoming: " + wantBool + `, not "true,false"`},
		{`incoming=true&incoming=true`, "incoming: given twice, want it once"},
		{`extended=0`, "extended: " + wantBool + ", not 0"},

		{`states=`, `states: "" ` + wantState},
		{`states=normal,`, `states: "" ` + wantState},
		{`states=normal&states=LISTEN`, `states: "LISTEN" ` + wantState},
		{`states=%ff`, "states: \"\ufffd\" " + wantState},
		{`states=` + listed(257, "normal"), "states: " + wantFewer},

		{`local_port=`, "local_port: " + wantPort + `, not ""`},
		{`local_port=1,,2`, "local_port: " + wantPort + `, not ""`},
		{`local_port=0`, "local_port: " + wantPort + ", not [0]"},
		{`local_port=65536`, "local_port: " + wantPort + ", not [65536]"},
		{`local_port=-1`, "local_port: " + wantPort + ", not [-1]"},
		{`local_port=%2B1`, "local_port: " + wantPort + `, not "+1"`},
		{`local_port=+1`, "local_port: " + wantPort + `, not " 1"`},
		{`local_port=01`, "local_port: " + wantPort + `, not "01"`},
		{`local_port=-0`, "local_port: " + wantPort + `, not "-0"`},
		{`local_port=0x10`, "local_port: " + wantPort + `, not "0x10"`},
		{`local_port=1.5`, "local_port: " + wantPort + `, not "1.5"`},
		{`local_port=[1]`, "local_port: " + wantPort + `, not "[1]"`},
		{`local_port=true`, "local_port: " + wantPort + ", not [true]"},
		{`local_port=` + listed(257, "1"), "local_port: " + wantFewer},
		{`remote_port=http`, "remote_port: " + wantPort + `, not "http"`},

		{`remote_address=`, `remote_address: "" ` + wantNetwork},
		{`remote_address=fe80::1%25eth0`, `remote_address: "fe80::1%eth0" ` + wantNetwork},

		{`pid=`, "pid: " + wantPID + `, not ""`},
		{`pid=0`, "pid: " + wantPID + ", not 0"},
		{`pid=99999999999999999999`, "pid: " + wantPID + `, not "99999999999999999999"`},
		{`pid=7&pid=7`, "pid: given twice, want it once"},
		{`pid=7}`, "pid: " + wantPID + `, not "7}"`},
		{`pid=%00%ff%22`, "pid: " + wantPID + `, not "\x00\xff\""`},
		{`pid=` + strings.Repeat("7", 100), "pid: " + wantPID + `, not "` + strings.Repeat("7", 63) + "…"},
		{`limit=0`, "limit: " + wantLimit + ", not 0"},
		{`limit=2147483648`, "limit: " + wantLimit + ", not 2147483648"},
	} {
		values, err := url.ParseQuery(test.query)
		if err != nil {
			t.Fatalf("%s: %v", test.query, err)
		}
		params, err := ConnectionsQuery(values)
		if err == nil {
			if !json.Valid(params) {
				t.Errorf("%.200s: params %.200s are no JSON", test.query, params)
				continue
			}
			_, err = parseConnectionsParams(params)
		}
		if diff := cmp.Diff(test.data, invalidParamsData(t, err)); diff != "" {
			t.Errorf("%.200s: data (-want +got):\n%s", test.query, diff)
		}
	}
}

func TestConnectionsQueryOfNoValues(t *testing.T) {
	params, err := ConnectionsQuery(url.Values{"pid": nil, "states": {}})
	if err != nil || string(params) != "{}" {
		t.Errorf("params %s, error %v, want {}", params, err)
	}
}

func FuzzConnectionsParams(f *testing.F) {
	for _, seed := range []string{
		``, `null`, `7`, `"pid"`, `[]`, ` [ ] `, `[1]`, `{}`, `{"":1}`, `{"pid":1,"p\u0069d":1}`, "{\"\\ud800\u0085\":1}",
		`{"incoming":true,"states":["normal","LAST_ACK"],"local_port":1,"remote_port":[1,2],"remote_address":["::1","10.0.0.0/8"],"pid":1,"limit":1,"extended":false}`,
		`{"incoming":null}`, `{"states":[[]]}`, `{"states":["\u0000\"\ud800"]}`, `{"states":[]}`, `{"local_port":[-0,1e9]}`, `{"local_port":[` + listed(257, "1") + `]}`,
		`{"remote_address":"::ffff:192.0.2.1/97"}`, `{"remote_address":"fe80::%a/1"}`, `{"remote_address":{"a":[{}]}}`,
		`{"pid":"` + strings.Repeat("ü", 40) + `"}`, `{"states":["` + strings.Repeat("\U0001f600", 40) + `"]}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, params []byte) {
		if len(params) > 0 && checkJSON(params) != nil {
			return // the envelope has refused it
		}
		p, err := parseConnectionsParams(params)
		if err != nil {
			invalidParamsData(t, err)
			return
		}
		if p.limit < 0 || p.filter.PID < 0 || len(p.filter.LocalPorts) > 256 || len(p.filter.RemotePorts) > 256 || len(p.filter.RemoteAddresses) > 256 {
			t.Errorf("%s: out of range: %+v", params, p)
		}
		for _, network := range p.filter.RemoteAddresses {
			if !network.IsValid() || network != network.Masked() {
				t.Errorf("%s: network %v", params, network)
			}
		}
	})
}

func FuzzConnectionsQuery(f *testing.F) {
	for _, seed := range []string{
		``, `&&`, `=`, `pid`, `pid=7`, `pid=+7`, `pid=%2B7`, `pid=007`, `pid=7&pid=7`, `pid=7}{`, `pid=1e1`, `limit=-0`, `incoming=1`, `incoming=true&extended=false`,
		`states=ESTABLISHED,SYN_SENT&states=normal`, `states=%ff%00`, `local_port=1,2&local_port=,`, `remote_address=10.0.0.0%2F8,::1`,
		`%ff=1`, `colour=1&zebra=2`, `states=` + listed(257, "normal"),
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, query string) {
		values, err := url.ParseQuery(query)
		if err != nil {
			return // the handler has refused it
		}
		params, err := ConnectionsQuery(values)
		again, errAgain := ConnectionsQuery(values)
		if string(params) != string(again) || fmt.Sprint(err) != fmt.Sprint(errAgain) {
			t.Fatalf("%q: %s, %v and then %s, %v", query, params, err, again, errAgain)
		}
		if err != nil {
			invalidParamsData(t, err)
			return
		}
		if rpcErr := checkJSON(params); rpcErr != nil {
			t.Fatalf("%q: params %q: %s", query, params, *rpcErr.Data)
		}
		if _, err := parseConnectionsParams(params); err != nil {
			invalidParamsData(t, err)
		}
	})
}
