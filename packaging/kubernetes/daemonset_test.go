// Package kubernetes_test holds the manifest against the types of Kubernetes' own API. It stands in a module of its own, with the
// program that makes packages, so that the daemon's has nothing of both.
package kubernetes_test

import (
	"bytes"
	"os"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

// Each document is of a kind that it says, with no field that there is not.
func TestManifest(t *testing.T) {
	b, err := os.ReadFile("daemonset.yaml")
	if err != nil {
		t.Fatal(err)
	}
	var account corev1.ServiceAccount
	var set appsv1.DaemonSet
	var kinds []string
	for document := range bytes.SplitSeq(b, []byte("\n---\n")) {
		var kind metav1.TypeMeta
		if err := yaml.Unmarshal(document, &kind); err != nil {
			t.Fatal(err)
		}
		kinds = append(kinds, kind.APIVersion+" "+kind.Kind)
		var into any
		switch kind.Kind {
		case "ServiceAccount":
			into = &account
		case "DaemonSet":
			into = &set
		default:
			t.Fatalf("a document of the kind %q", kind.Kind)
		}
		if err := yaml.UnmarshalStrict(document, into); err != nil {
			t.Errorf("%s: %v", kind.Kind, err)
		}
	}
	if len(kinds) != 2 || kinds[0] != "v1 ServiceAccount" || kinds[1] != "apps/v1 DaemonSet" {
		t.Fatalf("kinds %q", kinds)
	}
	pod := set.Spec.Template.Spec
	if set.Namespace != account.Namespace || pod.ServiceAccountName != account.Name {
		t.Errorf("the pods have the account %s/%s, want %s/%s", set.Namespace, pod.ServiceAccountName, account.Namespace, account.Name)
	}
	for name, value := range set.Spec.Selector.MatchLabels {
		if set.Spec.Template.Labels[name] != value {
			t.Errorf("pods have no label %s=%s, by which they are found", name, value)
		}
	}
	if !pod.HostNetwork || !pod.HostPID || pod.EnableServiceLinks == nil || *pod.EnableServiceLinks || *pod.AutomountServiceAccountToken {
		t.Error("want the host's network and processes, no variables of services and no token of the API")
	}
	if len(pod.Containers) != 1 {
		t.Fatalf("%d containers", len(pod.Containers))
	}
	testContainer(t, &pod, &pod.Containers[0])
}

// The container has the privileges that docs/privileges.md names and no others, and what it mounts is there.
func testContainer(t *testing.T, pod *corev1.PodSpec, c *corev1.Container) {
	t.Helper()
	security := c.SecurityContext
	want := []corev1.Capability{"SYS_ADMIN", "SYS_PTRACE", "DAC_READ_SEARCH"}
	if got := security.Capabilities; len(got.Drop) != 1 || got.Drop[0] != "ALL" || len(got.Add) != len(want) ||
		got.Add[0] != want[0] || got.Add[1] != want[1] || got.Add[2] != want[2] {
		t.Errorf("capabilities %v, want ALL dropped and %v added", got, want)
	}
	if security.Privileged != nil || *security.AllowPrivilegeEscalation || !*security.ReadOnlyRootFilesystem || security.SeccompProfile.Type != corev1.SeccompProfileTypeRuntimeDefault {
		t.Errorf("security context %v", security)
	}
	if c.LivenessProbe.HTTPGet.Path != "/healthz" || c.ReadinessProbe.HTTPGet.Path != "/readyz" {
		t.Error("probes: want /healthz for liveness and /readyz for readiness")
	}
	for _, probe := range []*corev1.Probe{c.LivenessProbe, c.ReadinessProbe} {
		if probe.HTTPGet.Port.StrVal != c.Ports[0].Name {
			t.Errorf("the port of a probe is %s, want %s", probe.HTTPGet.Port.StrVal, c.Ports[0].Name)
		}
	}
	if c.Resources.Requests.Memory().IsZero() || c.Resources.Limits.Memory().IsZero() {
		t.Error("want a request and a limit of memory")
	}
	token := false
	for _, variable := range c.Env {
		if variable.Name == "CONNECTIONSD_ACCESS_TOKEN" {
			token = variable.Value == "" && variable.ValueFrom.SecretKeyRef != nil
		}
	}
	if !token {
		t.Error("want the token from a Secret")
	}
	volumes := make(map[string]bool)
	for _, volume := range pod.Volumes {
		volumes[volume.Name] = true
	}
	for _, mount := range c.VolumeMounts {
		if !volumes[mount.Name] || !mount.ReadOnly {
			t.Errorf("%s: want a volume, read-only", mount.Name)
		}
	}
}
