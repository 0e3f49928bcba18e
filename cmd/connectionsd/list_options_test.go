package main

import (
	"bytes"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// runCommand runs the command with args and returns its exit code, stdout and stderr.
func runCommand(t *testing.T, environ []string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	code = run(t.Context(), args, &out, &errs, environ)
	return code, out.String(), errs.String()
}

// What is wrong with the command line is said before anything is asked, with exit code 2.
func TestListUsage(t *testing.T) {
	const columns = "dir, state, local, remote, age, recv, sent, pid, process, container, recv-rate, sent-rate, recv-idle, sent-idle, rtt, min-rtt, " +
		"retransmits, window, delivery-rate, congestion, age-exact, id, runtime, uid, netns, inode, cookie"
	const login = "CONNECTIONSD_RPC_LOGIN=user:hunter2"
	for _, tc := range []struct {
		args    []string
		environ []string
		stderr  string
	}{
		// The filter is refused in the daemon's own words.
		{[]string{"--local-port=0"}, nil, "--local-port: want a port from 1 to 65535 or an array of them, not [0]"},
		{[]string{"--local-port=80,http"}, nil, `--local-port: want a port from 1 to 65535 or an array of them, not "http"`},
		{[]string{"--remote-port=65536"}, nil, "--remote-port: want a port from 1 to 65535 or an array of them, not [65536]"},
		{[]string{"--remote-address=x"}, nil, `--remote-address: "x" is no network, want one such as 192.0.2.0/24 or 2001:db8::/32, or an address`},
		{[]string{"--states=LISTEN"}, nil, `--states: "LISTEN" is no state of a connection: want one of ESTABLISHED, SYN_SENT, SYN_RECV, FIN_WAIT1, FIN_WAIT2, CLOSE_WAIT, LAST_ACK, CLOSING, before_handshake, normal, standby`},
		{[]string{"--incoming=yes"}, nil, `--incoming: want true or false, not "yes"`},
		{[]string{"--pid=0"}, nil, "--pid: want the number of a process, from 1 to 2147483647, not 0"},
		{[]string{"--process="}, nil, `--process: want the name of a process, not ""`},
		{[]string{"--scope=0"}, nil, "--scope: want the port from 1 to 65535 that a node listens on, not 0"},
		{[]string{"--limit=-1"}, nil, "--limit: want how many records at the most, from 1 to 2147483647, not -1"},
		{[]string{"--pid=1", "--pid=2"}, nil, `--pid "2": already set to "1": want this flag once`},
		{[]string{"--listeners", "--states=normal"}, nil, "--states: of connections alone: not with --listeners"},
		{[]string{"--listeners", "--incoming"}, nil, "--incoming: of connections alone: not with --listeners"},
		// What is shown.
		{[]string{"--sort=sise"}, nil, `--sort "sise": there is no such column: want some of ` + columns},
		{[]string{"--columns=pid,"}, nil, `--columns "": there is no such column: want some of ` + columns},
		{[]string{"--listeners", "--columns=rtt"}, nil, `--columns "rtt": there is no such column: want some of local, pid, process, service, container, reach, command, runtime, uid, netns, inode, cookie`},
		{[]string{"--units=kb"}, nil, `--units "kb": want iec, si or bytes`},
		{[]string{"--colour=yes"}, nil, `--colour "yes": want auto, always or never`},
		{[]string{"--json=yes"}, nil, `--json "yes": want 1, 0, true or false`},
		{[]string{"--json", "--csv"}, nil, "--json and --csv: want only one of them"},
		{[]string{"--wide", "--columns=pid"}, nil, "--wide and --columns: each says which columns: want only one of them"},
		{[]string{"--extended"}, nil, "--extended: adds to the JSON only: want --json --extended"},
		{[]string{"--json", "--sort=pid"}, nil, "--sort: of a table: not with --json"},
		{[]string{"--csv", "--units=si"}, nil, "--units: of a table: not with --json or --csv"},
		// Who is asked.
		{[]string{"--rpc-address=localhost"}, nil, `--rpc-address "localhost": want HOST:PORT, http://HOST:PORT, https://HOST:PORT or unix:/PATH`},
		{[]string{"--rpc-address=127.0.0.1:1", "--netns=self"}, nil, "--netns: not with --rpc-address: the daemon was told at its start"},
		{[]string{"--rpc-address=127.0.0.1:1", "--rpc-ssl-ca-certificates=f"}, nil, "--rpc-ssl-ca-certificates: needs TLS: want --rpc-address https://HOST:PORT"},
		{[]string{"--rpc-address=https://127.0.0.1:1", "--rpc-ssl-certificate=f"}, nil, "--rpc-ssl-certificate and --rpc-ssl-private-key: want both or neither"},
		{[]string{"--netns=a/b"}, nil, `--netns "a/b": want all, self, or the name of a network namespace under /run/netns`},
		// No secret is repeated.
		{[]string{"--rpc-login=hunter2"}, nil, "--rpc-login: the login has no colon: want USER:PASSWORD"},
		{[]string{"--rpc-login=user:hunter2"}, nil, "--rpc-login: there is no daemon to show it to: want --rpc-address too"},
		{[]string{"--rpc-login=user:hunter2", "hunter3"}, nil, "unexpected argument after the flags: want only flags; see connectionsd list --help"},
		{[]string{"--rpc-address=127.0.0.1:1", "--access-token=hunter2"}, nil, "--access-token: want 16 to 256 characters of A-Z, a-z, 0-9, ., _, ~ and -, as openssl rand -hex 16 prints"},
		{[]string{"--rpc-address=127.0.0.1:1"}, []string{"CONNECTIONSD_ACCESS_TOKEN=hunter2"}, "CONNECTIONSD_ACCESS_TOKEN: want 16 to 256 characters of A-Z, a-z, 0-9, ., _, ~ and -, as openssl rand -hex 16 prints"},
		{[]string{"--rpc-address=127.0.0.1:1"}, []string{login, "CONNECTIONSD_RPC_LOGIN_FILE=/f"}, "CONNECTIONSD_RPC_LOGIN and CONNECTIONSD_RPC_LOGIN_FILE: each is a login: want only one of them"},
		{[]string{"--rpc-address=127.0.0.1:1", "--rpc-login-file=/nonexistent/login"}, []string{login}, "--rpc-login-file: open /nonexistent/login: no such file or directory"},
		{[]string{"--rpc-address=user:hunter2@127.0.0.1:1"}, nil, `--rpc-address: want HOST:PORT, http://HOST:PORT, https://HOST:PORT or unix:/PATH; a login stands in --rpc-login-file`},
	} {
		code, stdout, stderr := runCommand(t, tc.environ, append([]string{"list"}, tc.args...)...)
		if code != exitUsage || stdout != "" {
			t.Errorf("%v: exit code %d, want 2; stdout %q", tc.args, code, stdout)
		}
		if diff := cmp.Diff("connectionsd: "+tc.stderr+"\n", stderr); diff != "" {
			t.Errorf("%v: stderr (-want +got):\n%s", tc.args, diff)
		}
	}
}

// Each flag has a row in the page of its command, or of list whose flags watch has too; each column has one as well.
func TestOptionsAreDocumented(t *testing.T) {
	pages := make(map[string]string)
	for _, name := range []string{"list", "watch"} {
		text, err := os.ReadFile("../../docs/" + name + ".md")
		if err != nil {
			t.Fatal(err)
		}
		pages[name] = string(text)
	}
	row := func(o option) string {
		if o.kind == toggle {
			return "\n| `--" + o.name + "` | "
		}
		return "\n| `--" + o.name + " " + o.placeholder + "` | "
	}
	for _, o := range listOptions() {
		if n := strings.Count(pages["list"], row(o)); n != 1 {
			t.Errorf("list.md has %d rows that start %q, want 1", n, row(o))
		}
	}
	for _, o := range watchOptions() {
		if n := strings.Count(pages["list"]+pages["watch"], row(o)); n != 1 {
			t.Errorf("list.md and watch.md have %d rows that start %q, want 1", n, row(o))
		}
	}
	for _, c := range append(connectionColumns(), listenerColumns()...) {
		if !strings.Contains(pages["list"], "`"+c.name+"`") {
			t.Errorf("list.md does not tell of the column %s", c.name)
		}
	}
}

// The flags of a filter are parameters of the same names; what is sorted here is limited here.
func TestListParams(t *testing.T) {
	for _, tc := range []struct {
		args []string
		want string
	}{
		{nil, `{"extended":true}`},
		{[]string{"--incoming", "--pid=7", "--process=a,b", "--scope=18080"}, `{"incoming":true,"pid":7,"process":"a,b","scope":18080,"extended":true}`},
		{[]string{"--incoming=false", "--states=ESTABLISHED", "--states=SYN_SENT,standby"}, `{"incoming":false,"states":["ESTABLISHED","SYN_SENT","standby"],"extended":true}`},
		{[]string{"--local-port=80,443", "--remote-port=1", "--remote-address=192.0.2.0/24"}, `{"local_port":[80,443],"remote_port":[1],"remote_address":["192.0.2.0/24"],"extended":true}`},
		{[]string{"--limit=3"}, `{"extended":true}`},
		{[]string{"--limit=3", "--json"}, `{"limit":3,"extended":true}`},
	} {
		o := optionsOf(t, tc.args...)
		got, err := o.params(true)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(tc.want, string(got)); diff != "" {
			t.Errorf("%v (-want +got):\n%s", tc.args, diff)
		}
		query, err := queryOf(got)
		if err != nil {
			t.Fatal(err)
		}
		for name, values := range o.filter {
			if name == "states" || name == "local_port" { // of which several may stand in one
				continue
			}
			if diff := cmp.Diff(values, query[name]); diff != "" {
				t.Errorf("%v: %s in the query (-want +got):\n%s", tc.args, name, diff)
			}
		}
	}
}

func TestParseDaemonAddress(t *testing.T) {
	for s, want := range map[string]*daemonAddress{
		"127.0.0.1:18081":          {network: "tcp", address: "127.0.0.1:18081", host: "127.0.0.1:18081"},
		"[::1]:18081":              {network: "tcp", address: "[::1]:18081", host: "[::1]:18081"},
		"node.example.org:1":       {network: "tcp", address: "node.example.org:1", host: "node.example.org:1"},
		"http://localhost":         {network: "tcp", address: "localhost:80", host: "localhost"},
		"http://localhost:8080/":   {network: "tcp", address: "localhost:8080", host: "localhost:8080"},
		"https://node.example.org": {network: "tcp", address: "node.example.org:443", host: "node.example.org", tls: true},
		"https://[::1]:2":          {network: "tcp", address: "[::1]:2", host: "[::1]:2", tls: true},
		"unix:/run/c.sock":         {network: "unix", address: "/run/c.sock", host: "localhost"},
		"unix:///run/c.sock":       {network: "unix", address: "/run/c.sock", host: "localhost"},
		"":                         nil,
		"localhost":                nil,
		"http://":                  nil,
		"http://localhost:0":       nil,
		"localhost:http":           nil,
		"ftp://localhost:1":        nil,
		"http://localhost/a":       nil,
		"http://u:p@localhost:1":   nil,
		"http://localhost?a":       nil,
		"unix:c.sock":              nil,
		"http://local host:1":      nil,
		"http://localhost:99999":   nil,
	} {
		got, err := parseDaemonAddress(s)
		if (err == nil) != (want != nil) {
			t.Errorf("%q: error %v", s, err)
		}
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(daemonAddress{})); diff != "" {
			t.Errorf("%q (-want +got):\n%s", s, diff)
		}
	}
}

// Whatever address is given, it is refused or made into a URL that leads to that host.
func FuzzDaemonAddress(f *testing.F) {
	for _, s := range []string{"127.0.0.1:18081", "https://[fe80::1%25eth0]:1", "unix:/a", "http://a b", "a:1/b", "http://%zz", "http://[::%25\xe4]"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a, err := parseDaemonAddress(s)
		if err != nil {
			return
		}
		u, err := url.Parse(a.url() + "token/json_rpc")
		if err != nil || u.Path != "/token/json_rpc" || u.User != nil || u.Host != a.host {
			t.Fatalf("%q: host %q makes %v, error %v", s, a.host, u, err)
		}
	})
}
