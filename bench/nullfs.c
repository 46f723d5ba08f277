/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nullfs MOUNTPOINT [THREADS]
 *
 * A FUSE file system that does nothing: every name is a directory, but those that begin with an
 * "f", which no LOOKUP finds, and what is made was made. It answers from a few constants, without a
 * system call but the read of the message and the write of the answer: what the protocol itself
 * costs, on this machine, now. Names and attributes are valid for ever and no open is a message, as
 * strata-server has it. Ends when it is unmounted.
 */
#include "../unionfs/wire.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#define ROOM	    (1u << 20)
#define THREADS_MAX 64

/* A message is at least what its answer needs; what is longer is not looked at. */
struct message {
	struct wire_in_header h;
	union {
		struct wire_init_in init;
		struct wire_mkdir_in mkdir;
		char bytes[ROOM];
	} in;
};

struct answer {
	struct wire_out_header h;
	union {
		struct wire_init_out init;
		struct wire_entry_out entry;
		struct wire_attr_out attr;
	} out;
};

#define FOREVER 86400u /* seconds */
#define DIR_BIT (1ull << 62) /* of the nodeids of directories */

static int fuse;
static _Atomic uint64_t next_id = 2;

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static struct wire_attr attr_of(uint64_t id)
{
	uint32_t mode = id == 1 || id & DIR_BIT ? S_IFDIR | 0755 : S_IFREG | 0644;

	return (struct wire_attr){ .ino = id, .mode = mode, .nlink = 1, .blksize = 4096 };
}

static size_t answer_init(const struct message *m, struct answer *a)
{
	uint64_t flags = WIRE_BIG_WRITES | WIRE_DONT_MASK | WIRE_NO_OPEN_SUPPORT |
			 WIRE_PARALLEL_DIROPS | WIRE_NO_OPENDIR_SUPPORT;

	a->out.init = (struct wire_init_out){
		.major = WIRE_MAJOR,
		.minor = WIRE_MINOR,
		.max_readahead = m->in.init.max_readahead,
		.flags = (uint32_t)flags,
		.max_background = 64,
		.congestion_threshold = 48,
		.max_write = ROOM / 2,
		.time_gran = 1,
	};
	return sizeof(a->out.init);
}

static size_t answer_entry(struct answer *a, uint64_t id)
{
	a->out.entry = (struct wire_entry_out){ .nodeid = id,
						.entry_valid = FOREVER,
						.attr_valid = FOREVER };
	if (id)
		a->out.entry.attr = attr_of(id);
	return sizeof(a->out.entry);
}

static uint64_t dir_id(const char *name)
{
	uint64_t h = 5381;

	while (*name)
		h = h * 33 + (unsigned char)*name++;
	return DIR_BIT | (h & (DIR_BIT - 1));
}

/* The length of the body; *@ret: -errno. */
static size_t answer(const struct message *m, struct answer *a, int *ret)
{
	switch (m->h.opcode) {
	case WIRE_INIT:
		return answer_init(m, a);
	case WIRE_LOOKUP:
		return answer_entry(a, *m->in.bytes == 'f' ? 0 : dir_id(m->in.bytes));
	case WIRE_MKNOD:
		return answer_entry(a, next_id++);
	case WIRE_MKDIR:
		return answer_entry(a, dir_id(m->in.bytes + sizeof(m->in.mkdir)));
	case WIRE_GETATTR:
		a->out.attr = (struct wire_attr_out){ .attr_valid = FOREVER,
						      .attr = attr_of(m->h.nodeid) };
		return sizeof(a->out.attr);
	case WIRE_UNLINK:
	case WIRE_RMDIR:
	case WIRE_RENAME:
	case WIRE_RENAME2:
	case WIRE_RELEASE:
	case WIRE_DESTROY:
		return 0;
	default:
		*ret = -ENOSYS;
		return 0;
	}
}

static void *serve(void *unused)
{
	struct message *m = malloc(sizeof(*m));
	struct answer a;

	if (!m)
		die("nullfs");
	for (;;) {
		int e = 0;
		ssize_t n = read(fuse, m, sizeof(*m));

		if (n < 0 && errno == ENODEV)
			break;
		if (n < 0 || m->h.opcode == WIRE_FORGET || m->h.opcode == WIRE_BATCH_FORGET)
			continue;
		a.h.len = (uint32_t)(sizeof(a.h) + answer(m, &a, &e));
		a.h.error = e;
		a.h.unique = m->h.unique;
		if (write(fuse, &a, a.h.len) < 0 && errno != ENOENT)
			break;
	}
	free(m);
	return unused;
}

int main(int argc, char **argv)
{
	int n = argc > 2 ? atoi(argv[2]) : 1;
	pthread_t t[THREADS_MAX];
	char options[128];

	if (argc < 2 || n < 1 || n > THREADS_MAX) {
		fputs("usage: nullfs MOUNTPOINT [THREADS]\n", stderr);
		return 2;
	}
	fuse = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	if (fuse < 0)
		die("/dev/fuse");
	snprintf(options, sizeof(options),
		 "fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other,default_permissions", fuse);
	if (mount("nullfs", argv[1], "fuse", 0, options) < 0)
		die(argv[1]);
	for (int i = 1; i < n; i++) {
		if (pthread_create(&t[i], NULL, serve, NULL))
			die("nullfs: thread");
	}
	serve(NULL);
	for (int i = 1; i < n; i++)
		pthread_join(t[i], NULL);
	return 0;
}
