//go:build linux && interop

package interop_test

import (
	"bytes"
	"encoding/json"
	"net"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const (
	sentBytes     = 12_345
	receivedBytes = 67_890
)

// connection is one that the test has opened and that has carried bytes.
type connection struct{ opener, acceptor net.Conn }

// openConnection opens a connection over IPv4 whose opener has sent sentBytes
// and received receivedBytes.
func openConnection(t *testing.T) connection {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var c connection
	if c.opener, err = net.DialTimeout("tcp4", l.Addr().String(), 10*time.Second); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.opener.Close() })
	if c.acceptor, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.acceptor.Close() })
	transfer(t, c.opener, c.acceptor, sentBytes)
	transfer(t, c.acceptor, c.opener, receivedBytes)
	return c
}

// transfer sends n bytes, few enough for the kernel's buffers, and reads them.
func transfer(t *testing.T, from, to net.Conn, n int) {
	t.Helper()
	if _, err := from.Write(make([]byte, n)); err != nil {
		t.Fatal(err)
	}
	for buf := make([]byte, n); n > 0; {
		read, err := to.Read(buf)
		if err != nil {
			t.Fatal(err)
		}
		n -= read
	}
}

func (c connection) port() string {
	return strconv.Itoa(c.opener.RemoteAddr().(*net.TCPAddr).Port)
}

// in returns the record of the opener's end.
func (c connection) in(t *testing.T, records []record) record {
	t.Helper()
	i := slices.IndexFunc(records, func(r record) bool { return r["address"] == c.opener.RemoteAddr().String() })
	if i < 0 {
		t.Fatalf("no record of %s in %v", c.opener.RemoteAddr(), records)
	}
	return records[i]
}

// varying are the fields that time changes.
var varying = []string{"avg_download", "avg_upload", "connection_id", "current_download", "current_upload", "live_time", "recv_idle_time", "send_idle_time"}

// known is a record without them.
func known(r record) record {
	all := make(record)
	for field, value := range r {
		if !slices.Contains(varying, field) {
			all[field] = value
		}
	}
	return all
}

// fields are all others, of the record of the opener's end.
func (c connection) fields() record {
	return record{
		"address": c.opener.RemoteAddr().String(), "address_type": json.Number("1"), "height": json.Number("0"), "host": "127.0.0.1",
		"incoming": false, "ip": "127.0.0.1", "local_ip": false, "localhost": true, "peer_id": "0000000000000000", "port": c.port(),
		"pruning_seed": json.Number("0"), "recv_count": json.Number(strconv.Itoa(receivedBytes)), "rpc_credits_per_hash": json.Number("0"),
		"rpc_port": json.Number("0"), "send_count": json.Number(strconv.Itoa(sentBytes)), "state": "normal", "support_flags": json.Number("0"),
	}
}

// recordsOf are the records in the result of get_connections, which must be
// what monerod has around them.
func recordsOf(t *testing.T, result []byte) []record {
	t.Helper()
	var answer map[string]any
	decoder := json.NewDecoder(bytes.NewReader(result))
	decoder.UseNumber()
	if err := decoder.Decode(&answer); err != nil {
		t.Fatalf("%v in %s", err, result)
	}
	list, ok := answer["connections"].([]any)
	if !ok {
		t.Fatalf("no connections in %s", result)
	}
	delete(answer, "connections")
	if diff := cmp.Diff(map[string]any{"status": "OK", "untrusted": false}, answer); diff != "" {
		t.Errorf("result beside the connections (-want +got):\n%s", diff)
	}
	var records []record
	for _, v := range list {
		fields, ok := v.(map[string]any)
		if !ok || len(fields) != 25 {
			t.Errorf("record %v, want 25 fields", v)
		}
		records = append(records, fields)
	}
	return records
}
