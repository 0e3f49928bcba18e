package main

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"sync/atomic"
)

// certificates are what TLS is served with, as the files of a Config have it.
type certificates struct {
	tls *tls.Config
	// Of the content of each file, by the key that names it: to see whether it has changed.
	sums map[string][sha256.Size]byte
}

// readCertificates reads the files of cfg; nil is for plain HTTP. An error names the flag and the file.
func readCertificates(cfg Config, open opener) (*certificates, error) {
	if cfg.RPCSSLCertificate == "" {
		return nil, nil
	}
	c := &certificates{sums: make(map[string][sha256.Size]byte)}
	read := func(key, name string) ([]byte, error) {
		content, err := readFileBy(open, name)
		if err != nil {
			return nil, fmt.Errorf("--%s: %w", key, err)
		}
		c.sums[key] = sha256.Sum256(content)
		return content, nil
	}
	chain, err := read(certificateKey, cfg.RPCSSLCertificate)
	if err != nil {
		return nil, err
	}
	key, err := read(privateKeyKey, cfg.RPCSSLPrivateKey)
	if err != nil {
		return nil, err
	}
	certificate, err := tls.X509KeyPair(chain, key)
	if err != nil {
		return nil, fmt.Errorf("--rpc-ssl-certificate %s, --rpc-ssl-private-key %s: %w", cfg.RPCSSLCertificate, cfg.RPCSSLPrivateKey, err)
	}
	c.tls = &tls.Config{
		MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{certificate},
		NextProtos: []string{"h2", "http/1.1"}, // net/http adds them to the config that it is given, not to this one
	}
	if cfg.RPCSSLCACertificates == "" {
		return c, nil
	}
	cas, err := read(authoritiesKey, cfg.RPCSSLCACertificates)
	if err != nil {
		return nil, err
	}
	c.tls.ClientAuth, c.tls.ClientCAs = tls.RequireAndVerifyClientCert, x509.NewCertPool()
	if !c.tls.ClientCAs.AppendCertsFromPEM(cas) {
		return nil, fmt.Errorf("--rpc-ssl-ca-certificates %s: there is no certificate in it: want PEM", cfg.RPCSSLCACertificates)
	}
	return c, nil
}

// tlsConfig is readCertificates for who only wants to show them; nil is for none.
func tlsConfig(cfg Config) (*tls.Config, error) {
	read, err := readCertificates(cfg, os.Open)
	if read == nil {
		return nil, err
	}
	return read.tls, nil
}

// isSelfSigned reports whether the certificate stands for itself, so that clients have to be told to trust it.
func (c *certificates) isSelfSigned() bool {
	leaf := c.tls.Certificates[0].Leaf
	return bytes.Equal(leaf.RawIssuer, leaf.RawSubject)
}

// changed returns the keys whose files have another content in next.
func (c *certificates) changed(next *certificates) []string {
	var keys []string
	for _, key := range tlsKeys() {
		if c.sums[key] != next.sums[key] {
			keys = append(keys, key)
		}
	}
	return keys
}

// shownCertificates are those that new connections are shown.
type shownCertificates struct{ current atomic.Pointer[certificates] }

// config returns what a server needs to show them. Connections that are open keep what they were shown. Sessions that are
// resumed are held against the authorities of now, by crypto/tls.
func (s *shownCertificates) config() *tls.Config {
	return &tls.Config{
		MinVersion:         tls.VersionTLS12,
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) { return s.current.Load().tls, nil },
	}
}
