// Package metrics tells Prometheus what the daemon sees and how it fares. docs/metrics.md describes every metric that it
// has, and a test holds the two against each other.
//
// It may import collector, model and rpc; nothing but the command imports it.
package metrics
