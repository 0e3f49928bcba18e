package process

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestParseCommandLines(t *testing.T) {
	for s, want := range map[string]CommandLines{"full": Full, "redacted": Redacted, "off": Off} {
		if got, err := ParseCommandLines(s); got != want || err != nil {
			t.Errorf("%q: %d, error %v, want %d", s, got, err, want)
		}
	}
	for _, s := range []string{"", "Full", "full ", "on", "0"} {
		if got, err := ParseCommandLines(s); err == nil || err.Error() != "want full, redacted or off" {
			t.Errorf("%q: %d, error %v", s, got, err)
		}
	}
	var zero CommandLines
	if zero != Redacted {
		t.Error("the zero value is not Redacted")
	}
}

func TestShow(t *testing.T) {
	args := []string{"app", "a b", `"c"`, "", "--token=x", "\x1b\xff"}
	for how, want := range map[CommandLines]string{
		Full:     "app a b \"c\"  --token=x \x1b\xff",
		Redacted: "app a b \"c\"  --token=*** \x1b\xff",
		Off:      "",
	} {
		if got := how.Show(args); got != want {
			t.Errorf("%d: %q, want %q", how, got, want)
		}
		if got := how.Show(nil); got != "" {
			t.Errorf("%d: %q of no arguments", how, got)
		}
	}
}

func TestShowIsBounded(t *testing.T) {
	for _, test := range []struct{ line, want string }{
		{strings.Repeat("a", 1024), strings.Repeat("a", 1024)},
		{strings.Repeat("a", 1025), strings.Repeat("a", 1021) + "…"},
		{"aa" + strings.Repeat("é", 600), "aa" + strings.Repeat("é", 509) + "…"},
		{strings.Repeat("é", 600), strings.Repeat("é", 510) + "…"},
		{strings.Repeat("\U0001F600", 300), strings.Repeat("\U0001F600", 255) + "…"},
		{strings.Repeat("\x80", 2000), strings.Repeat("\x80", 1018) + "…"}, // no character has so many bytes
	} {
		for _, how := range []CommandLines{Full, Redacted} {
			if got := how.Show([]string{test.line}); got != test.want {
				t.Errorf("%d bytes: %d bytes %q, want %d bytes %q", len(test.line), len(got), got, len(test.want), test.want)
			}
		}
	}
	// What is hidden does not count.
	if got, want := Redacted.Show([]string{"app", "--token", strings.Repeat("a", 5000), "end"}), "app --token *** end"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
}

// A secret behind a flag, in the words of the tests below; {} stands for it.
func with(secret string, args []string) []string {
	filled := make([]string, len(args))
	for i, arg := range args {
		filled[i] = strings.ReplaceAll(arg, "{}", secret)
	}
	return filled
}

// form is a way in which command lines hold secrets.
type form struct {
	args   []string // {} is the secret
	want   string
	cannot string // characters that a secret of this form cannot have; ␠ is any blank
}

// line is a form of several arguments, without blanks in them.
func line(line, want string) form { return form{args: strings.Split(line, " "), want: want} }

// forms are those that no secret shows through, whatever it is.
var forms = []form{
	// flags
	line("app --password={} --port 5", "app --password=*** --port 5"),
	line("app --password {} --port 5", "app --password *** --port 5"),
	line("app -password={} -port 5", "app -password=*** -port 5"),
	line("app -password {}", "app -password ***"),
	line("app --passwd={}", "app --passwd=***"),
	line("app --passphrase {}", "app --passphrase ***"),
	line("app --pass {}", "app --pass ***"),
	line("app --pwd={}", "app --pwd=***"),
	line("app --secret={}", "app --secret=***"),
	line("app --token {}", "app --token ***"),
	line("app --key={}", "app --key=***"),
	line("app --api-key {}", "app --api-key ***"),
	line("app --apiKey={}", "app --apiKey=***"),
	line("app --APIKey={}", "app --APIKey=***"),
	line("app --access-key={}", "app --access-key=***"),
	line("app --credential {}", "app --credential ***"),
	line("app --credentials={}", "app --credentials=***"),
	line("app --auth={}", "app --auth=***"),
	line("app --login {}", "app --login ***"),
	line("app --cookie={}", "app --cookie=***"),
	line("app --session {}", "app --session ***"),
	line("app --bearer {}", "app --bearer ***"),
	line("app --private={}", "app --private=***"),
	line("app --seed {}", "app --seed ***"),
	line("app --mnemonic={}", "app --mnemonic=***"),
	line("app --electrum-seed={}", "app --electrum-seed=***"),
	line("app --dbPassword={}", "app --dbPassword=***"),
	line("app --authtoken={}", "app --authtoken=***"),
	line("app --jwt.secret2={}", "app --jwt.secret2=***"),
	line("consul agent -encrypt={} -client 0.0.0.0", "consul agent -encrypt=*** -client 0.0.0.0"),
	line("app --session-secret {}", "app --session-secret ***"),
	line("app --slack-webhook-url={}", "app --slack-webhook-url=***"),
	line("app --password={} tail", "app --password=*** tail"),
	line("app --password {} tail", "app --password *** tail"),
	line("app --auth --password {}", "app --auth --password ***"),
	line("app --no-password --token {}", "app --no-password --token ***"),
	line("app -auth -token {}", "app -auth *** ***"),

	// the environment, also behind docker run -e
	line("env PGPASSWORD={} psql", "env PGPASSWORD=*** psql"),
	line("env MYSQL_PWD={} mysql", "env MYSQL_PWD=*** mysql"),
	line("env DB_PASS={} app", "env DB_PASS=*** app"),
	line("env AWS_SECRET_ACCESS_KEY={} aws", "env AWS_SECRET_ACCESS_KEY=*** aws"),
	line("docker run -e POSTGRES_PASSWORD={} -p 5432:5432 postgres", "docker run -e POSTGRES_PASSWORD=*** -p 5432:5432 postgres"),
	line("docker run -eTOKEN={} app", "docker run -eTOKEN=*** app"),
	line("docker run --env=GITHUB_TOKEN={} app", "docker run --env=GITHUB_TOKEN=*** app"),
	line("docker run --label auth[password]={}", "docker run --label auth[password]=***"),

	// this daemon's and Monero's own
	line("connectionsd serve --rpc-login {} --rpc-bind-port 18081", "connectionsd serve --rpc-login *** --rpc-bind-port 18081"),
	line("connectionsd serve --access-token={} --height 5", "connectionsd serve --access-token=*** --height 5"),
	line("monerod --rpc-login user:{} --rpc-bind-port 18081", "monerod --rpc-login *** --rpc-bind-port 18081"),
	line("monerod --rpc-login=user:{} --p2p-bind-port 18080", "monerod --rpc-login=*** --p2p-bind-port 18080"),
	line("monero-wallet-rpc --wallet-file x --password {} --rpc-bind-port 18083", "monero-wallet-rpc --wallet-file x --password *** --rpc-bind-port 18083"),
	line("monero-wallet-rpc --daemon-login u:{}", "monero-wallet-rpc --daemon-login ***"),
	line("monero-wallet-cli --generate-from-spend-key {}", "monero-wallet-cli --generate-from-spend-key ***"),
	line("xmrig -o pool:3333 -u wallet -p {} --http-port 8080", "xmrig -o pool:3333 -u wallet -p *** --http-port 8080"),
	line("xmrig --http-access-token={}", "xmrig --http-access-token=***"),
	line("bitcoind -rpcuser=u -rpcpassword={} -rpcport=8332", "bitcoind -rpcuser=u -rpcpassword=*** -rpcport=8332"),
	line("bitcoind -rpcauth={}", "bitcoind -rpcauth=***"),
	line("lnd --bitcoind.rpcpass={}", "lnd --bitcoind.rpcpass=***"),

	// short options
	line("mysql -uroot -p{} -h db", "mysql -uroot -p*** -h db"),
	line("/usr/bin/mysqldump -p{}", "/usr/bin/mysqldump -p***"),
	line("sudo mysqladmin -p{} status", "sudo mysqladmin -p*** status"),
	line("mongosh -u root -p {} --port 27017", "mongosh -u root -p *** --port 27017"),
	line("sshpass -p {} ssh host", "sshpass -p *** ssh host"),
	line("sshpass -p{} ssh host", "sshpass -p*** ssh host"),
	line("redis-cli -p 6379 -a {} ping", "redis-cli -p 6379 -a *** ping"),
	line("curl -u {} https://example.com", "curl -u *** https://example.com"),
	line("curl -u user:{} https://example.com", "curl -u *** https://example.com"),
	line("curl -uuser:{} https://example.com", "curl -u*** https://example.com"),
	line("curl -sSu user:{} https://example.com", "curl -sSu *** https://example.com"),
	line("curl --user user:{} https://example.com", "curl --user *** https://example.com"),
	line("curl --proxy-user=user:{} https://example.com", "curl --proxy-user=*** https://example.com"),
	line("app -u user:{}", "app -u ***"),
	line("app -u=user:{}", "app -u=***"),
	line("docker login -u bob -p {} registry:5000", "docker login -u bob -p *** registry:5000"),
	line("ldapsearch -x -D cn=admin -w {}", "ldapsearch -x -D cn=admin -w ***"),
	line("mosquitto_sub -p 1883 -u u -P {}", "mosquitto_sub -p 1883 -u u -P ***"),
	line("7z a -p{} x.7z", "7z a -p*** x.7z"),
	line("openssl enc -k {}", "openssl enc -k ***"),
	line("openssl rsa -passin pass:{}", "openssl rsa -passin ***"),
	line("ss-server -p 8388 -k {}", "ss-server -p 8388 -k ***"),
	line("snmpget -v 3 -A {} -X {} host", "snmpget -v 3 -A *** -X *** host"),
	line("snmpget -v2c -c{} host", "snmpget -v2c -c*** host"),
	line("frpc tcp -s 192.0.2.1:7000 -t {}", "frpc tcp -s 192.0.2.1:7000 -t ***"),
	line("ttyd -p 7681 -c user:{} bash", "ttyd -p 7681 -c *** bash"),
	line("xfreerdp /v:host /p:{}", "xfreerdp /v:host /p:***"),
	line("xfreerdp /v:host /password:{}", "xfreerdp /v:host /password:***"),
	line("keytool -storepass {}", "keytool -storepass ***"),
	line("x11vnc -passwd {} -rfbport 5900", "x11vnc -passwd *** -rfbport 5900"),

	// words
	line("redis-server --port 6379 --requirepass {} --masterauth {} --save 60", "redis-server --port 6379 --requirepass *** --masterauth *** --save 60"),
	line("redis-cli config set requirepass {}", "redis-cli config set requirepass ***"),
	line("redis-cli AUTH {}", "redis-cli AUTH ***"),
	line("nmcli dev wifi connect home password {}", "nmcli dev wifi connect home password ***"),
	line("kubectl create secret generic x --from-literal=name={}", "kubectl create secret *** x --from-literal=***"),
	line("kubectl create sec generic x --from-literal key={}", "kubectl create sec generic x --from-literal ***"),
	line("java -Djavax.net.ssl.keyStorePassword={} -jar x.jar", "java -Djavax.net.ssl.keyStorePassword=*** -jar x.jar"),
	line("java -Dpassword={} -jar x.jar", "java -Dpassword=*** -jar x.jar"),
	line("mount -t cifs -o username=u,password={} //host/x /x", "mount -t cifs -o username=u,password=*** //host/x /x"),
	line("app --set db.auth.password={}", "app --set db.auth.password=***"),

	// one argument with blanks in it
	{[]string{"curl", "-H", "Authorization: Bearer {}", "https://example.com"}, "curl -H Authorization: *** https://example.com", ""},
	{[]string{"curl", "-H", "X-Api-Key: {}", "https://example.com"}, "curl -H X-Api-Key: *** https://example.com", ""},
	{[]string{"curl", "-HX-Api-Key:{}", "https://example.com"}, "curl -HX-Api-Key:*** https://example.com", ""},
	{[]string{"curl", "--header=Cookie: a={}", "https://example.com"}, "curl --header=Cookie: *** https://example.com", ""},
	{[]string{"curl", "-d", `{"user":"x","password":"{}"}`, "https://example.com"}, `curl -d {"user":"x","password":*** https://example.com`, ""},
	{[]string{"curl", "-d", `{ "name" : "x", "password" : "{}" }`, "end"}, `curl -d { "name" : "x", "password" *** end`, "@"},
	{[]string{"curl", "-d", `{\"token\":\"{}\"}`, "end"}, `curl -d {\"token\":*** end`, ""},
	{[]string{"app", "--config", "db: x\npassword: {}"}, "app --config db: x\npassword: ***", "@"},
	{[]string{"psql", "host=x password={} user=z"}, "psql host=x password=***", ""},
	{[]string{"psql", "host=x password = {}"}, "psql host=x password ***", ""},
	{[]string{"psql", "-c", "ALTER USER x PASSWORD '{}'"}, "psql -c ALTER USER x PASSWORD ***", ""},
	{[]string{"mysql", "-e", "CREATE USER x IDENTIFIED BY '{}'"}, "mysql -e CREATE USER x IDENTIFIED ***", ""},
	{[]string{"sh", "-c", "exec app --password {} --port 5"}, "sh -c exec app --password ***", ""},
	{[]string{"sh", "-c", "exec app --auth --password='{}' --port 5"}, "sh -c exec app --auth --password=***", ""},
	{[]string{"sh", "-c", "mysql -p{} -h db"}, "sh -c mysql -p***", ""},
	{[]string{"sh", "-c", "PGPASSWORD={} psql"}, "sh -c PGPASSWORD=***", ""},
	{[]string{"app", "Server=x;Port=5;Password={};Timeout=3"}, "app Server=x;Port=5;Password=***", ""},

	// addresses
	{[]string{"app", "mongodb://user:{}@db:27017/x"}, "app mongodb://user:***@db:27017/x", ""},
	{[]string{"app", "--db=postgres://user:{}@db:5432/x?sslmode=off"}, "app --db=postgres://user:***@db:5432/x?sslmode=off", ""},
	{[]string{"app", "https://user:{}@db"}, "app https://user:***@db", ""},
	{[]string{"app", "https://{}@db:8443/x"}, "app https://***@db:8443/x", ":"},
	{[]string{"app", "https://{}:x-oauth-basic@github.com/x"}, "app https://***@github.com/x", ":"},
	{[]string{"app", "https://{}:@api.example.com"}, "app https://***@api.example.com", ":"},
	{[]string{"app", "redis://:{}@db:6379"}, "app redis://:***@db:6379", ""},
	{[]string{"app", "jdbc:mysql://u:{}@db/x"}, "app jdbc:***@db/x", ""},
	{[]string{"app", `{"url":"http://u:{}@db:80"}`}, `app {"url":***@db:80"}`, ""},
	{[]string{"app", "bob:{}@tcp(db:3306)/x"}, "app bob:***@tcp(db:3306)/x", ""},
	{[]string{"app", "https://db/x?token={}&y=1"}, "app https://db/x?token=***&y=1", "&@"},
	{[]string{"app", "https://db/x?y=1&api_key={}"}, "app https://db/x?y=1&api_key=***", "&@"},
	{[]string{"app", "https://db/x?sig={}&token={}&z=1"}, "app https://db/x?sig=***&token=***&z=1", "&@"},

	// titles
	{[]string{"redis-server *:6379 --requirepass {} --port 5"}, "redis-server *:6379 --requirepass *** --port 5", ""},
	{[]string{"app: worker --password={} --port 5"}, "app: worker --password=*** --port 5", ""},
	{[]string{"app  --token  {}"}, "app  --token  ***", ""},
	{[]string{"app: Authorization: Bearer {} --port 5"}, "app: Authorization: *** --port 5", ""},
	{[]string{"mysql: -p{} --port 5"}, "mysql: -p*** --port 5", ""},
	{[]string{"mysql -p{} --port 5"}, "mysql -p*** --port 5", ""},
	{[]string{"app (tcp://user:{}@db:80) [x]"}, "app (tcp://user:***@db:80) [x]", "␠"},
	{[]string{"app password={} user=x --port 5"}, "app password=*** --port 5", ""},
}

// fits reports whether secret can stand in f: whether it is one, and is not
// written like a flag or a plain value, as the package says.
func (f form) fits(secret string) bool {
	if strings.TrimSpace(secret) != secret || strings.ContainsAny(secret, "\x00{}") || secret == "" || isPlain(secret) || isFlag(secret) {
		return false
	}
	if slices.ContainsFunc(with(secret, f.args), func(arg string) bool { return strings.HasPrefix(arg, "bob://") }) {
		return false // bob is a scheme
	}
	inWords := slices.ContainsFunc(f.args, func(arg string) bool { return strings.Contains(arg, " ") && strings.Contains(arg, "{}") })
	for word := range wordsOf(secret) {
		if w := secret[word.from:word.to]; inWords && (isFlag(w) || isPlain(w)) || word.from > 0 && strings.Contains(f.cannot, "␠") {
			return false
		}
	}
	return !strings.ContainsAny(secret, strings.ReplaceAll(f.cannot, "␠", ""))
}

// check holds that nothing of secret shows through f: that what is shown is what
// is wanted, or has more of it hidden.
func (f form) check(t *testing.T, secret string) {
	t.Helper()
	if !f.fits(secret) {
		return
	}
	if got := Redacted.Show(with(secret, f.args)); !hidesMore(got, f.want) {
		t.Errorf("secret %.60q in %q:\ngot  %q\nwant %q", secret, f.args, got, f.want)
	}
}

// hidesMore reports whether got is want, or has the mask in place of more of it.
func hidesMore(got, want string) bool {
	parts := strings.Split(got, mask)
	first, last := parts[0], parts[len(parts)-1]
	if len(parts) == 1 {
		return got == want
	}
	rest, ok := strings.CutPrefix(want, first)
	if !ok {
		return false
	}
	if rest, ok = strings.CutSuffix(rest, last); !ok {
		return false
	}
	for _, part := range parts[1 : len(parts)-1] {
		if _, rest, ok = strings.Cut(rest, part); !ok {
			return false
		}
	}
	return true
}

var secrets = []string{
	"hunter2", "s3cr3t!", "a b c", "-secret-", "-Secret", "--", "-", "--$x", "x=y", "user:x", "p@ss:w@rd", "a/b?c#d&e=f",
	`it's "quoted"`, "$(reboot)", "***", "*", "8x8", "eyJhbGciOi.eyJzdWIi.c2ln-_", "naïve пароль", "\xff\xfe", "password", "token=x", "--1", "a,b;c",
	"p", "A", "X", "u", "//x", "p://", "://x", "-p 5", "Basic dXNlcjpwYXNz", strings.Repeat("long", 2000),
}

func TestShowHidesSecrets(t *testing.T) {
	for _, f := range forms {
		if got := Redacted.Show(with("hunter2", f.args)); got != f.want {
			t.Errorf("%q:\ngot  %q\nwant %q", f.args, got, f.want)
		}
		tried := 0
		for _, secret := range secrets {
			if f.fits(secret) {
				tried++
			}
			f.check(t, secret)
		}
		if tried < 15 {
			t.Errorf("%q: only %d secrets fit", f.args, tried)
		}
	}
}

// Nothing of these is a secret.
func TestShowKeepsTheRest(t *testing.T) {
	for _, args := range [][]string{
		{"node", "/home/user/.next/server/app.js"},
		{"redis-server *:6379"},
		{"nginx: master process /usr/sbin/nginx -g daemon on;"},
		{"postgres: user db 10.0.0.1(4242) idle"},
		{"sshd: alice [priv]"},
		{"sshd: /usr/sbin/sshd -D [listener] 0 of 10-100 startups"},
		{"puma 6.4.0 (tcp://0.0.0.0:3000) [app]"},
		{"monerod", "--rpc-bind-port", "18081", "--rpc-bind-ip=127.0.0.1", "--seed-node", "seed.example.com:18080", "--no-igd"},
		{"connectionsd", "serve", "--rpc-login-file", "/etc/login", "--rpc-bind-port", "18081"},
		{"app", "monkey=banana", "keyboard", "passive", "tokenize", "compass", "--keepalive", "3", "--keep-alive=5"},
		{"app", "--passive-ports", "5000:5010", "--monkey", "banana", "--keyboard", "us", "--tokenizer", "x", "--compass=north", "bypass", "x"},
		{"app", "--no-password", "--port", "5", "--without-auth", "8080", "--disable-token", "x", "--skip-login", "y"},
		{"mongod", "--auth", "--bind_ip_all", "--port", "27017", "--keyFile", "/etc/key"},
		{"app", "--password", "--port", "5"},
		{"app", "--password", "-p", "5"},
		{"app", "--anonymous-auth=false", "--auth", "none", "--use-token", "true"},
		{"etcd", "--key-file=/etc/x.pem", "--tls-private-key-file", "/etc/y.pem", "--auth-port", "9051", "--token-ttl=5m", "--session-timeout", "30"},
		{"ssh", "-p", "2222", "-N", "-L", "8080:localhost:80", "user@host"},
		{"docker", "run", "-p", "80:80", "-p", "127.0.0.1:5432:5432/tcp", "-p", "8000-8010:80,443", "nginx:1.25"},
		{"dropbear", "-p", "[::1]:22", "-P=8022", "-p=localhost:22"},
		{"app", "-p8080", "-port", "8080", "-u", "www-data", "-U", "bob", "--user", "www-data", "-url=http://db:80/"},
		{"app", "--upstream=http://auth:8080/", "auth-service:8080", "login.example.com:443", "http://key-server:80,http://user:81/x"},
		{"app", "https://auth.example.com/login/token", "--user=www-data", "user@host:22", "root@host", "@x"},
		{"node", "/srv/auth/server.js", "3000", "auth.js", "session.example.com", "80"},
		{"/usr/bin/login", "bob"},
		{"pass", "show"},
		{"docker-proxy", "-proto", "tcp", "-host-ip", "0.0.0.0", "-host-port", "5432", "-container-ip", "172.17.0.2", "-container-port", "5432"},
		{"java", "-Xmx512m", "-Dcom.example.passwordFile=/x", "-cp", "/a.jar:/b.jar", "com.example.auth.Server", "8080"},
		{"app", "ключ=значение", "a=b", "=", ":", "--", "-", "?&=", "x:", "password", "--x"},
		{"app", "?token=&x=1", "token="},
		{"app", "", " ", "\t"},
		{"app", "--password", "", "shown"},
		{"x11vnc", "--loop"},
	} {
		if got, want := Redacted.Show(args), strings.Join(args, " "); got != want {
			t.Errorf("\ngot  %q\nwant %q", got, want)
		}
	}
}

// What is hidden although it may be none, and where a secret ends.
func TestShowHidesRatherTooMuch(t *testing.T) {
	for _, test := range []struct{ line, want string }{
		{"app --private-key /etc/x.pem --port 5", "app --private-key *** --port 5"},
		{"app --tls-key=/etc/x.pem --port 5", "app --tls-key=*** --port 5"},
		{"app --password --Port5", "app --password --Port5"},
		{"app --password -port 5", "app --password *** 5"},
		{"app -p /run/x.pid", "app -p ***"},
		{"app -p 65536", "app -p ***"},
		{"app -p 99999", "app -p ***"},
		{"app -p 123456", "app -p ***"},
		{"app -p=x", "app -p=***"},
		{"docker run --user 1000:1000 x", "docker run --user *** x"},
		{"docker run nginx:1@sha256:abc", "docker run nginx:***@sha256:abc"},
		{"app ssh://git@host:22/x", "app ssh://***@host:22/x"},
		{"app https://host/x?mail=a@b", "app https://***@b"},
		{"app https://0123456789abcdef0123:x@host", "app https://***@host"},
		{"app https://0123456789abcdef012:x@host", "app https://0123456789abcdef012:***@host"},
		{"app auth:8080", "app auth:***"},
		{"app password:1234", "app password:***"},
		{"app token x y", "app token *** y"},
		{"app Authorization: Basic x y", "app Authorization: *** *** y"},
		{"app Authorization: Bearer x y", "app Authorization: *** *** y"},
		{"app -token -secret x y", "app -token *** *** y"},
		{"app --cookie= x y", "app --cookie= *** y"},
	} {
		if got := Redacted.Show(strings.Split(test.line, " ")); got != test.want {
			t.Errorf("%q:\ngot  %q\nwant %q", test.line, got, test.want)
		}
	}
}

func FuzzShow(f *testing.F) {
	for i, secret := range secrets {
		f.Add(secret, strings.Join(forms[i].args, "\x00"))
	}
	for _, form := range forms {
		f.Add("hunter2", strings.Join(form.args, "\x00"))
	}
	f.Add("x", "-p\x00-p=\x00-u\x00=\x00:\x00@\x00://@\x00\"\"=")
	f.Fuzz(func(t *testing.T, secret, line string) {
		for _, form := range forms {
			form.check(t, secret)
		}
		args := strings.Split(line, "\x00")
		for _, how := range []CommandLines{Redacted, Full, Off} {
			got := how.Show(args)
			if len(got) > 1024 {
				t.Errorf("%d: %d bytes", how, len(got))
			}
			if utf8.ValidString(line) && !utf8.ValidString(got) {
				t.Errorf("%d: %q is cut within a character", how, got)
			}
		}
		if all := strings.Join(args, " "); len(all) < 300 && !hidesMore(Redacted.Show(args), all) {
			t.Errorf("%q redacted is %q", all, Redacted.Show(args))
		}
	})
}

func BenchmarkShow(b *testing.B) {
	args := append([]string{"java", "-Djavax.net.ssl.keyStorePassword=x"}, strings.Split(strings.Repeat("--flag=value /some/path:1 ", 100), " ")...)
	for _, how := range []CommandLines{Redacted, Full} {
		b.Run(fmt.Sprint(int(how)), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				how.Show(args)
			}
		})
	}
}
