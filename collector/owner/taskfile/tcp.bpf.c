//go:build ignore

// SPDX-License-Identifier: MIT OR GPL-2.0-only

// For each descriptor of a TCP socket of each task: who holds which.
//
// What is read of the kernel's structures is declared here, and no more; where
// it lies in the running kernel is settled when the program is loaded (CO-RE).

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

kernel_struct socket {
	short type;
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

__attribute__((section("license"), used)) const char licence[] = "Dual MIT/GPL";
