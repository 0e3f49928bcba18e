package main

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"
)

// A daemon shows what this host shows, however it is reached, and only to whom it lets in.
func TestListAsksADaemon(t *testing.T) {
	const token, login = "hunter2-hunter2-hunter2", "user:hunter2"
	t.Chdir(t.TempDir())
	ca := newCertificate(t, "ca", nil)
	newCertificate(t, "server", ca)
	newCertificate(t, "client", ca)
	newCertificate(t, "stranger", nil)
	writeFile(t, "login", login+"\n", 0o600)
	writeFile(t, "wrong", "user:hunter3\n", 0o600)
	socket := filepath.Join(t.TempDir(), "c.sock")

	_, accepted := connect(t, "127.0.0.1:0")
	port := accepted.LocalAddr().(*net.TCPAddr).Port
	show := []string{"--columns=dir,state,local,remote,recv,sent,pid,process", fmt.Sprint("--local-port=", port)}
	here := listOutput(t, show...)
	if strings.Count(here, "\n") != 2 || !strings.Contains(here, accepted.RemoteAddr().String()) {
		t.Fatalf("this host: %s, want a heading and the accepted connection", here)
	}
	hereListening := listOutput(t, "--listeners", fmt.Sprint("--local-port=", port))

	open := start(t, []string{"--netns=self", "--unix-socket=" + socket}, nil)
	guarded := start(t, []string{"--netns=self"}, []string{"CONNECTIONSD_ACCESS_TOKEN=" + token + ",another-another-another", "CONNECTIONSD_RPC_LOGIN=" + login})
	secure := start(t, []string{"--netns=self", "--rpc-ssl-certificate=server.pem", "--rpc-ssl-private-key=server.key"}, nil)
	mutual := start(t, []string{"--netns=self", "--rpc-ssl-certificate=server.pem", "--rpc-ssl-private-key=server.key", "--rpc-ssl-ca-certificates=ca.pem"}, nil)
	const certificate, privateKey = "--rpc-ssl-certificate=client.pem", "--rpc-ssl-private-key=client.key"
	for _, tc := range []struct {
		name    string
		address string
		args    []string
		environ []string
		refused string // behind the address
	}{
		{"HOST:PORT", open.address, nil, nil, ""},
		{"http", "http://" + open.address, nil, nil, ""},
		{"unix", "unix:" + socket, nil, nil, ""},
		{"secrets it does not need", open.address, nil, []string{"CONNECTIONSD_RPC_LOGIN=" + login}, ""},
		{"secrets by flags", guarded.address, []string{"--access-token=" + token, "--rpc-login=" + login}, nil, ""},
		{"secrets by variables", guarded.address, nil, []string{"CONNECTIONSD_ACCESS_TOKEN=" + token + ",another-another-another", "CONNECTIONSD_RPC_LOGIN=" + login}, ""},
		{"a login file", guarded.address, []string{"--rpc-login-file=login"}, []string{"CONNECTIONSD_ACCESS_TOKEN=" + token, "CONNECTIONSD_RPC_LOGIN=user:hunter3"}, ""},
		{"no token", guarded.address, nil, nil, "it asks for an access token, or is no connectionsd (404): want --access-token"},
		{"a wrong token", guarded.address, []string{"--access-token=hunter3-hunter3-hunter3"}, nil, "it does not take this access token, or is no connectionsd (404)"},
		{"no login", guarded.address, []string{"--access-token=" + token}, nil, "it asks for a login (401): want --rpc-login-file"},
		{"a wrong login", guarded.address, []string{"--access-token=" + token, "--rpc-login-file=wrong"}, nil, "it does not let this login in (401): see --rpc-login-file"},
		{"https", "https://" + secure.address, []string{"--rpc-ssl-ca-certificates=ca.pem"}, nil, ""},
		{
			"https by a stranger", "https://" + secure.address, nil, nil,
			"tls: failed to verify certificate: x509: certificate signed by unknown authority: want --rpc-ssl-ca-certificates with what signed it",
		},
		{"http where https is", secure.address, nil, nil, "it speaks TLS alone: want https:// in --rpc-address"},
		{"https where http is", "https://" + open.address, nil, nil, "it speaks no TLS: want http:// in --rpc-address"},
		{"a client's certificate", "https://" + mutual.address, []string{"--rpc-ssl-ca-certificates=ca.pem", certificate, privateKey}, nil, ""},
		{"nobody there", "unix:/nonexistent/c.sock", []string{"--access-token=" + token}, nil, "dial unix /nonexistent/c.sock: connect: no such file or directory"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			args := append([]string{"list", "--rpc-address=" + tc.address}, tc.args...)
			code, stdout, stderr := runCommand(t, tc.environ, append(args, show...)...)
			_, listening, listeningErr := runCommand(t, tc.environ, append(args, "--listeners", fmt.Sprint("--local-port=", port))...)
			if tc.refused != "" {
				address := strings.TrimPrefix(strings.TrimPrefix(tc.address, "https://"), "unix:")
				want := "connectionsd: ask the daemon at " + address + ": " + tc.refused + "\n"
				if code != exitFailure || stderr != want || listeningErr != want || stdout+listening != "" {
					t.Errorf("exit code %d, want 1\n%s%swant %s", code, stderr, listeningErr, want)
				}
				return
			}
			if code != exitOK || stderr+listeningErr != "" {
				t.Errorf("exit code %d, stderr %q %q", code, stderr, listeningErr)
			}
			if diff := cmp.Diff(here, stdout); diff != "" {
				t.Errorf("connections (-of this host +of the daemon):\n%s", diff)
			}
			if diff := cmp.Diff(hereListening, listening); diff != "" {
				t.Errorf("listeners (-of this host +of the daemon):\n%s", diff)
			}
		})
	}
}

// --json prints the answer as the daemon gives it.
func TestListJSONOfADaemon(t *testing.T) {
	d := start(t, []string{"--netns=self"}, nil)
	_, accepted := connect(t, "127.0.0.1:0")
	port := fmt.Sprint("--local-port=", accepted.LocalAddr().(*net.TCPAddr).Port)
	for _, tc := range []struct {
		args         []string
		begin, holds string
	}{
		{[]string{"list", "--json", port}, `{"connections":[{"address":"` + accepted.RemoteAddr().String() + `",`, `"status":"OK","untrusted":false}`},
		{[]string{"list", "--json", "--extended", port}, `{"connections":[{"address":"` + accepted.RemoteAddr().String() + `",`, `"local_address":"` + accepted.LocalAddr().String() + `"`},
		{[]string{"list", "--json", "--listeners", port}, `{"listeners":[{"pid":`, `"processName":"` + ownName(t)},
	} {
		code, stdout, stderr := runCommand(t, nil, append(tc.args, "--rpc-address="+d.address)...)
		if code != exitOK || !strings.HasPrefix(stdout, tc.begin) || !strings.Contains(stdout, tc.holds) || !json.Valid([]byte(stdout)) {
			t.Errorf("%v: exit code %d, %s%s\nwant it to begin with %s and have %s", tc.args, code, stdout, stderr, tc.begin, tc.holds)
		}
	}
}

// What a daemon can answer, and what becomes of it: one line without a control character, and exit code 1; 2 where it is the
// command line that it does not take.
func TestListOfOddDaemons(t *testing.T) {
	for _, tc := range []struct {
		name   string
		status int
		body   string
		args   []string
		code   int
		want   string // behind the address; with ! before it all of it
	}{
		{"monerod", 200, `{"id":"0","jsonrpc":"2.0","result":{"connections":[{"address":"abc.onion:18083","incoming":true,"state":"normal","live_time":7,"recv_count":1,"send_count":2}],"status":"OK"}}`, nil, 0, ""},
		{"monerod without connections", 200, `{"id":"0","jsonrpc":"2.0","result":{"status":"OK"}}`, nil, 0, ""},
		{"monerod with a filter", 200, `{"result":{"connections":[{"address":"192.0.2.1:1"}]}}`, []string{"--pid=1"}, 1, "!the daemon knows no filters, as monerod does not: want a connectionsd, or none"},
		{"an error", 200, `{"error":{"code":-32001,"message":"Scope not visible","data":"scope: \u001b[2J"}}`, nil, 1, `!scope: \x1b[2J`},
		{"an older one", 200, `{"error":{"code":-32602,"message":"Invalid params","data":"pid: no such parameter"}}`, []string{"--pid=1"}, 2, "!the daemon does not take the filter: pid: no such parameter"},
		{"no JSON", 200, "<html>\x1b", nil, 1, "its answer is no JSON-RPC: invalid character '<' looking for beginning of value"},
		{"no result", 200, `{"result":null}`, nil, 1, "its answer is no result of get_connections"},
		{"a wrong type", 200, `{"result":{"connections":{}}}`, nil, 1, "!read the answer: json: cannot unmarshal object into Go struct field"},
		{"too many requests", 429, `{"error":{"code":429,"message":"Too Many Requests"}}`, nil, 1, "it answers 429: Too Many Requests"},
		{"a word", 403, `{"error":"the host \u001b is not allowed"}`, nil, 1, `it answers 403: the host \x1b is not allowed`},
		{"a page", 502, "<html>\n\x1b]0;a\a", nil, 1, `it answers 502: <html>\n\x1b]0;a\a`},
		{"a redirect", 302, "", nil, 1, "it answers 302: "},
	} {
		t.Run(tc.name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Location", "http://192.0.2.1/")
				w.WriteHeader(tc.status)
				fmt.Fprint(w, tc.body)
			}))
			defer server.Close()
			address := server.Listener.Addr().String()
			code, stdout, stderr := runCommand(t, []string{"CONNECTIONSD_ACCESS_TOKEN=hunter2-hunter2-hunter2"}, append([]string{"list", "--rpc-address=" + address}, tc.args...)...)
			want, whole := strings.CutPrefix(tc.want, "!")
			if !whole && want != "" {
				want = "ask the daemon at " + address + ": " + want
			}
			if want != "" {
				want = "connectionsd: " + want
			}
			if code != tc.code || !strings.HasPrefix(stderr, want) || (want == "") != (stderr == "") || (stdout == "") != (code != 0) {
				t.Errorf("exit code %d, want %d\nstdout %q\nstderr %q, want %q", code, tc.code, stdout, stderr, want)
			}
			if strings.ContainsFunc(strings.TrimSuffix(stderr, "\n"), unicode.IsControl) || strings.Contains(stderr, "hunter2") {
				t.Errorf("stderr %q", stderr)
			}
		})
	}
}

// monerod tells less; what it does not tell is not made up.
func TestListOfMonerod(t *testing.T) {
	entries, err := readConnections([]byte(`{"connections":[{"address":"abc.onion:18083","incoming":true,"state":"normal","live_time":7,"recv_count":1500,"send_count":2}]}`))
	if err != nil {
		t.Fatal(err)
	}
	want := "DIR  STATE   LOCAL  REMOTE           AGE   RECV  SENT  PID  PROCESS  CONTAINER\n" +
		"in   normal  -      abc.onion:18083   7s  1.4Ki     2    -  -        -\n"
	if diff := cmp.Diff(want, tableOf(t, entries, screen{})); diff != "" {
		t.Errorf("table (-want +got):\n%s", diff)
	}
}

// Whatever a daemon answers, nothing of it reaches the terminal but what can be printed, and as many lines and fields as
// there are connections and columns.
func FuzzAnswer(f *testing.F) {
	for _, s := range []string{
		`{"connections":[{"address":"192.0.2.1:1","state":"\u001b[2J","live_time":18446744073709551615,"socket":{"process_name":"\n\u009b","container_name":" \t","local_address":"\r"}}]}`,
		`{"listeners":[{"address":"::1","port":1,"serviceLabel":"\u202e","cmd":"\u0000","socket":{"pid":1}},{}]}`,
		`{"connections":[null,{"socket":{}}]}`, `[]`, `{"connections":1}`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, answer []byte) {
		for _, listeners := range []bool{false, true} {
			read := map[bool]func([]byte) ([]entry, error){false: readConnections, true: readListeners}[listeners]
			entries, err := read(answer)
			if err != nil {
				continue
			}
			o := lookOptions{listeners: listeners, wide: true, units: unitsIEC}
			sortEntries(entries, nil)
			text := string(newTable(entries, &o, screen{}).text(true, false))
			for line := range strings.Lines(text) {
				line = strings.TrimSuffix(line, "\n")
				if strings.ContainsFunc(line, func(r rune) bool { return !unicode.IsPrint(r) }) {
					t.Fatalf("line %q", line)
				}
				if got, want := len(strings.Fields(line)), len(columnsOf(listeners)); got != want {
					t.Fatalf("%d fields, want %d: %q", got, want, line)
				}
			}
			if got, want := strings.Count(text, "\n"), len(entries)+1; got != want {
				t.Fatalf("%d lines, want %d:\n%s", got, want, text)
			}
			o.wide = false
			newTable(entries, &o, screen{isTerminal: true, width: 60}).text(true, true)
			if _, err := csvText(entries, &o); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// The filter selects as the daemon does, and the limit counts what is sorted.
func TestListFilters(t *testing.T) {
	opened, accepted := connect(t, "127.0.0.1:0")
	other, _ := connect(t, "[::1]:0")
	port := func(c net.Conn) int { return c.LocalAddr().(*net.TCPAddr).Port }
	all := []int{port(opened), port(other)} // of which one is the lowest
	for _, tc := range []struct {
		args []string
		want []int
	}{
		{[]string{"--incoming", fmt.Sprint("--remote-port=", port(opened))}, []int{port(accepted)}},
		{[]string{"--incoming=false", "--remote-address=127.0.0.0/8"}, []int{port(opened)}},
		{[]string{fmt.Sprintf("--local-port=%d,%d", port(opened), port(other)), "--states=established"}, []int{min(all[0], all[1]), max(all[0], all[1])}},
		{[]string{fmt.Sprintf("--local-port=%d,%d", port(opened), port(other)), "--sort=-local", "--limit=1", "--remote-address=::1"}, []int{port(other)}},
		{[]string{"--states=syn_sent"}, nil},
		{[]string{"--process=nobody"}, nil},
		{[]string{fmt.Sprint("--pid=", os.Getpid()), fmt.Sprint("--local-port=", port(other))}, []int{port(other)}},
		{[]string{fmt.Sprint("--local-port=", port(other)), "--process=" + ownName(t)}, []int{port(other)}},
	} {
		var got []int
		for line := range strings.Lines(listOutput(t, append(tc.args, "--columns=local", "--no-header")...)) {
			_, text, _ := net.SplitHostPort(strings.TrimSpace(line))
			var n int
			if _, err := fmt.Sscan(text, &n); err != nil {
				t.Fatal(err)
			}
			got = append(got, n)
		}
		if diff := cmp.Diff(tc.want, got); diff != "" {
			t.Errorf("%v (-want +got):\n%s", tc.args, diff)
		}
	}
}
