package model

// Container is a container, as the cgroup of its processes and its engine tell
// of it.
type Container struct {
	// Runtime is what made it: docker, podman, containerd, cri-o, or kubernetes
	// where the cgroup tells of a pod and not of more.
	Runtime string
	// ID is its id, 64 hexadecimal digits.
	ID string
	// PodUID is the uid of its Kubernetes pod, "" if it is in none.
	PodUID string
	// Name is what its engine calls it now, "" where that is not known.
	Name string
}

// NoContainer is Known.Container and Owner.Container where there is none.
const NoContainer int32 = -1

// shortID is how much of an id people are shown: what docker ps and crictl ps
// print.
const shortID = 12

// Shown is what a person is shown of the container: its name; where no engine
// can be asked for it, the beginning of its id. Of a container of Docker or
// Podman, which have names, it is the name or nothing.
func (c *Container) Shown() string {
	switch {
	case c.Name != "":
		return c.Name
	case c.Runtime == "docker", c.Runtime == "podman":
		return ""
	default:
		return c.ID[:min(len(c.ID), shortID)]
	}
}

// Container returns the container of the socket at index i: that which it was
// made in, or that its owner is in, or that its owner forwards to. It is nil
// where there is none.
func (s *Snapshot) Container(i int) *Container {
	n := s.Known[i].Container
	if n < 0 || int(n) >= len(s.Containers) {
		return nil
	}
	return &s.Containers[n]
}

// appendMembers appends what the member socket tells of a container; c may be
// nil.
func (c *Container) appendMembers(dst []byte) []byte {
	if c == nil {
		return append(dst, `,"container_id":"","container_name":"","container_pod_uid":"","container_runtime":""`...)
	}
	dst = appendString(append(dst, `,"container_id":`...), c.ID)
	dst = appendString(append(dst, `,"container_name":`...), c.Shown())
	dst = appendString(append(dst, `,"container_pod_uid":`...), c.PodUID)
	return appendString(append(dst, `,"container_runtime":`...), c.Runtime)
}
