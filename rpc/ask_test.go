package rpc

import (
	"encoding/json"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rs/zerolog"

	"github.com/connectionsd/connectionsd/collector/service"
	"github.com/connectionsd/connectionsd/model"
)

// Who asks within this process is told what a client is told.
func TestAskWithin(t *testing.T) {
	for _, params := range []string{
		``, `{}`, `{"local_port":18080}`, `{"incoming":true}`, `{"limit":1}`, `{"scope":18080}`, `{"scope":18080,"limit":2}`, `{"states":["SYN_SENT"]}`,
		`{"process":"monerod"}`, `{"pid":0}`, `{"scope":7}`, `{"colour":1}`, `[1]`,
	} {
		extended := json.RawMessage(params)
		var object map[string]any
		if params == "" {
			extended = json.RawMessage(`{"extended":true}`)
		} else if json.Unmarshal(extended, &object) == nil {
			object["extended"] = true
			extended, _ = json.Marshal(object)
		}
		c := &stillness{snap: aNode()}
		var reply Reply
		err := GetConnections(c, ConnectionsOptions{})(t.Context(), extended, &reply)
		records, recordsErr := ConnectionRecords(t.Context(), c, json.RawMessage(params))
		if c.released != len(c.wants) {
			t.Errorf("%s: %d of %d snapshots were given back", params, c.released, len(c.wants))
		}
		checkErr := CheckConnectionsParams(json.RawMessage(params))
		if fmt.Sprint(err) != fmt.Sprint(recordsErr) || fmt.Sprint(checkErr) != fmt.Sprint(err) {
			t.Errorf("%s: errors %v, %v and %v, want the same", params, err, recordsErr, checkErr)
		}
		if err != nil {
			continue
		}
		got := []byte(`{"connections":[`)
		for i := range records {
			if i > 0 {
				got = append(got, ',')
			}
			got = records[i].AppendJSON(got)
		}
		got = append(got, `],"status":"OK","untrusted":false}`...)
		if diff := cmp.Diff(string(reply.Buf), string(got)); diff != "" {
			t.Errorf("%s (-as a client +within):\n%s", params, diff)
		}
	}
}

// So it is of GET /api/connections, whose errors are told.
func TestAskAPIWithin(t *testing.T) {
	for query, params := range map[string]string{
		"": ``, "?local_port=18080": `{"local_port":18080}`, "?extended=true&limit=1": `{"extended":true,"limit":1}`, "?scope=18080": `{"scope":18080}`,
	} {
		c := &stillness{snap: aNode()}
		var reply Reply
		if err := APIConnections(c, service.BuiltIn())(t.Context(), json.RawMessage(params), &reply); err != nil {
			t.Errorf("%s: %v", params, err)
		}
		want := ask(RESTConnections(&stillness{snap: aNode()}, service.BuiltIn(), 0, zerolog.Nop()), "/api/connections"+query).Body
		if diff := cmp.Diff(want, string(reply.Buf)); diff != "" {
			t.Errorf("%s (-as a client +within):\n%s", params, diff)
		}
	}
	err := APIConnections(&stillness{snap: aNode()}, service.BuiltIn())(t.Context(), json.RawMessage(`{"pid":0}`), new(Reply))
	if got, want := reasonOf(err), "pid: want the number of a process, from 1 to 2147483647, not 0"; got != want {
		t.Errorf("error %q, want %q", got, want)
	}
}

// The container of a record is its own: that of the snapshot is given back.
func TestConnectionRecordsKeepTheirContainer(t *testing.T) {
	snap := aNode()
	snap.Containers = []model.Container{{Runtime: "docker", ID: "1", Name: "node"}}
	for i := range snap.Known {
		snap.Known[i].Container = 0
	}
	records, err := ConnectionRecords(t.Context(), &stillness{snap: snap}, nil)
	if err != nil || len(records) == 0 {
		t.Fatalf("%d records, error %v", len(records), err)
	}
	snap.Containers[0].Name = "another"
	if got := records[0].Socket.Container.Name; got != "node" {
		t.Errorf("container %q, want node", got)
	}
}
