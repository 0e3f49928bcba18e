package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"fmt"
)

// tlsConfig reads the files of cfg; nil is for plain HTTP. An error names the flag and the file.
func tlsConfig(cfg Config) (*tls.Config, error) {
	if cfg.RPCSSLCertificate == "" {
		return nil, nil
	}
	chain, err := readFile(cfg.RPCSSLCertificate)
	if err != nil {
		return nil, fmt.Errorf("--rpc-ssl-certificate: %w", err)
	}
	key, err := readFile(cfg.RPCSSLPrivateKey)
	if err != nil {
		return nil, fmt.Errorf("--rpc-ssl-private-key: %w", err)
	}
	certificate, err := tls.X509KeyPair(chain, key)
	if err != nil {
		return nil, fmt.Errorf("--rpc-ssl-certificate %s, --rpc-ssl-private-key %s: %w", cfg.RPCSSLCertificate, cfg.RPCSSLPrivateKey, err)
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{certificate}}
	if cfg.RPCSSLCACertificates == "" {
		return config, nil
	}
	cas, err := readFile(cfg.RPCSSLCACertificates)
	if err != nil {
		return nil, fmt.Errorf("--rpc-ssl-ca-certificates: %w", err)
	}
	config.ClientAuth, config.ClientCAs = tls.RequireAndVerifyClientCert, x509.NewCertPool()
	if !config.ClientCAs.AppendCertsFromPEM(cas) {
		return nil, fmt.Errorf("--rpc-ssl-ca-certificates %s: there is no certificate in it: want PEM", cfg.RPCSSLCACertificates)
	}
	return config, nil
}

// isSelfSigned reports whether the certificate of config stands for itself, so that clients have to be told to trust it.
func isSelfSigned(config *tls.Config) bool {
	leaf := config.Certificates[0].Leaf
	return bytes.Equal(leaf.RawIssuer, leaf.RawSubject)
}
