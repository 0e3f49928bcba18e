package container

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/connectionsd/connectionsd/model"
)

const (
	id1    = "05c48c82caff3be3d7f1e896981dd410e81487538936914f32b624d168de9db0"
	id2    = "f5c2bb987ebe9ff7552f286be0f1db51d062cb36686aefa880365594e0c78b0b"
	podUID = "87a18a64-b74a-454a-b10b-a4a36059d0a3"
	// podUnit is podUID as systemd's slices have it.
	podUnit = "87a18a64_b74a_454a_b10b_a4a36059d0a3"
	// staticPod is such a uid as the kubelet makes for a pod of its own.
	staticPod = "99dcb84d2a34f7e338778606703258c4"
)

// containerPaths are paths and the containers that they tell of.
func containerPaths() map[string]model.Container {
	return map[string]model.Container{
		// Docker.
		"/docker/" + id1:                                                    {Runtime: "docker", ID: id1},
		"/system.slice/docker-" + id1 + ".scope":                            {Runtime: "docker", ID: id1},
		"/docker/" + id1 + "/init":                                          {Runtime: "docker", ID: id1},
		"docker/" + id1 + "/":                                               {Runtime: "docker", ID: id1},
		"//docker//" + id1:                                                  {Runtime: "docker", ID: id1},
		"/../docker/" + id1:                                                 {Runtime: "docker", ID: id1},
		"/../../system.slice/docker-" + id1 + ".scope":                      {Runtime: "docker", ID: id1},
		"/system.slice/docker-" + id1 + ".scope/init.scope":                 {Runtime: "docker", ID: id1},
		"/system.slice/docker-" + id1 + ".scope/system.slice/nginx.service": {Runtime: "docker", ID: id1},
		"/user.slice/user-1000.slice/user@1000.service/user.slice/docker-" + id1 + ".scope": {Runtime: "docker", ID: id1},
		"/system.slice/snap.docker.dockerd.service/docker/" + id1:                           {Runtime: "docker", ID: id1},
		"/system.slice:docker:" + id1:                                                       {Runtime: "docker", ID: id1},
		"/kubepods.slice/kubepods-pod" + podUnit + ".slice/docker-" + id1 + ".scope":        {Runtime: "docker", ID: id1, PodUID: podUID},
		// Of containers in each other the outermost.
		"/docker/" + id1 + "/docker/" + id2:                                                               {Runtime: "docker", ID: id1},
		"/system.slice/docker-" + id1 + ".scope/system.slice/docker-" + id2 + ".scope":                    {Runtime: "docker", ID: id1},
		"/docker/" + id1 + "/kubelet/kubepods/burstable/pod" + podUID + "/" + id2:                         {Runtime: "docker", ID: id1},
		"/machine.slice/libpod-" + id1 + ".scope/container/machine.slice/libpod-conmon-" + id2 + ".scope": {Runtime: "podman", ID: id1},
		"/kubepods/besteffort/pod" + podUID + "/" + id1 + "/docker/" + id2:                                {Runtime: "kubernetes", ID: id1, PodUID: podUID},
		// Podman.
		"/machine.slice/libpod-" + id1 + ".scope":                                                     {Runtime: "podman", ID: id1},
		"/machine.slice/libpod-" + id1 + ".scope/container":                                           {Runtime: "podman", ID: id1},
		"/machine.slice/machine-libpod_pod_" + id2 + ".slice/libpod-" + id1 + ".scope":                {Runtime: "podman", ID: id1},
		"/libpod_parent/libpod-" + id1:                                                                {Runtime: "podman", ID: id1},
		"/libpod_parent/" + id2 + "/libpod-" + id1:                                                    {Runtime: "podman", ID: id1},
		"/user.slice/user-1000.slice/user@1000.service/user.slice/libpod-" + id1 + ".scope/container": {Runtime: "podman", ID: id1},
		"/user.slice/user-1001.slice/user@1001.service/app.slice/web.service/libpod-payload-" + id1:   {Runtime: "podman", ID: id1},
		"/system.slice/web.service/libpod-payload-" + id1 + "/init.scope":                             {Runtime: "podman", ID: id1},
		// containerd.
		"/system.slice/nerdctl-" + id1 + ".scope": {Runtime: "containerd", ID: id1},
		"/default/" + id1:                         {Runtime: "containerd", ID: id1},
		"/k8s.io/" + id1:                          {Runtime: "containerd", ID: id1},
		"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" + podUnit + ".slice/cri-containerd-" + id1 + ".scope":                                       {Runtime: "containerd", ID: id1, PodUID: podUID},
		"/kubepods.slice/kubepods-pod" + podUnit + ".slice/cri-containerd-" + id1 + ".scope":                                                                          {Runtime: "containerd", ID: id1, PodUID: podUID},
		"/kubepods.slice/kubepods-burstable.slice/kubepods-burstable-pod" + staticPod + ".slice/cri-containerd-" + id1 + ".scope":                                     {Runtime: "containerd", ID: id1, PodUID: staticPod},
		"/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-burstable.slice/kubelet-kubepods-burstable-pod" + podUnit + ".slice/cri-containerd-" + id1 + ".scope": {Runtime: "containerd", ID: id1, PodUID: podUID},
		"/kubepods-besteffort-pod" + podUnit + ".slice:cri-containerd:" + id1:                                                                                         {Runtime: "containerd", ID: id1, PodUID: podUID},
		"/system.slice/containerd.service/kubepods-pod" + podUnit + ".slice:cri-containerd:" + id1:                                                                    {Runtime: "containerd", ID: id1, PodUID: podUID},
		// CRI-O.
		"/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod" + podUnit + ".slice/crio-" + id1 + ".scope":           {Runtime: "cri-o", ID: id1, PodUID: podUID},
		"/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod" + podUnit + ".slice/crio-" + id1 + ".scope/container": {Runtime: "cri-o", ID: id1, PodUID: podUID},
		"/kubepods/besteffort/pod" + podUID + "/crio-" + id1:                                                                      {Runtime: "cri-o", ID: id1, PodUID: podUID},
		"/machine.slice/crio-" + id1 + ".scope":                                                                                   {Runtime: "cri-o", ID: id1},
		// A pod of any runtime.
		"/kubepods/burstable/pod" + podUID + "/" + id1:                    {Runtime: "kubernetes", ID: id1, PodUID: podUID},
		"/kubepods/pod" + podUID + "/" + id1:                              {Runtime: "kubernetes", ID: id1, PodUID: podUID},
		"/kubepods/burstable/pod" + staticPod + "/" + id1:                 {Runtime: "kubernetes", ID: id1, PodUID: staticPod},
		"/kubepods.slice/besteffort/pod" + podUID + "/" + id1 + "/worker": {Runtime: "kubernetes", ID: id1, PodUID: podUID},
		"/kubelet/kubepods/besteffort/pod" + podUID + "/" + id1:           {Runtime: "kubernetes", ID: id1, PodUID: podUID},
		"/kubepods.slice/kubepods-pod" + podUnit + ".slice/" + id1:        {Runtime: "kubernetes", ID: id1, PodUID: podUID},
		// A pod without a proper uid: the container is one all the same.
		"/kubepods.slice/kubepods-podX.slice/docker-" + id1 + ".scope": {Runtime: "docker", ID: id1},
	}
}

// otherPaths tell of no container.
func otherPaths() []string {
	short, long, upper := id1[1:], id1+"0", strings.ToUpper(id1)
	return []string{
		"", "/", "/..", "/init.scope", "/system.slice", "/system.slice/sshd.service", "/system.slice/docker.service",
		"/system.slice/containerd.service", "/user.slice/user-0.slice/session-1.scope",
		"/user.slice/user-1000.slice/user@1000.service/app.slice/app-firefox.scope", "/machine.slice/systemd-nspawn@web.service",
		"/kubepods.slice", "/kubepods/burstable/pod" + podUID, "/kubepods.slice/kubepods-pod" + podUnit + ".slice",
		// Monitors.
		"/machine.slice/libpod-conmon-" + id1 + ".scope", "/libpod_parent/conmon", "/libpod_parent/libpod-conmon-" + id1,
		"/kubepods.slice/kubepods-pod" + podUnit + ".slice/crio-conmon-" + id1 + ".scope", "/kubepods/pod" + podUID + "/crio-conmon-" + id1,
		"/user.slice/user-1001.slice/user@1001.service/app.slice/web.service/runtime",
		// Ids that are none.
		"/docker/" + short, "/docker/" + long, "/docker/" + upper, "/docker/" + id1 + ".scope", "/docker/" + id1[:63] + "g", "/docker/" + id1[:12],
		"/system.slice/docker-" + short + ".scope", "/system.slice/docker-" + long + ".scope", "/system.slice/docker-" + upper + ".scope",
		"/docker/buildkit/" + id1[:25], "/docker/x/" + id1,
		// Nobody's, as far as the path tells.
		"/" + id1, "/ecs/" + id1, "/lxc/" + id1, "/system.slice/" + id1, "/machine.slice/" + id1 + ".scope", "/a/default/" + id1, "/default/a/" + id1,
		"/system.slice/docker-" + id1, "/system.slice/docker-" + id1 + ".service", "/system.slice/docker-" + id1 + ".scope.d", "/system.slice/mydocker-" + id1 + ".scope", "/system.slice/docker--" + id1 + ".scope",
		"/system.slice/cri-containerd-" + id1, "/system.slice/nerdctl-" + id1, "/system.slice/-" + id1 + ".scope", "/system.slice/x-" + id1 + ".scope",
		"/pod" + podUID + "/" + id1, "/kubepods/podX/" + id1, "/kubepods/pod" + strings.ToUpper(podUID) + "/" + id1, "/kubepods/pod" + podUID + "/x/" + id1, "/kubepods/" + id1,
		// Colons.
		"/:docker:" + short, "/system.slice:x:" + id1, "/system.slice:docker", ":::", "/a:docker:" + id1 + ":b", "/kubepods-pod" + podUnit + ".slice:cri-containerd:",
	}
}

func TestParse(t *testing.T) {
	for path, want := range containerPaths() {
		got, ok := Parse(path)
		if diff := cmp.Diff(want, got); diff != "" || !ok {
			t.Errorf("%s: %t (-want +got):\n%s", path, ok, diff)
		}
	}
	for _, path := range otherPaths() {
		if got, ok := Parse(path); ok || got != (model.Container{}) {
			t.Errorf("%s: %+v, want none", path, got)
		}
	}
}

func FuzzParse(f *testing.F) {
	for path := range containerPaths() {
		f.Add(path)
	}
	for _, path := range otherPaths() {
		f.Add(path)
	}
	f.Fuzz(func(t *testing.T, path string) {
		c, ok := Parse(path)
		checkContainer(t, c, ok)
		if ok && !strings.Contains(path, c.ID) {
			t.Fatalf("%q: id %q is not in it", path, c.ID)
		}
	})
}

// checkContainer holds a container against what is promised of every one.
func checkContainer(t *testing.T, c model.Container, ok bool) {
	t.Helper()
	if !ok {
		if c != (model.Container{}) {
			t.Fatalf("no container, and yet %+v", c)
		}
		return
	}
	switch c.Runtime {
	case "docker", "podman", "containerd", "cri-o", "kubernetes":
	default:
		t.Fatalf("runtime %q", c.Runtime)
	}
	if len(c.ID) != 64 || strings.Trim(c.ID, "0123456789abcdef") != "" {
		t.Fatalf("id %q", c.ID)
	}
	hex := c.PodUID
	if len(hex) == 36 && hex[8] == '-' && hex[13] == '-' && hex[18] == '-' && hex[23] == '-' {
		hex = strings.ReplaceAll(hex, "-", "")
	}
	if c.PodUID != "" && (len(hex) != 32 || strings.Trim(hex, "0123456789abcdef") != "") {
		t.Fatalf("pod uid %q", c.PodUID)
	}
	if c.Runtime == "kubernetes" && c.PodUID == "" {
		t.Fatal("kubernetes without a pod")
	}
	if c.Name != "" {
		t.Fatalf("name %q, which no path tells", c.Name)
	}
}
