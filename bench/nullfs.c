/* SPDX-License-Identifier: Apache-2.0 */
/*
 * nullfs [-a] MOUNTPOINT [THREADS]
 *
 * A FUSE file system that does nothing: it answers from constants, without a system call but the
 * read of the message and the write of the answer: what the protocol itself costs, on this machine,
 * now. Names and attributes are valid for ever and no open is a message; directories are told with
 * the names of their folder, and everything is while that is what the walker then asks for; who has
 * answered waits awake for a moment: all that as strata has it. -a: files may have ACLs. Ends when
 * it is unmounted.
 *
 * Names: "tree" has 50 folders "dir" of 50 folders "sub" of 20 files "file_", as bench/union makes
 * them. Any other name is a folder, which lists nothing; but those that begin with an "f" or end in
 * ".no" are not there, digits in a folder of digits are a file (bench/files), and what is made was
 * made.
 */
#include "unionfs/linger.c"
#include "unionfs/wire.h"

#include <dirent.h>
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
#define FILE_BYTES  102u

/* A message is at least what its answer needs; what is longer is not looked at. */
struct message {
	struct wire_in_header h;
	union {
		struct wire_init_in init;
		struct wire_mkdir_in mkdir;
		struct wire_read_in read;
		char bytes[ROOM];
	} in;
};

struct answer {
	struct wire_out_header h;
	union {
		struct wire_init_out init;
		struct wire_entry_out entry;
		struct wire_attr_out attr;
		char bytes[ROOM];
	} out;
};

#define FOREVER 86400u /* seconds */

/* Of a nodeid: that it is a folder's, of which kind; that it is a file's that was there. */
#define DIR_BIT	   (1ull << 62)
#define FILE_BIT   (1ull << 61)
#define KIND_SHIFT 56
#define KIND_MASK  (7ull << KIND_SHIFT)

enum kind { OTHER, TREE, DIRS, SUBS, DIGITS, ROOT };

/* What a folder of a kind lists. */
static const struct {
	unsigned int count;
	const char *format;
} lists[] = {
	[TREE] = { 50, "dir%02u" },
	[DIRS] = { 50, "sub%02u" },
	[SUBS] = { 20, "file_%05u.txt" },
	[ROOT] = { 1, "tree%u" },
};
#define ENOUGH_WALK 8 /* as unionfs/ops_readdir.c */

static int fuse;
static int acls;
static _Atomic uint64_t next_id = 2;
/* Of the folder listed last: its names without attributes, the LOOKUPs since. */
static _Atomic unsigned int listed, looked;
static _Atomic int fills;

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static enum kind kind_of(uint64_t id)
{
	return id == 1 ? ROOT : id & DIR_BIT ? (enum kind)((id & KIND_MASK) >> KIND_SHIFT) : OTHER;
}

static struct wire_attr attr_of(uint64_t id)
{
	uint32_t mode = id == 1 || id & DIR_BIT ? S_IFDIR | 0755 : S_IFREG | 0644;

	return (struct wire_attr){ .ino = id,
				   .size = id & FILE_BIT ? FILE_BYTES : 0,
				   .mode = mode,
				   .nlink = 1,
				   .blksize = 4096 };
}

static uint64_t hash_of(uint64_t parent, const char *name)
{
	uint64_t h = parent * 0x9e3779b97f4a7c15ull;

	while (*name)
		h = (h ^ (unsigned char)*name++) * 0x100000001b3ull;
	return (h ^ h >> 32) & ((1ull << KIND_SHIFT) - 1);
}

static int is_number(const char *name)
{
	return !name[strspn(name, "0123456789")];
}

static uint64_t dir_id(uint64_t parent, const char *name)
{
	enum kind kind = !strncmp(name, "tree", 4) ? TREE :
			 !strncmp(name, "dir", 3)  ? DIRS :
			 !strncmp(name, "sub", 3)  ? SUBS :
			 is_number(name)	   ? DIGITS :
						     OTHER;

	return DIR_BIT | (uint64_t)kind << KIND_SHIFT | hash_of(parent, name);
}

/* The nodeid of a name, 0: there is none. */
static uint64_t find(uint64_t parent, const char *name)
{
	size_t len = strlen(name);

	if (len > 3 && !strcmp(name + len - 3, ".no"))
		return 0;
	if (!strncmp(name, "file_", 5) || (kind_of(parent) == DIGITS && is_number(name)))
		return FILE_BIT | hash_of(parent, name);
	return *name == 'f' ? 0 : dir_id(parent, name);
}

static size_t answer_init(const struct message *m, struct answer *a)
{
	uint64_t flags = WIRE_BIG_WRITES | WIRE_DONT_MASK | WIRE_NO_OPEN_SUPPORT |
			 WIRE_PARALLEL_DIROPS | WIRE_NO_OPENDIR_SUPPORT | WIRE_MAX_PAGES |
			 WIRE_DO_READDIRPLUS | WIRE_READDIRPLUS_AUTO | WIRE_EXPLICIT_INVAL_DATA;

	a->out.init = (struct wire_init_out){
		.major = WIRE_MAJOR,
		.minor = WIRE_MINOR,
		.max_readahead = m->in.init.max_readahead,
		.flags = (uint32_t)(flags | (acls ? WIRE_POSIX_ACL : 0)),
		.max_background = 64,
		.congestion_threshold = 48,
		.max_write = ROOM / 2,
		.max_pages = ROOM / 2 / 4096,
		.time_gran = 1,
	};
	return sizeof(a->out.init);
}

static struct wire_entry_out entry_of(uint64_t id)
{
	struct wire_entry_out e = { .nodeid = id, .entry_valid = FOREVER, .attr_valid = FOREVER };

	if (id)
		e.attr = attr_of(id);
	return e;
}

static size_t answer_entry(struct answer *a, uint64_t id)
{
	a->out.entry = entry_of(id);
	return sizeof(a->out.entry);
}

/* Entry number @i of @dir at @buf, with its attributes where they are told: its length. */
static size_t put_entry(char *buf, size_t room, uint64_t dir, unsigned int i, int plus)
{
	size_t head = plus ? sizeof(struct wire_entry_out) : 0, len, all;
	struct wire_entry_out e = { 0 };
	struct wire_dirent d = { .off = i + 1 };
	char name[32] = "..";
	int told;

	if (i >= 2)
		snprintf(name, sizeof(name), lists[kind_of(dir)].format, i - 2);
	len = i ? strlen(name) : 1;
	all = head + sizeof(d) + len;
	all = (all + WIRE_DIRENT_ALIGN - 1) / WIRE_DIRENT_ALIGN * WIRE_DIRENT_ALIGN;
	if (all > room)
		return 0;
	d.ino = i < 2 ? dir : find(dir, name);
	d.type = i < 2 || d.ino & DIR_BIT ? DT_DIR : DT_REG;
	d.namelen = (uint32_t)len;
	told = plus && i >= 2 && (fills || d.type == DT_DIR);
	if (told)
		e = entry_of(d.ino);
	listed += !told;
	memset(buf, 0, all);
	memcpy(buf, &e, head);
	memcpy(buf + head, &d, sizeof(d));
	memcpy(buf + head + sizeof(d), name, len);
	return all;
}

static size_t answer_list(const struct message *m, struct answer *a, int plus)
{
	unsigned int i = (unsigned int)m->in.read.offset, n = 2 + lists[kind_of(m->h.nodeid)].count;
	size_t room = m->in.read.size < ROOM ? m->in.read.size : ROOM, len = 0, one;

	if (!i && !fills && listed >= ENOUGH_WALK)
		fills = looked >= listed / 2;
	if (!i)
		listed = looked = 0;
	for (; i < n; i++, len += one) {
		one = put_entry(a->out.bytes + len, room - len, m->h.nodeid, i, plus);
		if (!one)
			break;
	}
	return len;
}

static size_t answer_read(const struct message *m, struct answer *a)
{
	size_t left = m->in.read.offset < FILE_BYTES ? FILE_BYTES - m->in.read.offset : 0;

	memset(a->out.bytes, 'x', left);
	return left < m->in.read.size ? left : m->in.read.size;
}

/* The length of the body; *@ret: -errno. */
static size_t answer(const struct message *m, struct answer *a, int *ret)
{
	switch (m->h.opcode) {
	case WIRE_INIT:
		return answer_init(m, a);
	case WIRE_LOOKUP:
		looked++;
		return answer_entry(a, find(m->h.nodeid, m->in.bytes));
	case WIRE_READDIR:
		return answer_list(m, a, 0);
	case WIRE_READDIRPLUS:
		return answer_list(m, a, 1);
	case WIRE_READ:
		return answer_read(m, a);
	case WIRE_MKNOD:
		return answer_entry(a, next_id++);
	case WIRE_MKDIR:
		return answer_entry(a, dir_id(m->h.nodeid, m->in.bytes + sizeof(m->in.mkdir)));
	case WIRE_GETATTR:
		a->out.attr = (struct wire_attr_out){ .attr_valid = FOREVER,
						      .attr = attr_of(m->h.nodeid) };
		return sizeof(a->out.attr);
	case WIRE_GETXATTR:
		/* ls asks no more for labels after EOPNOTSUPP; nobody for anything after ENOSYS. */
		*ret = !acls ? -ENOSYS :
		       strstr(m->in.bytes + sizeof(struct wire_getxattr_in), "selinux") ?
			       -EOPNOTSUPP :
			       -ENODATA;
		return 0;
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
	struct answer *a = malloc(sizeof(*a));
	struct linger l = { 0 };

	if (!m || !a)
		die("nullfs");
	for (;;) {
		int e = 0;
		ssize_t n;

		linger(&l, fuse);
		n = read(fuse, m, sizeof(*m));
		if (n < 0 && errno == ENODEV)
			break;
		if (n < 0 || m->h.opcode == WIRE_FORGET || m->h.opcode == WIRE_BATCH_FORGET)
			continue;
		a->h.len = (uint32_t)(sizeof(a->h) + answer(m, a, &e));
		a->h.error = e;
		a->h.unique = m->h.unique;
		if (write(fuse, a, a->h.len) < 0 && errno != ENOENT)
			break;
	}
	free(m);
	free(a);
	return unused;
}

static void mount_at(const char *point)
{
	char options[128];

	fuse = open("/dev/fuse", O_RDWR | O_CLOEXEC);
	if (fuse < 0)
		die("/dev/fuse");
	snprintf(options, sizeof(options),
		 "fd=%d,rootmode=40000,user_id=0,group_id=0,allow_other,default_permissions", fuse);
	if (mount("nullfs", point, "fuse", 0, options) < 0)
		die(point);
}

int main(int argc, char **argv)
{
	pthread_t t[THREADS_MAX];
	int n;

	acls = argc > 1 && !strcmp(argv[1], "-a");
	argc -= acls;
	argv += acls;
	n = argc > 2 ? (int)strtol(argv[2], NULL, 10) : 1;
	if (argc < 2 || n < 1 || n > THREADS_MAX) {
		fputs("usage: nullfs [-a] MOUNTPOINT [THREADS]\n", stderr);
		return 2;
	}
	mount_at(argv[1]);
	for (int i = 1; i < n; i++) {
		if (pthread_create(&t[i], NULL, serve, NULL))
			die("nullfs: thread");
	}
	serve(NULL);
	for (int i = 1; i < n; i++)
		pthread_join(t[i], NULL);
	return 0;
}
