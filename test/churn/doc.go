// Package churn holds the answers of the daemon against a ground truth of its
// own, while thousands of connections a second are opened and closed.
//
// [Run] makes a network namespace and starts processes in it, the holders, that
// open connections to each other and say of each end when it was certainly
// there. The daemon runs in the same namespace, and what it answers must have
// every end that lived through the request once, with its owner and direction,
// and none that was closed before.
//
// Tests and programs that measure import it. It imports nothing of the project;
// the daemon is a file that is run.
package churn
