// Package malformed makes requests that are wrong, each in another way, and tells whether a server has answered them as it
// should: with an error that says it is the client's, and never with one that says it is the server's.
//
// [Requests] are the same in each run, and all different. What is wrong with them is certain: what looks like JSON and must
// not be is held against encoding/json.
//
// It imports nothing of the project, so that the tests of package rpc and those of the whole daemon can use it.
package malformed
