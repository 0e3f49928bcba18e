// Package container tells which container a process or socket is in, and what
// its engine calls it.
//
// Parse reads a cgroup path, OfProcess that of a process, and Cgroups that of a
// socket, which the kernel tells by the id of its cgroup. None of them asks
// anybody but the kernel. Engines keeps the names, addresses and published
// ports that Docker and Podman tell of; it is live, and no engine can hold up
// those who read it.
//
// It imports model, capability, moby/moby/client and moby/moby/api,
// x/sys/unix and zerolog.
package container
