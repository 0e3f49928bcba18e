package container

import (
	"strings"

	"github.com/connectionsd/connectionsd/model"
)

// Values of model.Container.Runtime.
const (
	docker     = "docker"
	podman     = "podman"
	containerd = "containerd"
	crio       = "cri-o"
	kubernetes = "kubernetes"
)

// Parse reads a cgroup path, as behind the second colon of a line of
// /proc/PID/cgroup. ok is false where it tells of no container.
//
// Runtimes name their cgroups as follows, ID being 64 lower-case hexadecimal
// digits; what stands before and behind is of no matter.
//
//	docker/ID, docker-ID.scope                        Docker
//	libpod-ID, libpod-ID.scope, libpod-payload-ID     Podman
//	cri-containerd-ID.scope, nerdctl-ID.scope         containerd
//	/default/ID, /k8s.io/ID                           containerd, by its namespace
//	crio-ID, crio-ID.scope                            CRI-O
//	…kubepods…-podUID.slice/, kubepods/…/podUID/      a Kubernetes pod; an ID
//	                                                  right beneath is one of its
//	                                                  containers, of any runtime
//	SLICE:PREFIX:ID                                   as PREFIX-ID.scope in SLICE:
//	                                                  systemd's syntax, taken for a
//	                                                  path by a cgroupfs driver
//
// libpod-conmon-ID and crio-conmon-ID are monitors, which run outside their
// container.
//
// Of containers in each other (a Docker in Docker, a kind node) it is the
// outermost: that is the one that the engines of this host know and that
// people see in docker ps, and its network is where the inner ones are reached.
func Parse(path string) (c model.Container, ok bool) {
	var (
		depth    int
		above    string // the part before
		kubepods bool   // a part before is where Kubernetes keeps its pods
		podUID   string // of the pod that a part before is of
		podAbove bool   // the part before is a pod
	)
	for part := range strings.SplitSeq(path, "/") {
		if part == "" || part == ".." { // .. leads out of a cgroup namespace
			continue
		}
		if slice, name, colon := strings.Cut(part, ":"); colon {
			if uid, pod := podOfSlice(slice); pod {
				podUID = uid
			}
			prefix, id, _ := strings.Cut(name, ":")
			if runtime := runtimeOfUnit(prefix); runtime != "" && isID(id) {
				return newContainer(runtime, id, podUID), true
			}
		}
		if prefix, id, scope, unit := cutUnit(part); unit {
			switch prefix {
			case "libpod-conmon", "crio-conmon":
				return model.Container{}, false
			}
			if runtime := runtimeOfUnit(prefix); runtime != "" && (scope || bareUnits(runtime)) {
				return newContainer(runtime, id, podUID), true
			}
		}
		if isID(part) {
			switch {
			case above == "docker":
				return newContainer(docker, part, podUID), true
			case podAbove:
				return newContainer(kubernetes, part, podUID), true
			case depth == 1 && (above == "default" || above == "k8s.io"):
				return newContainer(containerd, part, podUID), true
			}
		}
		uid, pod := podOfSlice(part)
		if !pod && kubepods {
			uid, pod = podOfDirectory(part)
		}
		if pod {
			podUID = uid
		}
		podAbove = pod
		kubepods = kubepods || part == "kubepods" || part == "kubepods.slice" || strings.HasSuffix(part, "-kubepods.slice")
		above = part
		depth++
	}
	return model.Container{}, false
}

// newContainer clones the id, so that it does not keep the path in memory.
func newContainer(runtime, id, podUID string) model.Container {
	return model.Container{Runtime: runtime, ID: strings.Clone(id), PodUID: strings.Clone(podUID)}
}

// cutUnit takes PREFIX-ID, with or without .scope, apart.
func cutUnit(part string) (prefix, id string, scope, ok bool) {
	name, scope := strings.CutSuffix(part, ".scope")
	dash := len(name) - idLen - 1
	if dash < 1 || name[dash] != '-' || !isID(name[dash+1:]) {
		return "", "", false, false
	}
	return name[:dash], name[dash+1:], scope, true
}

// runtimeOfUnit returns what names its cgroups PREFIX-ID, "" if that is not
// known.
func runtimeOfUnit(prefix string) string {
	switch prefix {
	case "docker":
		return docker
	case "libpod", "libpod-payload":
		return podman
	case "cri-containerd", "nerdctl":
		return containerd
	case "crio":
		return crio
	default:
		return ""
	}
}

// bareUnits reports whether a runtime names cgroups PREFIX-ID without .scope
// too: those that do so when they do without systemd.
func bareUnits(runtime string) bool { return runtime == podman || runtime == crio }

// deleted is what the kernel adds to the path of a cgroup that was removed.
const deleted = " (deleted)"

const idLen = 64

// isID reports whether s is the id of a container.
func isID(s string) bool { return len(s) == idLen && isHex(s) }

func isHex(s string) bool {
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}
