/* SPDX-License-Identifier: Apache-2.0 */
/*
 * FUSE requests from a hostile client, over a small tree with a fresh mapped top for each input.
 * (On a disk that costs forty times what it does in memory: tools/fuzz sets TMPDIR.) An input is a
 * row of requests: opcode (1 byte), node (1), length (2, little-endian), that many bytes behind
 * the header. A node below 0xf0 is the n-th nodeid that a reply has given (0 is the root),
 * likewise the first word of RENAME and LINK when it is below 0xf0; so a row of requests gets
 * somewhere. At its end the program says how many requests there were.
 */
#include "tests/unionfs/direct.h"

#include "base/mem.h"
#include <signal.h>
#include <sys/resource.h>

#define NODES_MAX 0xf0
#define FILE_MAX  (16u << 20) /* bytes: in memory FALLOCATE takes what it reserves */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct client {
	struct direct d;
	uint64_t nodes[NODES_MAX];
	size_t n;
};

static unsigned long requests;
static struct direct base; /* the tree below, and the reply's buffer: the same for all */

__attribute__((destructor)) static void tell(void)
{
	fprintf(stderr, "# %lu requests\n", requests);
	if (base.dir[0])
		fd_remove_tree(AT_FDCWD, base.dir);
}

static int begin(struct direct *d)
{
	const struct ufs_config cfg = { .upper = UFS_UPPER_MAPPED,
					.is_volatile = true,
					.metacopy = true,
					.redirect = UFS_REDIRECT_ON };

	if (!base.out) {
		setrlimit(RLIMIT_FSIZE, &(struct rlimit){ FILE_MAX, FILE_MAX });
		signal(SIGXFSZ, SIG_IGN);
		base.out = direct_make(&base) == 0 ? malloc(DIRECT_REPLY) : NULL;
		if (!base.out)
			abort();
	}
	*d = base;
	d->upper = direct_sub(d, "upper");
	d->work = direct_sub(d, "work");
	return direct_open(d, &cfg);
}

static void end(struct direct *d)
{
	d->out = NULL;
	direct_close(d);
	fd_close(d->upper);
	fd_close(d->work);
	fd_remove_tree(d->fd, "upper");
	fd_remove_tree(d->fd, "work");
}

static uint64_t node_of(const struct client *c, uint64_t index)
{
	return index < c->n ? c->nodes[index] : index;
}

/* What the reply to a LOOKUP or to something made says of a nodeid. */
static void learn(struct client *c, uint32_t opcode, ssize_t len)
{
	const struct wire_entry_out *o = (const void *)(c->d.out + 1);

	switch (opcode) {
	case WIRE_LOOKUP:
	case WIRE_MKNOD:
	case WIRE_MKDIR:
	case WIRE_SYMLINK:
	case WIRE_LINK:
		if (len == sizeof(*c->d.out) + sizeof(*o) && o->nodeid && c->n < NODES_MAX)
			c->nodes[c->n++] = o->nodeid;
	}
}

static void request(struct client *c, uint32_t opcode, uint8_t node, const uint8_t *data,
		    size_t len)
{
	/* Of exactly that size, so that a sanitizer sees a step beyond. */
	_free_ uint8_t *arg = mem_dup(data, len);
	ssize_t n;

	if (!arg)
		return;
	if (len >= 8 && (opcode == WIRE_RENAME || opcode == WIRE_RENAME2 || opcode == WIRE_LINK)) {
		uint64_t id;

		memcpy(&id, arg, sizeof(id));
		id = node_of(c, id);
		memcpy(arg, &id, sizeof(id));
	}
	requests++;
	n = direct_call(&c->d, opcode, node_of(c, node), arg, len);
	if (n > 0)
		learn(c, opcode, n);
}

#define WINDOW (UINT64_C(2) << 21)

/* Nothing is mapped: what would be is looked at. */
static int window_map(_unused_ void *ctx, int fd, uint64_t off, uint64_t at, uint64_t len,
		      _unused_ bool write)
{
	if (fd < 0 || off > INT64_MAX - len || at > WINDOW || len > WINDOW - at)
		abort();
	return 0;
}

static int window_unmap(_unused_ void *ctx, uint64_t at, uint64_t len)
{
	if (at > WINDOW || len > WINDOW - at)
		abort();
	return 0;
}

static void add_window(struct direct *d)
{
	const struct ufs_carrier carrier = { .dax_len = WINDOW,
					     .dax_map = window_map,
					     .dax_unmap = window_unmap };

	ufs_conn_free(d->conn);
	d->conn = ufs_conn_new(d->u, &carrier, NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct client c = { .nodes = { 1 }, .n = 1 };

	if (begin(&c.d) == 0) {
		add_window(&c.d);
		direct_init(&c.d);
		while (size >= 4) {
			size_t len = MIN((size_t)(data[2] | data[3] << 8), size - 4);

			request(&c, data[0], data[1], data + 4, len);
			data += 4 + len;
			size -= 4 + len;
		}
		end(&c.d);
	}
	return 0;
}
