package container

import (
	"regexp"
	"slices"
	"strings"
	"testing"
)

// formOf is the table of Parse as a regular expression: the cgroup of a container, behind another or in systemd's syntax.
var formOf = regexp.MustCompile(`(^|/)(docker/|(docker|cri-containerd|nerdctl)-|libpod-(payload-)?|crio-|default/|k8s\.io/|` +
	`[^/:]*:(docker|libpod|libpod-payload|cri-containerd|nerdctl|crio):|[^/]*kubepods[^/]*-pod[^/]*\.slice/|pod[^/]+/)[0-9a-f]{64}(\.scope)?(/|:|$)`)

// shown is a path without the parts that do not count.
func shown(path string) string {
	parts := slices.DeleteFunc(strings.Split(path, "/"), func(part string) bool { return part == "" || part == ".." })
	return strings.Join(parts, "/")
}

// A path that tells of a container has a form that is documented; of containers in each other it tells the outermost;
// slashes more change nothing; and nothing of the path is kept but what is told.
func FuzzOutermost(f *testing.F) {
	for path := range containerPaths() {
		f.Add(path, "/docker/"+id2)
	}
	for _, path := range otherPaths() {
		f.Add(path, "docker-"+id1+".scope")
	}
	f.Fuzz(func(t *testing.T, path, inner string) {
		c, ok := Parse(path)
		checkContainer(t, c, ok)
		if !ok {
			return
		}
		if !formOf.MatchString(shown(path)) {
			t.Fatalf("%q: %+v, of which no form is documented", path, c)
		}
		for _, same := range []string{path + "/" + inner, "/" + path, "//" + strings.ReplaceAll(path, "/", "//") + "/"} {
			if again, ok := Parse(same); !ok || again != c {
				t.Fatalf("%q: %+v, and %q: %+v, %t", path, c, same, again, ok)
			}
		}
	})
}
