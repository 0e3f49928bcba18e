// Package docs carries the two descriptions of the interface that programs read, so that the daemon can answer with them
// wherever its binary stands. They are held against what package rpc answers by the tests there.
//
// It imports nothing of the project.
package docs

import _ "embed"

//go:embed openapi.yaml
var openAPI string

//go:embed openrpc.json
var openRPC string

// OpenAPI returns openapi.yaml, an OpenAPI 3.1 document of the paths of plain HTTP.
func OpenAPI() string { return openAPI }

// OpenRPC returns openrpc.json, an OpenRPC 1.3 document of the methods of JSON-RPC.
func OpenRPC() string { return openRPC }
