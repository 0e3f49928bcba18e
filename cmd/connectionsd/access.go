package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/knadh/koanf/v2"

	"github.com/connectionsd/connectionsd/rpc"
)

// maxLogin bounds the first line of a login file, in bytes.
const maxLogin = 4096

// finishAccess does what concerns more than one of the keys that say who may reach the daemon. all is as load returned it.
func finishAccess(cfg *Config, all *koanf.Koanf, open opener) []error {
	var errs []error
	for _, err := range []error{finishLogin(cfg, all, open), checkTLS(cfg, all)} {
		if err != nil {
			errs = append(errs, err)
		}
	}
	if errs == nil { // else it would miss what is wrong
		if err := checkBind(cfg, all); err != nil {
			errs = append(errs, err)
		}
	}
	cfg.Warnings = warnings(cfg, all)
	return errs
}

// finishLogin reads the login file.
func finishLogin(cfg *Config, all *koanf.Koanf, open opener) error {
	if cfg.RPCLoginFile == "" {
		return nil
	}
	origin := written(all, "rpc-login-file")[0].Origin
	if login := written(all, "rpc-login"); login != nil {
		return fmt.Errorf("%s and %s: each is a login: want only one of them", login[0].Origin, origin)
	}
	login, err := readLoginBy(open, cfg.RPCLoginFile)
	if err != nil {
		return fmt.Errorf("%s: %w", origin, err)
	}
	cfg.RPCLogin = login
	return nil
}

// readLogin returns what the first line of the file at path says.
func readLogin(path string) (rpc.Login, error) { return readLoginBy(os.Open, path) }

func readLoginBy(open opener, path string) (rpc.Login, error) {
	file, err := open(path)
	if err != nil {
		return rpc.Login{}, err
	}
	defer file.Close()
	line, err := bufio.NewReader(io.LimitReader(file, maxLogin+1)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return rpc.Login{}, err
	}
	if len(line) > maxLogin {
		return rpc.Login{}, fmt.Errorf("the first line of %s is too long: want at most %d bytes", path, maxLogin)
	}
	login, err := rpc.ParseLogin(strings.TrimRight(line, "\r\n"))
	if err != nil {
		return rpc.Login{}, fmt.Errorf("the first line of %s: %w", path, err)
	}
	return login, nil
}

// The keys that name the files of TLS.
const (
	certificateKey = "rpc-ssl-certificate"
	privateKeyKey  = "rpc-ssl-private-key"
	authoritiesKey = "rpc-ssl-ca-certificates"
)

func tlsKeys() []string { return []string{certificateKey, privateKeyKey, authoritiesKey} }

// checkTLS refuses a part of what TLS needs.
func checkTLS(cfg *Config, all *koanf.Koanf) error {
	alone := func(has, lacks string) error {
		return fmt.Errorf("%s: there is no --%s with it: want both or neither", written(all, has)[0].Origin, lacks)
	}
	switch {
	case cfg.RPCSSLCertificate != "" && cfg.RPCSSLPrivateKey == "":
		return alone(certificateKey, privateKeyKey)
	case cfg.RPCSSLCertificate == "" && cfg.RPCSSLPrivateKey != "":
		return alone(privateKeyKey, certificateKey)
	case cfg.RPCSSLCertificate == "" && cfg.RPCSSLCACertificates != "":
		return fmt.Errorf("%s: clients show certificates over TLS only: want --%s and --%s too",
			written(all, authoritiesKey)[0].Origin, certificateKey, privateKeyKey)
	}
	return nil
}

// checkBind refuses to answer all who can reach the daemon, unless that is confirmed.
func checkBind(cfg *Config, all *koanf.Koanf) error {
	if !cfg.RPCBindIP.IsValid() || cfg.RPCBindIP.IsLoopback() || cfg.ConfirmExternalBind || hasSecret(cfg) || cfg.RPCSSLCACertificates != "" {
		return nil
	}
	s := written(all, "rpc-bind-ip")[0] // there is one: the default is a loopback address
	return fmt.Errorf("%s %q: not a loopback address, and no login, token or client certificate protects it: "+
		"want a loopback address such as 127.0.0.1, or --rpc-login-file, --access-token or --rpc-ssl-ca-certificates, "+
		"or --confirm-external-bind to answer all who can reach it", s.Origin, s.Value)
}

// hasSecret reports whether clients need a secret that they send.
func hasSecret(cfg *Config) bool {
	return len(cfg.AccessTokens) > 0 || cfg.RPCLogin != rpc.Login{}
}

// warnings returns those of cfg.
func warnings(cfg *Config, all *koanf.Koanf) []string {
	var found []string
	inConfigFile := false
	for _, k := range keys() {
		settings := written(all, k.name)
		if k.visibility != secret || settings == nil {
			continue
		}
		switch origin := settings[0].Origin; origin {
		case "--" + k.name:
			found = append(found, fmt.Sprintf("%s: others on this host may have read it from the command line: "+
				"want %s or the configuration file", origin, k.variable()))
		case k.variable():
		default:
			inConfigFile = true
		}
	}
	files := []struct{ name, holds string }{{cfg.RPCLoginFile, "the login"}, {cfg.RPCSSLPrivateKey, "the private key"}}
	if inConfigFile {
		files = append(files, struct{ name, holds string }{cfg.ConfigFile, "a secret"})
	}
	for _, f := range files {
		if isReadableByAll(f.name) {
			found = append(found, fmt.Sprintf("%s: holds %s, and every user of this host may read it: want chmod o-r", f.name, f.holds))
		}
	}
	if cfg.RPCBindIP.IsValid() && !cfg.RPCBindIP.IsLoopback() && isInClear(cfg) {
		found = append(found, inClear)
	}
	return found
}

// inClear is the warning of a daemon that other hosts can reach and isInClear.
const inClear = "without TLS, tokens and answers cross the network in clear and a login can be taken over: " +
	"want --rpc-ssl-certificate, or a proxy that has one and a loopback --rpc-bind-ip"

// isInClear reports whether clients send a secret that nothing hides on its way.
func isInClear(cfg *Config) bool {
	return hasSecret(cfg) && cfg.RPCSSLCertificate == ""
}

// isReadableByAll reports whether the permissions of the file let every user read it. One that is absent is reported by
// whoever opens it.
func isReadableByAll(name string) bool {
	if name == "" {
		return false
	}
	info, err := os.Stat(name)
	return err == nil && info.Mode().IsRegular() && info.Mode().Perm()&0o004 != 0
}
