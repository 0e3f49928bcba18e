package rpc

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/sourcegraph/jsonrpc2"

	"github.com/connectionsd/connectionsd/model"
)

// connectionsParams are the parameters of get_connections, an extension of monerod's method, which has none.
type connectionsParams struct {
	filter   model.Filter
	scope    uint16 // 0: the whole host
	limit    int    // 0: no limit
	extended bool
}

// parameter is one member of the params object.
type parameter struct {
	name string
	want string // what would be right, for the error
	list bool   // the query string may give several, separated by commas or as members of the same name
	text bool   // a string in JSON; the others stand in a query string as they do in JSON
	set  func(p *connectionsParams, value []byte) error
}

// maxListed is how many values a list may have. A filter is asked of every socket, so what a client sends must not make
// it slow.
const maxListed = 256

// parameters are what get_connections takes, in the order of the documentation.
func parameters() []parameter {
	return []parameter{
		{name: "incoming", want: "true or false", set: func(p *connectionsParams, value []byte) error {
			incoming, err := decode[bool](value)
			p.filter.Incoming = &incoming
			return err
		}},
		{name: "states", want: "an array of TCP states such as ESTABLISHED or SYN_SENT", list: true, text: true, set: func(p *connectionsParams, value []byte) error {
			names, err := decodeList[string](value, false)
			for _, name := range names {
				// Abridged, a name that is none does not make the error as long as the request.
				set, err := model.ParseConnectionStates(abridged(name))
				if err != nil {
					return reason{err}
				}
				p.filter.States |= set
			}
			return err
		}},
		{name: "local_port", want: "a port from 1 to 65535 or an array of them", list: true, set: func(p *connectionsParams, value []byte) (err error) {
			p.filter.LocalPorts, err = decodePorts(value)
			return err
		}},
		{name: "remote_port", want: "a port from 1 to 65535 or an array of them", list: true, set: func(p *connectionsParams, value []byte) (err error) {
			p.filter.RemotePorts, err = decodePorts(value)
			return err
		}},
		{name: "remote_address", want: "a network such as 192.0.2.0/24 or 2001:db8::/32, an address, or an array of them", list: true, text: true, set: func(p *connectionsParams, value []byte) error {
			networks, err := decodeList[string](value, true)
			for _, network := range networks {
				prefix, err := parseNetwork(network)
				if err != nil {
					return reason{err}
				}
				p.filter.RemoteAddresses = append(p.filter.RemoteAddresses, prefix)
			}
			return err
		}},
		{name: "pid", want: "the number of a process, from 1 to 2147483647", set: func(p *connectionsParams, value []byte) (err error) {
			p.filter.PID, err = decode[int32](value)
			if err == nil && p.filter.PID < 1 {
				err = errWrong
			}
			return err
		}},
		{name: "process", want: "the name of a process", text: true, set: func(p *connectionsParams, value []byte) (err error) {
			p.filter.Process, err = decode[string](value)
			if err == nil && p.filter.Process == "" {
				err = errWrong
			}
			return err
		}},
		{name: "scope", want: "the port from 1 to 65535 that a node listens on", set: func(p *connectionsParams, value []byte) (err error) {
			p.scope, err = decode[uint16](value)
			if err == nil && p.scope == 0 {
				err = errWrong
			}
			return err
		}},
		{name: "limit", want: "how many records at the most, from 1 to 2147483647", set: func(p *connectionsParams, value []byte) error {
			limit, err := decode[int32](value)
			if err == nil && limit < 1 {
				err = errWrong
			}
			p.limit = int(limit)
			return err
		}},
		{name: "extended", want: "true or false", set: func(p *connectionsParams, value []byte) (err error) {
			p.extended, err = decode[bool](value)
			return err
		}},
	}
}

// reason is an error that says by itself what is wrong with a value and what would be right.
type reason struct{ error }

// errWrong is an error that says nothing: the parameter's want is said instead.
var errWrong = reason{}

// parseConnectionsParams reads params, which are valid JSON or nil. No params, null, {} and, as monerod takes it, []
// are all the same.
func parseConnectionsParams(params json.RawMessage) (p connectionsParams, err error) {
	start := skipSpace(params, 0)
	if start == len(params) || params[start] == 'n' {
		return p, nil
	}
	if params[start] == '[' && params[skipSpace(params, start+1)] == ']' {
		return p, nil
	}
	if params[start] != '{' {
		return p, InvalidParams(`params must be an object such as {"local_port": 18080}, not ` + abridged(string(params[start:])))
	}
	known := parameters()
	var seen []string
	for quoted, value := range members(params) {
		name := string(stringValue(quoted))
		at := slices.IndexFunc(known, func(k parameter) bool { return k.name == name })
		if at < 0 {
			return p, unknownParameter(name, known)
		}
		if slices.Contains(seen, name) {
			return p, InvalidParams(name + ": given twice, want it once")
		}
		seen = append(seen, name)
		if err := known[at].set(&p, value); err != nil {
			return p, wrongParameter(known[at], value, err)
		}
	}
	return p, nil
}

func unknownParameter(name string, known []parameter) *jsonrpc2.Error {
	var names []string
	for _, k := range known {
		names = append(names, k.name)
	}
	return InvalidParams(fmt.Sprintf("%s: no such parameter, want one of %s", named(name), strings.Join(names, ", ")))
}

func wrongParameter(p parameter, value []byte, err error) *jsonrpc2.Error {
	if why, ok := err.(reason); ok && why.error != nil {
		return InvalidParams(p.name + ": " + why.Error())
	}
	return InvalidParams(fmt.Sprintf("%s: want %s, not %s", p.name, p.want, abridged(string(value))))
}

// named is the name of a parameter that a client made up, as an error can repeat it.
func named(name string) string {
	if name == "" {
		return `""`
	}
	return abridged(name)
}

// abridged cuts what a client sent to what an error can repeat of it.
func abridged(s string) string {
	const most = 64
	if len(s) <= most {
		return s
	}
	return strings.ToValidUTF8(s[:most], "") + "…"
}

// decode reads one JSON value of the given type. null is none.
func decode[T bool | int32 | string | uint16](value []byte) (v T, err error) {
	if value[0] == 'n' || json.Unmarshal(whole(value), &v) != nil {
		return v, errWrong
	}
	return v, nil
}

// whole returns a number that has a fraction or an exponent, and is whole, as Go reads an integer: to JSON Schema, and
// to the clients that have only one type of number, 1.0 is 1. Any other value is returned as it is.
func whole(value []byte) []byte {
	if c := value[0]; c != '-' && (c < '0' || c > '9') || !bytes.ContainsAny(value, ".eE") {
		return value
	}
	f, err := strconv.ParseFloat(string(value), 64)
	if err != nil || f != math.Trunc(f) || math.Abs(f) > math.MaxInt32 {
		return value
	}
	return strconv.AppendInt(nil, int64(f), 10)
}

// decodeList reads an array of one or more, or, where single is set, one value by itself.
func decodeList[T string | uint16](value []byte, single bool) ([]T, error) {
	if value[0] != '[' {
		if !single {
			return nil, errWrong
		}
		v, err := decode[T](value)
		if err != nil {
			return nil, err
		}
		return []T{v}, nil
	}
	var list []T
	for element := range elements(value) {
		v, err := decode[T](element)
		if err != nil {
			return nil, err
		}
		if list = append(list, v); len(list) > maxListed {
			return nil, reason{fmt.Errorf("more than %d values, want at most so many", maxListed)}
		}
	}
	if list == nil {
		return nil, reason{fmt.Errorf("an empty array selects nothing, want one value or more")}
	}
	return list, nil
}

func decodePorts(value []byte) ([]uint16, error) {
	ports, err := decodeList[uint16](value, true)
	if err == nil && slices.Contains(ports, 0) {
		err = errWrong
	}
	return ports, err
}

// parseNetwork reads a network in CIDR form, or an address, which is the network of it alone. IPv4-mapped addresses are
// IPv4, as in the records.
func parseNetwork(s string) (netip.Prefix, error) {
	if addr, err := netip.ParseAddr(s); err == nil && addr.Zone() == "" {
		addr = addr.Unmap()
		return netip.PrefixFrom(addr, addr.BitLen()), nil
	}
	prefix, err := netip.ParsePrefix(s)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("%q is no network, want one such as 192.0.2.0/24 or 2001:db8::/32, or an address", abridged(s))
	}
	if prefix.Addr().Is4In6() && prefix.Bits() >= 96 {
		prefix = netip.PrefixFrom(prefix.Addr().Unmap(), prefix.Bits()-96)
	}
	return prefix.Masked(), nil
}

// ConnectionsQuery makes the params of get_connections from a query string with members of the same names:
// ?states=ESTABLISHED,SYN_SENT&local_port=18080. It is the [QueryParams] of that method.
func ConnectionsQuery(query url.Values) (json.RawMessage, error) {
	known := parameters()
	params := []byte{'{'}
	for _, k := range known {
		values := query[k.name]
		if len(values) == 0 {
			continue
		}
		value, err := k.fromQuery(values)
		if err != nil {
			return nil, err
		}
		if len(params) > 1 {
			params = append(params, ',')
		}
		params = append(append(appendJSONString(params, k.name), ':'), value...)
	}
	for _, name := range slices.Sorted(maps.Keys(query)) {
		if !slices.ContainsFunc(known, func(k parameter) bool { return k.name == name }) {
			return nil, unknownParameter(name, known)
		}
	}
	return append(params, '}'), nil
}

// fromQuery returns the JSON of a parameter's values in a query string.
func (p parameter) fromQuery(values []string) (json.RawMessage, error) {
	if !p.list {
		if len(values) > 1 {
			return nil, InvalidParams(p.name + ": given twice, want it once")
		}
		return p.scalar(values[0])
	}
	list := []byte{'['}
	for _, value := range strings.Split(strings.Join(values, ","), ",") {
		scalar, err := p.scalar(value)
		if err != nil {
			return nil, err
		}
		if len(list) > 1 {
			list = append(list, ',')
		}
		list = append(list, scalar...)
	}
	return append(list, ']'), nil
}

// scalar returns the JSON of one value in a query string: of a text as a string, of a number or a bool as it stands.
func (p parameter) scalar(value string) (json.RawMessage, error) {
	if p.text {
		return appendJSONString(nil, value), nil
	}
	// The number's canonical form alone: +1 and 01 are no JSON.
	if n, _ := strconv.ParseInt(value, 10, 64); strconv.FormatInt(n, 10) != value && value != "true" && value != "false" {
		return nil, wrongParameter(p, []byte(strconv.Quote(value)), errWrong)
	}
	return json.RawMessage(value), nil
}
