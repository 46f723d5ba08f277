/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A union without a mount: requests are put together by hand and handed to ufs_serve(). Needs no
 * privilege.
 */
#ifndef TESTS_UNIONFS_DIRECT_H
#define TESTS_UNIONFS_DIRECT_H

#include "base/fd.h"
#include "unionfs/unionfs.h"
#include "unionfs/wire.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>

#define DIRECT_REPLY (1u << 20)

struct direct {
	char dir[64];
	int fd, lower, upper, work;
	struct ufs *u;
	struct ufs_conn *conn;
	uint64_t unique;
	struct wire_out_header *out; /* the reply, its body behind it */
};

static inline int direct_sub(struct direct *d, const char *name)
{
	mkdirat(d->fd, name, 0755);
	return openat(d->fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static inline void direct_file(int dir, const char *name, const char *text)
{
	int fd = openat(dir, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);

	fd_write_full(fd, text, strlen(text));
	close(fd);
}

/* lower: f ("lower f\n"), d/g, s -> f; upper and work, empty. 0 or -errno. */
static inline int direct_make(struct direct *d)
{
	const char *tmp = getenv("TMPDIR");
	int sub;

	*d = (struct direct){ .unique = 2 };
	snprintf(d->dir, sizeof(d->dir), "%.40s/strata-ufs-XXXXXX", tmp ? tmp : "/var/tmp");
	if (!mkdtemp(d->dir))
		return -errno;
	d->fd = open(d->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	d->lower = direct_sub(d, "lower");
	d->upper = direct_sub(d, "upper");
	d->work = direct_sub(d, "work");
	direct_file(d->lower, "f", "lower f\n");
	mkdirat(d->lower, "d", 0755);
	sub = openat(d->lower, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	direct_file(sub, "g", "lower g\n");
	close(sub);
	return symlinkat("f", d->lower, "s") < 0 ? -errno : 0;
}

/* The union that @cfg says; what it does not say is filled in. */
static inline int direct_open(struct direct *d, const struct ufs_config *cfg)
{
	const struct ufs_lower lower = { .kind = UFS_LOWER_DIR, .fd = d->lower };
	struct ufs_config full = *cfg;
	int e;

	if (!full.nlowers) {
		full.lowers = &lower;
		full.nlowers = 1;
	}
	full.upper_fd = d->upper;
	full.work_fd = d->work;
	e = ufs_new(&full, &d->u);
	if (e)
		return e;
	d->conn = ufs_conn_new(d->u, NULL, NULL);
	if (!d->out)
		d->out = malloc(DIRECT_REPLY);
	return d->conn && d->out ? 0 : -ENOMEM;
}

static inline void direct_close(struct direct *d)
{
	ufs_conn_free(d->conn);
	ufs_free(d->u);
	free(d->out);
	d->conn = NULL;
	d->u = NULL;
	d->out = NULL;
}

static inline int direct_begin(struct direct *d, enum ufs_upper_mode mode)
{
	struct ufs_config cfg = {
		.upper = mode,
		.is_volatile = true,
		.metacopy = true,
		.redirect = UFS_REDIRECT_ON,
	};
	int e = direct_make(d);

	return e ? e : direct_open(d, &cfg);
}

static inline void direct_end(struct direct *d)
{
	direct_close(d);
	close(d->lower);
	close(d->upper);
	close(d->work);
	close(d->fd);
	fd_remove_tree(AT_FDCWD, d->dir);
}

/* Any request: a header and @len bytes behind it. Gives what ufs_serve() gives. */
static inline ssize_t direct_call(struct direct *d, uint32_t opcode, uint64_t nodeid,
				  const void *arg, size_t len)
{
	struct wire_in_header h = {
		.len = (uint32_t)(sizeof(h) + len),
		.opcode = opcode,
		.unique = d->unique += 2,
		.nodeid = nodeid,
	};
	const struct iovec in[2] = { { &h, sizeof(h) }, { (void *)arg, len } },
			   out = { d->out, DIRECT_REPLY };

	d->out->error = 0;
	return ufs_serve(d->conn, in, len ? 2 : 1, &out, 1);
}

/* The same, its answer's error: 0 or -errno. */
static inline int direct_error(struct direct *d, uint32_t opcode, uint64_t nodeid, const void *arg,
			       size_t len)
{
	ssize_t n = direct_call(d, opcode, nodeid, arg, len);

	return n < 0 ? (int)n : d->out->error;
}

static inline int direct_init(struct direct *d)
{
	struct wire_init_in in = {
		.major = 7, .minor = 38, .flags = UINT32_MAX, .flags2 = UINT32_MAX
	};

	return direct_error(d, WIRE_INIT, 0, &in, sizeof(in));
}

/* The nodeid, 0 when there is no such name. */
static inline uint64_t direct_lookup(struct direct *d, uint64_t dir, const char *name)
{
	if (direct_error(d, WIRE_LOOKUP, dir, name, strlen(name) + 1))
		return 0;
	return ((const struct wire_entry_out *)(d->out + 1))->nodeid;
}

#endif
