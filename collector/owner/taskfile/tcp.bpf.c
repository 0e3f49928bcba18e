//go:build ignore

// SPDX-License-Identifier: MIT OR GPL-2.0-only

// For each descriptor of a TCP socket of each task: who holds which; and for each
// of a connection, for those tasks that the iterator is told of: which it is.
//
// What is read of the kernel's structures is declared here, and no more; where
// it lies in the running kernel is settled when the program is loaded (CO-RE).

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned int u32;

#define kernel_struct struct __attribute__((preserve_access_index))

kernel_struct task_struct {
	int tgid;
};

kernel_struct inode {
	unsigned long i_ino;
};

kernel_struct file {
	struct inode *f_inode;
};

kernel_struct proto_ops {
	int family;
};

kernel_struct ns_common {
	unsigned int inum;
};

kernel_struct net {
	struct ns_common ns;
};

typedef kernel_struct {
	struct net *net;
} possible_net_t;

kernel_struct in6_addr {
	union {
		u32 u6_addr32[4];
	} in6_u;
};

kernel_struct sock_common {
	u32 skc_daddr;
	u32 skc_rcv_saddr;
	u16 skc_dport; // big-endian
	u16 skc_num;
	u16 skc_family;
	volatile u8 skc_state;
	int skc_bound_dev_if;
	possible_net_t skc_net;
	struct in6_addr skc_v6_daddr;
	struct in6_addr skc_v6_rcv_saddr;
};

kernel_struct sock {
	struct sock_common __sk_common;
	u16 sk_protocol;
};

kernel_struct socket {
	short type;
	struct sock *sk;
	const struct proto_ops *ops;
};

struct seq_file;

kernel_struct bpf_iter_meta {
	struct seq_file *seq;
};

kernel_struct bpf_iter__task_file {
	struct bpf_iter_meta *meta;
	struct task_struct *task;
	struct file *file;
};

// Helpers are called by their numbers in enum bpf_func_id
// (include/uapi/linux/bpf.h). bpf_seq_write is for programs whose licence is
// compatible with the GPL alone.
static long (*const bpf_seq_write)(struct seq_file *seq, const void *data, u32 len) = (void *)127;
static struct socket *(*const bpf_sock_from_file)(struct file *file) = (void *)162; // Linux 5.11

enum {
	SOCK_STREAM = 1,
	AF_INET = 2,
	AF_INET6 = 10,
};

// As Record in Go.
struct record {
	u32 tgid;
	u32 inode;
};

__attribute__((section("iter/task_file"), used)) int tcp_sockets(struct bpf_iter__task_file *ctx)
{
	struct task_struct *task = ctx->task;
	struct file *file = ctx->file;
	if (!task || !file) // after the last
		return 0;

	struct socket *socket = bpf_sock_from_file(file);
	if (!socket)
		return 0;
	// Stream sockets of IP, which is not TCP alone: a socket of MPTCP has the
	// inode number that sock_diag tells of the TCP connections it is made of.
	// socket->sk would say more, and is not looked at since it lies elsewhere in
	// memory, which costs as much as all the rest.
	if (socket->type != SOCK_STREAM)
		return 0;
	int family = socket->ops->family;
	if (family != AF_INET && family != AF_INET6)
		return 0;

	struct record record = {
		.tgid = task->tgid,
		.inode = file->f_inode->i_ino, // of sockfs: 32 bits (get_next_ino)
	};
	// Where there is no room left the kernel sees that itself: it hands out what
	// it has and shows this descriptor again at the next read.
	bpf_seq_write(ctx->meta->seq, &record, sizeof(record));
	return 0;
}

enum {
	IPPROTO_TCP = 6,
	IPPROTO_MPTCP = 262,
	TCP_CLOSE = 7,
	TCP_LISTEN = 10,
};

// As Connection in Go. The addresses and the remote port are in network byte
// order, an address of IPv4 in the first of the four.
struct connection {
	u32 inode;
	u32 netns;
	u32 local[4];
	u32 remote[4];
	u16 local_port;
	u16 remote_port;
	u32 interface;
	u16 family;
	u16 protocol;
};

__attribute__((section("iter/task_file"), used)) int tcp_connections(struct bpf_iter__task_file *ctx)
{
	struct file *file = ctx->file;
	if (!ctx->task || !file) // after the last
		return 0;

	struct socket *socket = bpf_sock_from_file(file);
	if (!socket || socket->type != SOCK_STREAM)
		return 0;
	int family = socket->ops->family;
	if (family != AF_INET && family != AF_INET6)
		return 0;
	struct sock *sk = socket->sk;
	if (!sk)
		return 0;
	u16 protocol = sk->sk_protocol;
	if (protocol != IPPROTO_TCP && protocol != IPPROTO_MPTCP)
		return 0;
	struct sock_common *common = &sk->__sk_common;
	u8 state = common->skc_state;
	if (state == TCP_CLOSE || state == TCP_LISTEN)
		return 0;

	struct connection connection = {
		.inode = file->f_inode->i_ino,
		.netns = common->skc_net.net->ns.inum,
		.local_port = common->skc_num,
		.remote_port = common->skc_dport,
		.interface = common->skc_bound_dev_if,
		.family = common->skc_family,
		.protocol = protocol,
	};
	if (connection.family == AF_INET) {
		connection.local[0] = common->skc_rcv_saddr;
		connection.remote[0] = common->skc_daddr;
	} else {
		connection.local[0] = common->skc_v6_rcv_saddr.in6_u.u6_addr32[0];
		connection.local[1] = common->skc_v6_rcv_saddr.in6_u.u6_addr32[1];
		connection.local[2] = common->skc_v6_rcv_saddr.in6_u.u6_addr32[2];
		connection.local[3] = common->skc_v6_rcv_saddr.in6_u.u6_addr32[3];
		connection.remote[0] = common->skc_v6_daddr.in6_u.u6_addr32[0];
		connection.remote[1] = common->skc_v6_daddr.in6_u.u6_addr32[1];
		connection.remote[2] = common->skc_v6_daddr.in6_u.u6_addr32[2];
		connection.remote[3] = common->skc_v6_daddr.in6_u.u6_addr32[3];
	}
	bpf_seq_write(ctx->meta->seq, &connection, sizeof(connection));
	return 0;
}

__attribute__((section("license"), used)) const char licence[] = "Dual MIT/GPL";
