package container

import "strings"

// podOfSlice returns the uid of the pod that a systemd slice is of, such as
// kubepods-burstable-pod1234abcd_….slice. The kubelet writes _ for -, which
// would be a level of slices; a kubelet with a cgroup root of its own puts that
// before kubepods.
func podOfSlice(part string) (uid string, ok bool) {
	name, ok := strings.CutSuffix(part, ".slice")
	if !ok || !strings.Contains(name, "kubepods") {
		return "", false
	}
	i := strings.LastIndex(name, "-pod")
	if i < 0 {
		return "", false
	}
	uid = strings.ReplaceAll(name[i+len("-pod"):], "_", "-")
	return uid, isPodUID(uid)
}

// podOfDirectory returns the uid of the pod that a cgroup is of which the
// kubelet made without systemd: podUID.
func podOfDirectory(part string) (uid string, ok bool) {
	uid, ok = strings.CutPrefix(part, "pod")
	return uid, ok && isPodUID(uid)
}

// isPodUID reports whether s is a UUID or, as a static pod has it from the
// kubelet, 32 hexadecimal digits.
func isPodUID(s string) bool {
	switch len(s) {
	case 32:
		return isHex(s)
	case 36:
		return s[8] == '-' && s[13] == '-' && s[18] == '-' && s[23] == '-' &&
			isHex(s[:8]) && isHex(s[9:13]) && isHex(s[14:18]) && isHex(s[19:23]) && isHex(s[24:])
	default:
		return false
	}
}
