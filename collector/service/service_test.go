package service

import (
	"slices"
	"strings"
	"testing"
)

func TestProcess(t *testing.T) {
	table := BuiltIn() // panics unless every line is right
	for _, test := range []struct {
		name, line string // the arguments, with blanks between them; a title is one argument
		title      bool
		want       Service
	}{
		// by the name alone
		{name: "redis-server", want: Service{"Redis", "redis"}},
		{name: "connectionsd", want: Service{"connectionsd", "connectionsd"}},
		{name: "monerod", want: Service{"Monero", "monero"}},
		{name: "monero-wallet-r", want: Service{"Monero wallet", "monero"}},
		{name: "monero-lws-daem", want: Service{"Monero light wallet server", "monero"}},
		{name: "minotari_consol", want: Service{"Tari wallet", "tari"}},
		{name: "docker-proxy", want: Service{"Docker", "docker"}},
		{name: "containerd-shim", want: Service{"containerd", "containerd"}},
		{name: "kube-controller", want: Service{"Kubernetes", "kubernetes"}},
		{name: "sshd-session", want: Service{"SSH", "ssh"}},
		{name: "sshd-auth", want: Service{"SSH", "ssh"}},
		{name: "postmaster", want: Service{"PostgreSQL", "postgres"}},
		{name: "Plex Media Serv", want: Service{"Plex", "media"}},
		{name: "cupsd", want: Service{"CUPS", "print"}},

		// with a version, or in a title
		{name: "python3", want: Service{"Python", "python"}},
		{name: "python3.13", want: Service{"Python", "python"}},
		{name: "php-fpm8.4", want: Service{"PHP-FPM", "php"}},
		{name: "apache2", want: Service{"Apache", "apache"}},
		{name: "exim4", want: Service{"Exim", "mail"}},
		{name: "mysqld-8.4", want: Service{"MySQL", "mysql"}},
		{name: "next-server (v1", want: Service{"Next.js", "next"}},
		{name: "PM2 v5.3.0: God", want: Service{"PM2", "node"}},
		{name: "nginx", line: "nginx: master process /usr/sbin/nginx -g daemon on;", title: true, want: Service{"nginx", "nginx"}},
		{name: "x", line: "nginx: master process /usr/sbin/nginx", title: true, want: Service{"nginx", "nginx"}},
		{name: "x", line: "redis-server *:6379", title: true, want: Service{"Redis", "redis"}},
		{name: "postgres", line: "postgres: user db 10.0.0.1(4242) idle", title: true, want: Service{"PostgreSQL", "postgres"}},
		{name: "ruby", line: "puma 6.4.0 (tcp://0.0.0.0:3000) [app]", title: true, want: Service{"Puma", "ruby"}},
		{name: "ruby3.3", line: "puma: cluster worker 0: 812 [app]", title: true, want: Service{"Puma", "ruby"}},

		// by the file in the first argument, after the name
		{name: "MainThread", line: "node /srv/app.js", want: Service{"Node.js", "node"}},
		{name: "node-MainThread", line: "/usr/bin/node /srv/app.js", want: Service{"Node.js", "node"}},
		{name: "MainThread", line: "node", want: Service{"Node.js", "node"}},
		{name: "worker", line: "/usr/lib/postgresql/16/bin/postgres -D /data", want: Service{"PostgreSQL", "postgres"}},
		{name: "nginx", line: "redis-server", want: Service{"nginx", "nginx"}},
		{name: "x", line: "/opt/monero-wallet-rpc --rpc-bind-port 18083", want: Service{"Monero wallet", "monero"}},
		{name: "x", line: "-sshd", want: Service{"SSH", "ssh"}},

		// by a word among the arguments
		{name: "node", line: "node /home/user/.next/server/app.js", want: Service{"Next.js", "next"}},
		{name: "MainThread", line: "node /srv/node_modules/.bin/next dev", want: Service{"Next.js", "next"}},
		{name: "node", line: "node next", want: Service{"Next.js", "next"}},
		{name: "node", line: "node nextcloud.js my.next", want: Service{"Node.js", "node"}},
		{name: "java", line: "java -Xmx1g -cp /opt/kafka/libs/a.jar:/opt/kafka/libs/b.jar kafka.Kafka server.properties", want: Service{"Kafka", "kafka"}},
		{name: "java", line: "java -cp /opt/kafka/libs/a.jar org.apache.zookeeper.server.quorum.QuorumPeerMain zoo.cfg", want: Service{"ZooKeeper", "kafka"}},
		{name: "java", line: "/usr/share/elasticsearch/jdk/bin/java -Xms4m", want: Service{"Elasticsearch", "elasticsearch"}},
		{name: "java", line: "java -m org.elasticsearch.server/org.elasticsearch.bootstrap.Elasticsearch", want: Service{"Elasticsearch", "elasticsearch"}},
		{name: "java", line: "java -jar app.jar", want: Service{"Java", "java"}},
		{name: "python3", line: "python3 -m http.server 8000", want: Service{"Python HTTP server", "python"}},
		{name: "python3.13", line: "/usr/bin/python3 /usr/bin/gunicorn -k uvicorn app", want: Service{"Gunicorn", "python"}},
		{name: "gunicorn", line: "gunicorn: master [app]", title: true, want: Service{"Gunicorn", "python"}},
		{name: "python3", line: "python3 -m celery -A app worker", want: Service{"Celery", "queue"}},
		{name: "beam.smp", line: "beam.smp" + strings.Repeat(" -x", 50) + " -s rabbit boot", want: Service{"RabbitMQ", "rabbitmq"}},
		{name: "beam.smp", line: "beam.smp -home /srv/app", want: Service{"Erlang", "erlang"}},
		{name: "master", line: "/usr/lib/postfix/sbin/master -w", want: Service{"Postfix", "mail"}},
		{name: "busybox", line: "/bin/busybox httpd -f", want: Service{"BusyBox httpd", "web"}},

		// by no line
		{name: "master", line: "/srv/master", want: Service{"master", "generic"}},
		{name: "my app", line: "my app", want: Service{"my app", "generic"}},
		{name: "x", want: Service{"x", "generic"}},
		{name: "42", line: "42", want: Service{"42", "generic"}},
		{name: "", line: "", want: Service{"", "generic"}},
		{name: "", want: Service{"", "generic"}},
	} {
		var args []string
		switch {
		case test.title:
			args = []string{test.line}
		case test.line != "":
			args = strings.Split(test.line, " ")
		}
		if got := table.Process(test.name, args); got != test.want {
			t.Errorf("%q, %q: %v, want %v", test.name, args, got, test.want)
		}
	}
}

// How far the arguments are looked at, and in which order lines count.
func TestProcessByCommand(t *testing.T) {
	table, err := parse("icon\tx\ncommand\trun one\tOne\tx\ncommand\trun two\tTwo\tx\nprocess\trun\tRun\tx\ncommand\ta-long-program-name w\tLong\tx")
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{"run", "two"}, "Two"},
		{[]string{"run", "two", "one"}, "One"}, // the line further up, not the word further left
		{[]string{"run", "/a/two/b", "c//one"}, "One"},
		{[]string{"run", "ones", "x=one", "one,", ""}, "Run"},
		{append(slices.Repeat([]string{"run"}, 63), "one"), "One"},
		{append(slices.Repeat([]string{"run"}, 64), "one"), "Run"},
		{[]string{"/one/run"}, "One"},
		{[]string{"run: one worker"}, "One"},
		{[]string{"run", "a one b"}, "Run"}, // an argument among others is no title
		{[]string{"/a b/run", "two"}, "Two"},
		{nil, "Run"},
	} {
		if got := table.Process("run", test.args); got != (Service{test.want, "x"}) {
			t.Errorf("%q: %v, want %s", test.args, got, test.want)
		}
		if got := table.Process("", test.args); test.args != nil && got != (Service{test.want, "x"}) {
			t.Errorf("%q, without a name: %v, want %s", test.args, got, test.want)
		}
	}
	for _, name := range []string{"a-long-program-", "a-long-program-name"} {
		if got := table.Process(name, []string{"x", "w"}); got != (Service{"Long", "x"}) {
			t.Errorf("%q: %v, want Long", name, got)
		}
	}
}

func TestPort(t *testing.T) {
	table := BuiltIn()
	for port, want := range map[uint16]Service{22: {"SSH", "ssh"}, 5432: {"PostgreSQL", "postgres"}, 18081: {"Monero RPC", "monero"}} {
		if got, ok := table.Port(port); !ok || got != want {
			t.Errorf("port %d: %v, %t, want %v", port, got, ok, want)
		}
	}
	for _, port := range []uint16{0, 4, 50000} {
		if got, ok := table.Port(port); ok || got != (Service{}) {
			t.Errorf("port %d: %v, %t, want none", port, got, ok)
		}
	}
}

func FuzzProcess(f *testing.F) {
	for _, line := range []string{"", "node\x00/srv/.next", "nginx: master process", "/\x00/", "-", "java\x00" + strings.Repeat("/x", 100), "python3.13\x00\xff"} {
		f.Add("node", line)
		f.Add(line, line)
	}
	table := BuiltIn()
	f.Fuzz(func(t *testing.T, name, line string) {
		got := table.Process(name, strings.Split(line, "\x00"))
		if got.Icon == "" || got.Label == "" && name != "" || got.Label != name && len(got.Label) > 100 {
			t.Errorf("%q, %q: %v", name, line, got)
		}
	})
}

func BenchmarkProcess(b *testing.B) {
	table := BuiltIn()
	args := append([]string{"/usr/bin/java"}, strings.Split(strings.Repeat("-cp /opt/app/libs/x.jar:/opt/app/libs/y.jar ", 40), " ")...)
	b.ReportAllocs()
	for b.Loop() {
		table.Process("java", args)
	}
}
