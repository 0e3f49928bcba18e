package rpc

import (
	"encoding/json"
	"net/netip"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/connectionsd/connectionsd/model"
)

// A query string means what the JSON beside it means, on both faces, or is refused in the same words.
func FuzzQueryIsParams(f *testing.F) {
	f.Add("ESTABLISHED", "192.0.2.0/24", "monerod", int64(18080), int64(1), int64(7), true, uint16(0b1111_1111))
	f.Add("normal,standby", "::1,fe80::/10", "a b&c=%41", int64(0), int64(65536), int64(-1), false, uint16(0b0101_0101))
	f.Add("LISTEN", "\xff\x00", "", int64(-1), int64(1<<32), int64(1<<31), false, uint16(1<<3))
	f.Add("", ",", "+", int64(7), int64(-7), int64(1<<62), true, uint16(0xffff))
	f.Fuzz(func(t *testing.T, state, address, process string, port, limit, pid int64, flag bool, given uint16) {
		body := make(map[string]any)
		query := make(url.Values)
		add := func(bit int, name string, inBody any, inQuery ...string) {
			if given&(1<<bit) != 0 {
				body[name], query[name] = inBody, inQuery
			}
		}
		text := func(v any) string {
			b, err := json.Marshal(v)
			if err != nil {
				t.Fatal(err)
			}
			return string(b)
		}
		states, addresses := strings.Split(state, ","), strings.Split(address, ",")
		add(0, "incoming", flag, text(flag))
		add(1, "states", states, states...) // repeated in the query string
		add(2, "remote_address", addresses, address)
		add(3, "process", process, process)
		add(4, "local_port", []int64{port, limit}, text(port)+","+text(limit))
		add(5, "remote_port", []int64{port}, text(port))
		add(6, "limit", limit, text(limit))
		add(7, "pid", pid, text(pid))
		add(8, "scope", port, text(port))
		add(9, "extended", flag, text(flag))

		got, gotErr := restParams(query.Encode())
		// In the order of the documentation, in which the query string is read.
		ordered := []byte{'{'}
		for _, p := range parameters() {
			if v, there := body[p.name]; there {
				ordered = append(append(ordered, `,"`+p.name+`":`...), text(v)...)
			}
		}
		ordered = append(ordered, '}')
		if len(ordered) > 2 {
			ordered = append([]byte{'{'}, ordered[2:]...)
		}
		want, wantErr := parseConnectionsParams(ordered)
		if (gotErr == nil) != (wantErr == nil) {
			t.Fatalf("%s: error %v, and of %s: error %v", query.Encode(), gotErr, ordered, wantErr)
		}
		if gotErr != nil {
			if reason := reasonOf(wantErr); reason != gotErr.Error() {
				t.Fatalf("%s: error %q, and of %s: error %q", query.Encode(), gotErr, ordered, reason)
			}
			return
		}
		if want.filter.States == 0 {
			want.filter.States = model.States(model.Established) // what a dashboard is shown
		}
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(connectionsParams{}), cmpopts.EquateComparable(netip.Prefix{})); diff != "" {
			t.Fatalf("%s (-%s +got):\n%s", query.Encode(), ordered, diff)
		}
	})
}
