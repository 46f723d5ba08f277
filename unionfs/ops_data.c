/* SPDX-License-Identifier: Apache-2.0 */
#include "unionfs/attr.h"
#include "unionfs/copyup.h"
#include "unionfs/request.h"

#include <errno.h>
#include <linux/falloc.h>

/* ---- READ: from the file straight into the pieces of the reply ---- */

static ssize_t read_upper(struct ufs *u, struct node *n, const struct iovec *iov, int niov,
			  uint64_t off)
{
	struct fd_ref *file;
	ssize_t got;
	int e = node_file(u, n, &file);

	if (e)
		return e;
	do
		got = preadv(file->fd, iov, niov, (off_t)off);
	while (got < 0 && errno == EINTR);
	if (got < 0)
		got = -errno;
	fdcache_put(&u->fds, file);
	return got;
}

static void fill_pieces(const struct iovec *iov, int niov, const char *src)
{
	for (int i = 0; i < niov; i++) {
		if (src) {
			memcpy(iov[i].iov_base, src, iov[i].iov_len);
			src += iov[i].iov_len;
		} else {
			memset(iov[i].iov_base, 0, iov[i].iov_len);
		}
	}
}

static ssize_t preadv_all(int fd, struct iovec *iov, int niov, uint64_t off, size_t want)
{
	size_t done = 0;

	while (done < want) {
		struct iovec rest[REQUEST_IOV_MAX];
		int n = request_slice(iov, niov, done, want - done, rest);
		ssize_t got = preadv(fd, rest, n, (off_t)(off + done));

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		/* The pack or object is shorter than the index says. */
		if (got == 0)
			return -EIO;
		done += (size_t)got;
	}
	return (ssize_t)done;
}

static ssize_t read_lower(struct request *r, uint64_t id, size_t size, uint64_t off)
{
	struct iovec iov[REQUEST_IOV_MAX];
	struct lower_data d;
	size_t want;
	ssize_t got;
	int n, e = lower_data_get(&r->u->lower, id, &d);

	if (e)
		return e;
	want = off >= d.size ? 0 : (size_t)MIN((uint64_t)size, d.size - off);
	n = request_slice(r->out, r->nout, sizeof(struct wire_out_header), want, iov);
	got = (ssize_t)want;
	e = want ? lower_need(&r->u->lower, &d, off, want) : 0;
	if (e)
		got = e;
	else if (d.mem || d.fd < 0)
		fill_pieces(iov, n, d.mem ? (const char *)d.mem + off : NULL);
	else if (want)
		got = preadv_all(d.fd, iov, n, d.base + off, want);
	lower_data_put(&r->u->lower, &d);
	return got;
}

ssize_t op_read(struct request *r)
{
	const struct wire_read_in *in = r->arg;
	struct iovec iov[REQUEST_IOV_MAX];
	size_t size = MIN((size_t)in->size, request_room(r));
	struct inode i;
	uint64_t id;
	ssize_t got;
	int e = in->offset > INT64_MAX - UINT32_MAX ? -EINVAL : inode_pin(r->u, r->h.nodeid, &i);

	if (e)
		return request_fail(r, e);
	id = inode_data(r->u, &i);
	if (id) {
		got = read_lower(r, id, size, in->offset);
		lower_put(&r->u->lower, id);
	} else {
		int n = request_slice(r->out, r->nout, sizeof(struct wire_out_header), size, iov);

		got = read_upper(r->u, i.node, iov, n, in->offset);
	}
	inode_unpin(r->u, &i);
	return got < 0 ? request_fail(r, (int)got) : request_done(r, (size_t)got);
}

/* ---- WRITE ---- */

static int kill_privileges(struct ufs *u, struct node *n)
{
	pthread_mutex_t *stripe = ufs_stripe(u, n->id);
	int e;

	pthread_mutex_lock(stripe);
	pthread_rwlock_rdlock(&u->tree);
	e = attr_kill_privileges(u, n);
	pthread_rwlock_unlock(&u->tree);
	pthread_mutex_unlock(stripe);
	return e;
}

/*
 * FALLOCATE and COPY_FILE_RANGE do not say whether the caller may keep set-user-id: root may.
 */
static int kill_for_caller(struct request *r, struct node *n)
{
	return r->h.uid ? kill_privileges(r->u, n) : 0;
}

/* The kernel's own write-back takes no short answer. */
static uint64_t room_for_write(struct ufs *u, int fd, const struct wire_write_in *in,
			       uint64_t *ret_taken)
{
	uint64_t n = quota_write(u, fd, in->offset, in->size, ret_taken);

	return n < in->size && (in->write_flags & WIRE_WRITE_CACHE) ? 0 : n;
}

static ssize_t write_upper(struct request *r, struct node *n, const struct wire_write_in *in)
{
	struct iovec iov[REQUEST_IOV_MAX];
	struct fd_ref *file;
	uint64_t size, taken;
	ssize_t put = 0;
	int niov, e = node_file(r->u, n, &file);

	if (e)
		return e;
	size = room_for_write(r->u, file->fd, in, &taken);
	niov = request_slice(r->in, r->nin, r->payload, size, iov);
	if (size || !in->size) {
		do
			put = pwritev(file->fd, iov, niov, (off_t)in->offset);
		while (put < 0 && errno == EINTR);
		if (put < 0)
			put = errno == EBADF ? -EPERM : -errno;
	} else {
		put = -ENOSPC;
	}
	quota_settle(r->u, n, file->fd, taken);
	fdcache_put(&r->u->fds, file);
	return put;
}

ssize_t op_write(struct request *r)
{
	const struct wire_write_in *in = r->arg;
	struct wire_write_out o = { 0 };
	struct inode i;
	ssize_t put;
	int e;

	if (in->offset > INT64_MAX - UINT32_MAX || r->h.len - r->payload != in->size)
		return request_fail(r, -EINVAL);
	e = inode_pin(r->u, r->h.nodeid, &i);
	if (e)
		return request_fail(r, e);
	e = copyup(r->u, &i, COPYUP_ALL);
	if (!e && (in->write_flags & WIRE_WRITE_KILL_SUIDGID))
		e = kill_privileges(r->u, i.node);
	put = e ? e : write_upper(r, i.node, in);
	inode_unpin(r->u, &i);
	if (put < 0)
		return request_fail(r, (int)put);
	o.size = (uint32_t)put;
	return request_reply(r, 0, &o, sizeof(o));
}

/* ---- FALLOCATE, LSEEK, COPY_FILE_RANGE ---- */

#define TAKES_NO_ROOM (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_COLLAPSE_RANGE | FALLOC_FL_INSERT_RANGE)

static int allocate(struct ufs *u, struct node *n, int fd, const struct wire_fallocate_in *in)
{
	uint64_t taken = 0, want = in->mode & TAKES_NO_ROOM ? 0 : in->length;
	int e = quota_write(u, fd, in->offset, want, &taken) < want ? -ENOSPC : 0;

	if (!e && fallocate(fd, (int)in->mode, (off_t)in->offset, (off_t)in->length) < 0)
		e = -errno;
	quota_settle(u, n, fd, taken);
	return e;
}

ssize_t op_fallocate(struct request *r)
{
	const struct wire_fallocate_in *in = r->arg;
	struct fd_ref *file = NULL;
	struct inode i;
	int e;

	if (in->offset > INT64_MAX || in->length > INT64_MAX - in->offset)
		return request_fail(r, -EINVAL);
	e = inode_pin(r->u, r->h.nodeid, &i);
	if (e)
		return request_fail(r, e);
	e = copyup(r->u, &i, COPYUP_ALL);
	if (!e)
		e = node_file(r->u, i.node, &file);
	if (!e) {
		e = allocate(r->u, i.node, file->fd, in);
		fdcache_put(&r->u->fds, file);
	}
	if (!e)
		e = kill_for_caller(r, i.node);
	inode_unpin(r->u, &i);
	return request_fail(r, e);
}

static int64_t seek(int fd, uint64_t off, uint32_t whence)
{
	off_t at = lseek(fd, (off_t)off, (int)whence);

	return at < 0 ? -errno : at;
}

static int64_t seek_lower(struct ufs *u, uint64_t id, uint64_t off, uint32_t whence)
{
	struct lower_data d;
	int64_t at = lower_data_get(&u->lower, id, &d);

	if (at)
		return at;
	if (off >= d.size)
		at = -ENXIO;
	else if (d.whole)
		at = seek(d.fd, off, whence);
	else if (d.mem || d.fd >= 0)
		at = whence == SEEK_DATA ? (int64_t)off : (int64_t)d.size;
	else
		at = whence == SEEK_DATA ? -ENXIO : (int64_t)off;
	lower_data_put(&u->lower, &d);
	return at;
}

/*
 * The place of a shared descriptor moves, which nobody minds: all else here says where it reads and
 * writes.
 */
ssize_t op_lseek(struct request *r)
{
	const struct wire_lseek_in *in = r->arg;
	struct wire_lseek_out o;
	struct fd_ref *file;
	struct inode i;
	uint64_t id;
	int64_t at;
	int e;

	if (in->whence != SEEK_DATA && in->whence != SEEK_HOLE)
		return request_fail(r, -EINVAL);
	/* Negative: as behind the end. */
	if (in->offset > INT64_MAX)
		return request_fail(r, -ENXIO);
	e = inode_pin(r->u, r->h.nodeid, &i);
	if (e)
		return request_fail(r, e);
	id = inode_data(r->u, &i);
	if (id) {
		at = seek_lower(r->u, id, in->offset, in->whence);
		lower_put(&r->u->lower, id);
	} else {
		at = node_file(r->u, i.node, &file);
		if (!at) {
			at = seek(file->fd, in->offset, in->whence);
			fdcache_put(&r->u->fds, file);
		}
	}
	inode_unpin(r->u, &i);
	if (at < 0)
		return request_fail(r, (int)at);
	o.offset = (uint64_t)at;
	return request_reply(r, 0, &o, sizeof(o));
}

#define COPY_MAX (1 << 30) /* bytes of one answer */

static ssize_t copy_between(int in, uint64_t from, int out, uint64_t to, size_t len)
{
	off_t a = (off_t)from, b = (off_t)to;
	ssize_t n = copy_file_range(in, &a, out, &b, len, 0);

	/* The client's kernel then copies by itself. */
	if (n < 0)
		return errno == EXDEV || errno == EINVAL || errno == ENOSYS ? -EOPNOTSUPP : -errno;
	return n;
}

static ssize_t copy_range_to(struct ufs *u, const struct inode *from, uint64_t off, int out,
			     uint64_t to, uint64_t len)
{
	uint64_t id = inode_data(u, from);
	struct lower_data d;
	struct fd_ref *file;
	ssize_t n;

	len = MIN(len, (uint64_t)COPY_MAX);
	if (!id) {
		n = node_file(u, from->node, &file);
		if (n)
			return n;
		n = copy_between(file->fd, off, out, to, len);
		fdcache_put(&u->fds, file);
		return n;
	}
	n = lower_data_get(&u->lower, id, &d);
	lower_put(&u->lower, id);
	if (n)
		return n;
	len = off >= d.size ? 0 : MIN(len, d.size - off);
	n = len ? lower_need(&u->lower, &d, off, len) : 0;
	if (!n && d.fd >= 0 && !d.mem)
		n = copy_between(d.fd, d.base + off, out, to, len);
	else if (!n)
		n = -EOPNOTSUPP;
	lower_data_put(&u->lower, &d);
	return n;
}

ssize_t op_copy_file_range(struct request *r)
{
	const struct wire_copy_file_range_in *in = r->arg;
	struct inode from = INODE_NONE, to = INODE_NONE;
	struct wire_write_out o = { 0 };
	struct fd_ref *file;
	ssize_t n = -EINVAL;

	/* The client's kernel then copies by itself, and each write is counted. */
	if (r->u->quota.limit)
		return request_fail(r, -EOPNOTSUPP);
	if (in->off_in <= INT64_MAX - COPY_MAX && in->off_out <= INT64_MAX - COPY_MAX && !in->flags)
		n = inode_pin(r->u, r->h.nodeid, &from);
	if (!n)
		n = inode_pin(r->u, in->nodeid_out, &to);
	if (!n)
		n = copyup(r->u, &to, COPYUP_ALL);
	if (!n)
		n = node_file(r->u, to.node, &file);
	if (!n) {
		n = copy_range_to(r->u, &from, in->off_in, file->fd, in->off_out, in->len);
		fdcache_put(&r->u->fds, file);
		if (n > 0)
			kill_for_caller(r, to.node);
	}
	inode_unpin(r->u, &from);
	inode_unpin(r->u, &to);
	if (n < 0)
		return request_fail(r, (int)n);
	o.size = (uint32_t)n;
	return request_reply(r, 0, &o, sizeof(o));
}
