package main

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"strconv"
)

// entry is a line of a table: a connection or a listener, as the answer tells of it.
type entry struct {
	id       string // connection_id
	incoming bool
	state    string // of TCP; of a daemon that tells none, monerod's
	local    end
	remote   end

	liveTime                   uint64 // s
	exact                      bool
	recv, sent                 uint64   // bytes
	recvIdle, sentIdle         uint64   // s
	recvRate, sentRate         uint64   // bytes/s
	rates                      bool     // known
	recvHistory, sentHistory   []uint64 // bytes/s, the latest last
	service, reach, command    string   // of a listener
	process, container, engine string
	socket                     *socketRecord // nil: not told
}

// end is an address with its port.
type end struct {
	addr netip.AddrPort
	text string // where it is no IP address: one of Tor or I2P, of a monerod
}

func (e end) String() string {
	if !e.addr.IsValid() {
		return e.text
	}
	return e.addr.String()
}

func parseEnd(s string) end {
	addr, err := netip.ParseAddrPort(s)
	if err != nil {
		return end{text: s}
	}
	return end{addr: addr}
}

// socketRecord is the member socket of a record.
type socketRecord struct {
	LocalAddress     string `json:"local_address"`
	TCPState         string `json:"tcp_state"`
	CongestionState  string `json:"congestion_state"`
	CongestionWindow uint64 `json:"congestion_window"`
	RTT              uint64 `json:"rtt_us"`
	RTTVar           uint64 `json:"rttvar_us"`
	MinRTT           uint64 `json:"min_rtt_us"`
	Retransmits      uint64 `json:"retransmits"`
	DeliveryRate     uint64 `json:"delivery_rate"`
	UID              uint64 `json:"uid"`
	NetNS            uint64 `json:"netns"`
	Inode            uint64 `json:"inode"`
	Cookie           uint64 `json:"cookie"`
	PID              uint64 `json:"pid"`
	ProcessName      string `json:"process_name"`
	ContainerName    string `json:"container_name"`
	ContainerRuntime string `json:"container_runtime"`
	LiveTimeExact    bool   `json:"live_time_exact"`
}

// readConnections reads the result of get_connections.
func readConnections(result []byte) ([]entry, error) {
	var answer struct {
		Connections []struct {
			Address         string        `json:"address"`
			ConnectionID    string        `json:"connection_id"`
			Incoming        bool          `json:"incoming"`
			State           string        `json:"state"`
			LiveTime        uint64        `json:"live_time"`
			RecvCount       uint64        `json:"recv_count"`
			SendCount       uint64        `json:"send_count"`
			RecvIdleTime    uint64        `json:"recv_idle_time"`
			SendIdleTime    uint64        `json:"send_idle_time"`
			CurrentDownload uint64        `json:"current_download"` // 1024 bytes/s
			CurrentUpload   uint64        `json:"current_upload"`
			Socket          *socketRecord `json:"socket"`
		} `json:"connections"`
	}
	if err := json.Unmarshal(result, &answer); err != nil {
		return nil, fmt.Errorf("read the answer: %w", err)
	}
	entries := make([]entry, 0, len(answer.Connections))
	for i := range answer.Connections {
		c := &answer.Connections[i]
		e := entry{
			id: c.ConnectionID, incoming: c.Incoming, state: c.State, remote: parseEnd(c.Address),
			liveTime: c.LiveTime, exact: true, recv: c.RecvCount, sent: c.SendCount, recvIdle: c.RecvIdleTime, sentIdle: c.SendIdleTime,
			recvRate: c.CurrentDownload * 1024, sentRate: c.CurrentUpload * 1024, rates: true,
		}
		if s := c.Socket; s != nil {
			e.state, e.local, e.exact = s.TCPState, parseEnd(s.LocalAddress), s.LiveTimeExact
			e.process, e.container, e.engine, e.socket = s.ProcessName, s.ContainerName, s.ContainerRuntime, s
		}
		entries = append(entries, e)
	}
	return entries, nil
}

// readListeners reads the answer of GET /api/connections.
func readListeners(result []byte) ([]entry, error) {
	var answer struct {
		Listeners []struct {
			ServiceLabel       string        `json:"serviceLabel"`
			ProcessName        string        `json:"processName"`
			ContainerName      string        `json:"containerName"`
			Address            string        `json:"address"`
			AddressDescription string        `json:"addressDescription"`
			Port               uint16        `json:"port"`
			Command            string        `json:"cmd"`
			Socket             *socketRecord `json:"socket"`
		} `json:"listeners"`
	}
	if err := json.Unmarshal(result, &answer); err != nil {
		return nil, fmt.Errorf("read the answer: %w", err)
	}
	entries := make([]entry, 0, len(answer.Listeners))
	for i := range answer.Listeners {
		l := &answer.Listeners[i]
		e := entry{
			local: end{text: l.Address + ":" + strconv.Itoa(int(l.Port))}, service: l.ServiceLabel, reach: l.AddressDescription, command: l.Command,
			process: l.ProcessName, container: l.ContainerName, socket: l.Socket,
		}
		if addr, err := netip.ParseAddr(l.Address); err == nil {
			e.local = end{addr: netip.AddrPortFrom(addr, l.Port)}
		}
		if s := l.Socket; s != nil { // it says of a name that is not known that it is not
			e.state, e.process, e.engine = s.TCPState, s.ProcessName, s.ContainerRuntime
			e.id = strconv.FormatUint(s.NetNS, 10) + " " + strconv.FormatUint(s.Cookie, 10)
		}
		entries = append(entries, e)
	}
	return entries, nil
}
