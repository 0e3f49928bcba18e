//go:build linux

package privilege

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
	"kernel.org/pub/linux/libs/security/libcap/cap"

	"github.com/connectionsd/connectionsd/collector/capability"
)

// User is somebody whom a process can become.
type User struct {
	UID, GID int
	// Groups are the supplementary groups.
	Groups []int
}

// LookUp finds the user of a text, NAME, UID, NAME:GROUP or UID:GROUP, where
// GROUP is a name or a number too. Without it the group is the user's own. A UID
// that no user has needs a GROUP. The supplementary groups are those of the user
// in any case.
//
// The error says what was looked for and what would be right.
func LookUp(text string) (User, error) {
	who, group, hasGroup := strings.Cut(text, ":")
	var found User
	account, err := account(who)
	switch {
	case err == nil:
		if found, err = of(account); err != nil {
			return User{}, err
		}
	case isNumber(who) && hasGroup:
		found.UID, _ = strconv.Atoi(who)
	case isNumber(who):
		return User{}, fmt.Errorf("no user has the number %s: want its group too, as in %s:GROUP", who, who)
	default:
		return User{}, fmt.Errorf("there is no user %q: want the name or the number of one in /etc/passwd", who)
	}
	if hasGroup {
		if found.GID, err = groupNumber(group); err != nil {
			return User{}, err
		}
	}
	return found, nil
}

// account finds a user by name, or else by number.
func account(who string) (*user.User, error) {
	account, err := user.Lookup(who)
	if err != nil && isNumber(who) {
		return user.LookupId(who)
	}
	return account, err
}

// of returns the numbers of an account.
func of(account *user.User) (User, error) {
	groups, err := account.GroupIds()
	if err != nil {
		return User{}, fmt.Errorf("look up the groups of the user %s: %w", account.Username, err)
	}
	var found User
	if found.UID, err = strconv.Atoi(account.Uid); err != nil {
		return User{}, fmt.Errorf("the user %s: %w", account.Username, err)
	}
	if found.GID, err = strconv.Atoi(account.Gid); err != nil {
		return User{}, fmt.Errorf("the group of the user %s: %w", account.Username, err)
	}
	for _, id := range groups {
		group, err := strconv.Atoi(id)
		if err != nil {
			return User{}, fmt.Errorf("a group of the user %s: %w", account.Username, err)
		}
		found.Groups = append(found.Groups, group)
	}
	slices.Sort(found.Groups)
	return found, nil
}

func groupNumber(text string) (int, error) {
	group, err := user.LookupGroup(text)
	switch {
	case err == nil:
		return strconv.Atoi(group.Gid)
	case isNumber(text):
		return strconv.Atoi(text)
	default:
		return 0, fmt.Errorf("there is no group %q: want the name or the number of one in /etc/group", text)
	}
}

// isNumber reports whether text can be the number of a user or a group: 32 bits,
// of which the highest value is none (setresuid(2)).
func isNumber(text string) bool {
	number, err := strconv.ParseUint(text, 10, 32)
	return err == nil && number < 1<<32-1
}

// ErrNotRoot is returned where a process may not become another user.
var ErrNotRoot = errors.New("only root can become another user")

// CheckBecome returns ErrNotRoot unless this process may become u, or is u.
func CheckBecome(u User) error {
	if isSelf(u) {
		return nil
	}
	own, err := capability.Own()
	if err != nil {
		return err
	}
	if !own.Has(unix.CAP_SETUID) || !own.Has(unix.CAP_SETGID) {
		return ErrNotRoot
	}
	return nil
}

// isSelf reports whether this process is u already. Its supplementary groups are
// then what whoever started it saw fit.
func isSelf(u User) bool {
	return os.Getuid() == u.UID && os.Geteuid() == u.UID && os.Getgid() == u.GID && os.Getegid() == u.GID
}

// Become makes this process one of u's, with no capabilities but kept, as
// KeepOnly does. It takes CAP_SETUID and CAP_SETGID, unless it is u's already.
func Become(u User, kept capability.Effective) error {
	if isSelf(u) {
		return KeepOnly(kept)
	}
	if err := emptyBoundingSet(); err != nil {
		return err
	}
	if err := cap.SetGroups(u.GID, u.Groups...); err != nil {
		return fmt.Errorf("become group %d: %w", u.GID, err)
	}
	if err := cap.SetUID(u.UID); err != nil {
		return fmt.Errorf("become user %d: %w", u.UID, err)
	}
	return keep(kept)
}
