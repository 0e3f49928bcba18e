package main

import (
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/connectionsd/connectionsd/collector"
	"github.com/connectionsd/connectionsd/model"
)

// oneLook answers for one snapshot and notes how it was asked and whether it got the snapshot back.
type oneLook struct {
	snap     *model.Snapshot
	err      error
	want     collector.Want
	released bool
}

func (l *oneLook) Follow(want collector.Want, _ *model.Filter) (*collector.Following, error) {
	l.want = want
	if l.err != nil {
		return nil, l.err
	}
	return collector.Whole(l.snap, func() { l.released = true }), nil
}

func TestListOutput(t *testing.T) {
	const record = `{"address":"192.0.2.2:443","address_type":1,"avg_download":0,"avg_upload":0,` +
		`"connection_id":"00000000000000000000000000000000","current_download":0,"current_upload":0,"height":0,` +
		`"host":"192.0.2.2","incoming":false,"ip":"192.0.2.2","live_time":0,"local_ip":false,"localhost":false,` +
		`"peer_id":"0000000000000000","port":"443","pruning_seed":0,"recv_count":0,"recv_idle_time":0,` +
		`"rpc_credits_per_hash":0,"rpc_port":0,"send_count":0,"send_idle_time":0,`
	const socket = `"socket":{"congestion_state":"open","congestion_window":0,"container_id":"","container_name":"","container_pod_uid":"","container_runtime":"","cookie":0,"delivery_rate":0,"inode":0,` +
		`"live_time_exact":false,"local_address":"192.0.2.1:40000","min_rtt_us":0,"netns":0,"pid":812,` +
		`"process_name":"a\u001bb","retransmits":0,"rtt_us":0,"rttvar_us":0,"tcp_state":"SYN_SENT","uid":0},`
	for _, tc := range []struct {
		name   string
		opts   listOptions
		output string
		owners bool
	}{
		{
			"table",
			listOptions{},
			"DIR  STATE     LOCAL            REMOTE         AGE  RECV  SENT  PID  PROCESS\n" +
				"out  SYN_SENT  192.0.2.1:40000  192.0.2.2:443  >0s  0     0     812  a\\x1bb\n",
			true,
		},
		{
			"json",
			listOptions{json: true},
			`{"connections":[` + record + `"state":"before_handshake","support_flags":0}],"status":"OK","untrusted":false}` + "\n",
			false,
		},
		{
			"extended json",
			listOptions{json: true, extended: true},
			`{"connections":[` + record + socket + `"state":"before_handshake","support_flags":0}],"status":"OK","untrusted":false}` + "\n",
			true,
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			look := &oneLook{snap: snapshotOf(
				[]model.Owner{{PID: 812, Name: "a\x1bb"}},
				sight{state: model.SynSent, local: "192.0.2.1:40000", remote: "192.0.2.2:443"},
			)}
			output, err := tc.opts.output(t.Context(), look)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.output, string(output)); diff != "" {
				t.Errorf("output (-want +got):\n%s", diff)
			}
			if look.want.Owners != tc.owners {
				t.Errorf("asked for owners: %v, want %v", look.want.Owners, tc.owners)
			}
			if !look.released {
				t.Error("the snapshot was not released")
			}
		})
	}
}

func TestListOutputFails(t *testing.T) {
	refused := errors.New("dump refused")
	for _, opts := range []listOptions{{}, {json: true}, {json: true, extended: true}} {
		_, err := opts.output(t.Context(), &oneLook{err: refused})
		if !errors.Is(err, refused) || err.Error() != "take a snapshot: dump refused" {
			t.Errorf("%+v: error %v, want take a snapshot: dump refused", opts, err)
		}
	}
}
