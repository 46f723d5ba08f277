/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A FUSE server over a fixed tree for tests that need a root and not a union: folders to mount on,
 * busybox under some names, a file of each test's own. Read-only, no state, any number of threads.
 */
#ifndef TESTS_FAKEFS_H
#define TESTS_FAKEFS_H

#include "base/mem.h"
#include <errno.h>
#include <linux/fuse.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#define FAKE_READ_MAX (1u << 20)

struct fake_node {
	const char *name;
	unsigned parent; /* an index; the nodeid is one more */
	unsigned mode;
	const char *data; /* of a link or a file */
	bool busybox;	  /* its content is the file in fakefs.busybox_fd */
};

struct fakefs {
	const struct fake_node *nodes; /* the first is the root */
	unsigned n;
	int busybox_fd;
	uint64_t requests; /* served */
};

static inline uint64_t fake_size(const struct fakefs *f, const struct fake_node *n)
{
	struct stat st = { 0 };

	if (n->busybox)
		fstat(f->busybox_fd, &st);
	return n->busybox ? (uint64_t)st.st_size : n->data ? strlen(n->data) : 0;
}

static inline struct fuse_attr fake_attr(const struct fakefs *f, unsigned i)
{
	return (struct fuse_attr){
		.ino = i + 1,
		.size = fake_size(f, &f->nodes[i]),
		.mode = f->nodes[i].mode,
		.nlink = 1,
		.blksize = 4096,
	};
}

/* Copies out of or into iovecs. */
static inline size_t fake_gather(void *p, size_t len, const struct iovec *v, int n)
{
	size_t done = 0;

	for (int i = 0; i < n && done < len; i++) {
		size_t part = MIN(len - done, v[i].iov_len);

		memcpy((char *)p + done, v[i].iov_base, part);
		done += part;
	}
	return done;
}

static inline size_t fake_scatter(const struct iovec *v, int n, size_t off, const void *p,
				  size_t len)
{
	size_t done = 0;

	for (int i = 0; i < n && done < len; i++) {
		size_t part;

		if (off >= v[i].iov_len) {
			off -= v[i].iov_len;
			continue;
		}
		part = MIN(len - done, v[i].iov_len - off);
		memcpy((char *)v[i].iov_base + off, (const char *)p + done, part);
		done += part;
		off = 0;
	}
	return done;
}

static inline ssize_t fake_reply(const struct iovec *out, int nout, uint64_t unique, int error,
				 const void *p, size_t len)
{
	struct fuse_out_header h = { .len = (uint32_t)(sizeof(h) + len),
				     .error = error,
				     .unique = unique };

	fake_scatter(out, nout, 0, &h, sizeof(h));
	fake_scatter(out, nout, sizeof(h), p, len);
	return (ssize_t)h.len;
}

static inline int fake_lookup(const struct fakefs *f, unsigned dir, const char *name,
			      struct fuse_entry_out *ret)
{
	for (unsigned i = 1; i < f->n; i++) {
		if (f->nodes[i].parent == dir && strcmp(f->nodes[i].name, name) == 0) {
			*ret = (struct fuse_entry_out){
				.nodeid = i + 1,
				.entry_valid = 1000,
				.attr_valid = 1000,
				.attr = fake_attr(f, i),
			};
			return 0;
		}
	}
	return -ENOENT;
}

static inline ssize_t fake_read(const struct fakefs *f, const struct fake_node *n,
				const struct fuse_read_in *r, char *buf, size_t max)
{
	size_t len = n->data ? strlen(n->data) : 0;
	size_t want = MIN((size_t)r->size, max);

	if (n->busybox)
		return pread(f->busybox_fd, buf, want, (off_t)r->offset);
	if (r->offset >= len)
		return 0;
	memcpy(buf, n->data + r->offset, MIN(want, len - r->offset));
	return (ssize_t)MIN(want, len - r->offset);
}

/* struct fakefs is @ctx. */
static inline ssize_t fake_serve(void *ctx, const struct iovec *in, int nin,
				 const struct iovec *out, int nout)
{
	_free_ char *data = NULL;
	struct fakefs *f = ctx;
	struct {
		struct fuse_in_header h;
		char body[4096 + 128];
	} req = { 0 };
	struct fuse_init_out init = { .major = 7,
				      .minor = 31,
				      .max_readahead = 1 << 17,
				      .flags = FUSE_MAX_PAGES,
				      .max_background = 16,
				      .max_write = 1 << 17,
				      .time_gran = 1,
				      .max_pages = 256 };
	struct fuse_statfs_out statfs = { .st = { .bsize = 4096, .frsize = 4096, .namelen = 255 } };
	struct fuse_attr_out attr = { .attr_valid = 1000 };
	struct fuse_entry_out entry;
	unsigned i;
	ssize_t r;

	__atomic_fetch_add(&f->requests, 1, __ATOMIC_RELAXED);
	if (fake_gather(&req, sizeof(req) - 1, in, nin) < sizeof(req.h))
		return -EINVAL;
	i = (unsigned)req.h.nodeid - 1;
	if (i >= f->n)
		i = 0;
	switch (req.h.opcode) {
	case FUSE_INIT:
		return fake_reply(out, nout, req.h.unique, 0, &init, sizeof(init));
	case FUSE_LOOKUP:
		r = fake_lookup(f, i, req.body, &entry);
		return fake_reply(out, nout, req.h.unique, (int)r, &entry,
				  r < 0 ? 0 : sizeof(entry));
	case FUSE_GETATTR:
		attr.attr = fake_attr(f, i);
		return fake_reply(out, nout, req.h.unique, 0, &attr, sizeof(attr));
	case FUSE_READLINK:
		return fake_reply(out, nout, req.h.unique, 0, f->nodes[i].data,
				  strlen(f->nodes[i].data));
	case FUSE_READ:
		data = malloc(FAKE_READ_MAX);
		r = data ? fake_read(f, &f->nodes[i], (void *)req.body, data, FAKE_READ_MAX) : -1;
		return fake_reply(out, nout, req.h.unique, r < 0 ? -EIO : 0, data,
				  r < 0 ? 0 : (size_t)r);
	case FUSE_STATFS:
		return fake_reply(out, nout, req.h.unique, 0, &statfs, sizeof(statfs));
	case FUSE_FORGET:
	case FUSE_BATCH_FORGET:
	case FUSE_INTERRUPT:
		return 0;
	default:
		return fake_reply(out, nout, req.h.unique, -ENOSYS, "", 0);
	}
}

#endif
