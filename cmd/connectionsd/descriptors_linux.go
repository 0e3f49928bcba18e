package main

import (
	"fmt"

	"github.com/rs/zerolog"
	"golang.org/x/sys/unix"

	"github.com/connectionsd/connectionsd/rpc"
)

// otherDescriptors is how many file descriptors are left for what is no connection of a client: above all up to four sockets
// for each network namespace, three files for each that has many sockets, and the directories of /proc.
const otherDescriptors = 256

// openFiles returns how many files this process may open.
func openFiles() (uint64, error) {
	var files unix.Rlimit // the runtime has raised the soft limit to the hard one
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &files); err != nil {
		return 0, fmt.Errorf("ask for the limit of open files: %w", err)
	}
	return files.Cur, nil
}

// connectionLimits returns those of cfg, or fewer where this process may not open as many files.
func connectionLimits(cfg Config, files uint64, degraded *degradations, log zerolog.Logger) rpc.ConnectionLimits {
	limits := rpc.ConnectionLimits{
		All: cfg.RPCMaxConnections, PerPublicIP: cfg.RPCMaxConnectionsPerPublicIP, PerPrivateIP: cfg.RPCMaxConnectionsPerPrivateIP,
		Exempt: cfg.TrustedProxies,
	}
	most := connectionsWithin(files)
	if uint64(limits.All) <= most {
		degraded.set("connections", "")
		return limits
	}
	limits.All = int(most)
	log.Warn().Str("feature", "connections").Uint64("open_files", files).Int("wanted", cfg.RPCMaxConnections).Int("connections", limits.All).
		Msg("there are fewer connections than --rpc-max-connections allows: want a higher limit of open files (LimitNOFILE=, ulimit -Hn)")
	degraded.set("connections", fmt.Sprintf("at most %d connections, since the limit of open files is %d: raise it to %d",
		limits.All, files, cfg.RPCMaxConnections+otherDescriptors))
	return limits
}

// connectionsWithin returns how many connections there can be within a limit of open files: at least half of it.
func connectionsWithin(files uint64) uint64 {
	return max(1, files-min(otherDescriptors, files/2))
}
