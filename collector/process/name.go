package process

import (
	"slices"
	"strings"
)

// name is what a word calls the value behind it, in parts in lower case: those
// of --dbPassword are db and password.
type name struct {
	parts   []string
	further []string // the same less a letter behind one dash, as in -Dpassword
	isFlag  bool
}

// secretParts are the parts of names that tell of a secret. A part may have an s
// behind it.
var secretParts = map[string]bool{
	"accesskey": true, "adminpw": true, "apikey": true, "auth": true, "authkey": true, "authorization": true,
	"basicauth": true, "bearer": true, "bindpw": true, "community": true, "cookie": true, "cred": true, "credential": true,
	"cryptkey": true, "dbpass": true, "dbpwd": true, "destkeypass": true, "deststorepass": true, "encrypt": true, "encryptionkey": true,
	"httpauth": true, "identified": true, "jwt": true, "key": true, "keypass": true, "keystorepass": true,
	"licensekey": true, "literal": true, "login": true, "macaroon": true, "masterauth": true, "masterkey": true,
	"masterpass": true, "mnemonic": true, "oauth": true, "otp": true, "pass": true, "passcode": true, "passin": true,
	"passout": true, "pat": true, "pin": true, "presharedkey": true, "private": true, "privatekey": true, "privkey": true,
	"proxyauth": true, "proxypass": true, "psk": true, "pw": true, "pwd": true, "requirepass": true, "rootpw": true,
	"rpcauth": true, "rpclogin": true, "rpcpass": true, "salt": true, "secretkey": true, "seed": true, "session": true,
	"sessid": true, "sig": true, "signature": true, "signingkey": true, "spendkey": true, "srckeypass": true,
	"srcstorepass": true, "sshkey": true, "sshpass": true, "storepass": true, "totp": true, "truststorepass": true,
	"userpass": true, "userpw": true, "userpwd": true, "viewkey": true, "webhook": true, "wif": true, "xprv": true,
}

// secretEndings are the words that tell of a secret in a name that is written
// without any mark between its words, as in PGPASSWORD and authtoken.
var secretEndings = []string{"password", "passwd", "passphrase", "secret", "token", "credential", "apikey", "cookie", "sessid", "sessionid"}

// secretBeginnings are those of them that may be followed by another word.
var secretBeginnings = []string{"password", "passwd", "passphrase"}

// harmlessParts end names that tell of something else about a secret: where it
// is, or how long it lasts.
var harmlessParts = map[string]bool{
	"addr": true, "address": true, "addresses": true, "alg": true, "algorithm": true, "bind": true, "bits": true,
	"dir": true, "directory": true, "dns": true, "expiry": true, "file": true, "files": true, "format": true, "host": true,
	"hosts": true, "interface": true, "ip": true, "length": true, "lifetime": true, "listen": true, "mode": true, "node": true,
	"nodes": true, "path": true, "paths": true, "peer": true, "peers": true, "port": true, "ports": true, "server": true,
	"servers": true, "size": true, "timeout": true, "ttl": true, "type": true,
}

// negations begin flags that take no value.
var negations = []string{"no", "without", "disable", "skip"}

// isNamed reports whether c can be in a name.
func isNamed(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '-' || c == '_' || c == '.'
}

func nameOf(s string) name {
	bare := strings.TrimLeft(s, "-")
	n := name{parts: partsOf(bare), isFlag: len(bare) < len(s)}
	if len(s)-len(bare) == 1 && len(bare) > 1 {
		n.further = partsOf(bare[1:])
	}
	return n
}

// loneName returns w as a name, if it is one and nothing else but what names are
// put between.
func loneName(w string) (n name, ok bool) {
	w = strings.Trim(w, quotes+"()[]{},;")
	if strings.IndexFunc(w, func(c rune) bool { return c >= 0x80 || !isNamed(byte(c)) }) >= 0 {
		return name{}, false
	}
	n = nameOf(w)
	if !n.isFlag && strings.Contains(w, ".") {
		return name{}, false // a file, or a host
	}
	return n, len(n.parts) > 0
}

// partsOf splits a name at marks, at digits, and where camelCase has a capital.
func partsOf(s string) []string {
	var parts []string
	from := 0
	split := func(to int) {
		if to > from {
			parts = append(parts, strings.ToLower(s[from:to]))
		}
		from = to
	}
	for i := range len(s) {
		switch {
		case !isLower(s[i]) && !isUpper(s[i]):
			split(i)
			from = i + 1
		case isUpper(s[i]) && i > from && (isLower(s[i-1]) || i+1 < len(s) && isLower(s[i+1])):
			split(i)
		}
	}
	split(len(s))
	return parts
}

func isLower(c byte) bool { return 'a' <= c && c <= 'z' }

func isUpper(c byte) bool { return 'A' <= c && c <= 'Z' }

// isSecret reports whether n tells of a secret.
func (n name) isSecret() bool {
	if last := len(n.parts) - 1; last < 0 || harmlessParts[n.parts[last]] {
		return false
	}
	return slices.ContainsFunc(n.parts, isSecretPart) || slices.ContainsFunc(n.further, isSecretPart)
}

// endsInSecret reports whether the last part of n does.
func (n name) endsInSecret() bool {
	return len(n.parts) > 0 && isSecretPart(n.parts[len(n.parts)-1])
}

// announces reports whether the next word is a secret, if that is a value: n is
// a flag that takes a secret, or a word that ends as one. Else too many words
// would hide what follows them: auth-service, key-manager.
func (n name) announces() bool {
	if n.isFlag {
		return n.isSecret() && !slices.Contains(negations, n.parts[0])
	}
	return n.endsInSecret()
}

// isUser reports whether n is that of a user, who may have a password with it.
func (n name) isUser() bool {
	if len(n.parts) == 0 {
		return false
	}
	last := n.parts[len(n.parts)-1]
	return last == "user" || last == "username"
}

func isSecretPart(part string) bool {
	singular := strings.TrimSuffix(part, "s")
	if secretParts[part] || secretParts[singular] {
		return true
	}
	return slices.ContainsFunc(secretEndings, func(word string) bool { return strings.HasSuffix(singular, word) }) ||
		slices.ContainsFunc(secretBeginnings, func(word string) bool { return strings.HasPrefix(part, word) })
}
