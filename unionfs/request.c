/* SPDX-License-Identifier: Apache-2.0 */
#include "unionfs/request.h"

#include "base/err.h"
#include "base/mem.h"

#include <errno.h>
#include <sys/sysmacros.h>

size_t request_gather(const struct request *r, size_t off, void *dst, size_t len)
{
	struct iovec piece[REQUEST_IOV_MAX];
	int n = request_slice(r->in, r->nin, off, len, piece);
	size_t done = 0;

	for (int i = 0; i < n; i++) {
		memcpy((char *)dst + done, piece[i].iov_base, piece[i].iov_len);
		done += piece[i].iov_len;
	}
	return done;
}

int request_slice(const struct iovec *iov, int n, size_t off, size_t len, struct iovec *ret)
{
	int count = 0;

	for (; n > 0 && len && count < (int)REQUEST_IOV_MAX; iov++, n--) {
		size_t skip = MIN(off, iov->iov_len), take = MIN(len, iov->iov_len - skip);

		off -= skip;
		len -= take;
		if (take)
			ret[count++] = (struct iovec){ (char *)iov->iov_base + skip, take };
	}
	return count;
}

static size_t iov_total(const struct iovec *iov, int n)
{
	size_t total = 0;

	for (; n > 0; iov++, n--)
		total += iov->iov_len;
	return total;
}

static size_t scatter(const struct request *r, size_t off, const void *src, size_t len)
{
	struct iovec piece[REQUEST_IOV_MAX];
	int n = request_slice(r->out, r->nout, off, len, piece);
	size_t done = 0;

	for (int i = 0; i < n; i++) {
		memcpy(piece[i].iov_base, (const char *)src + done, piece[i].iov_len);
		done += piece[i].iov_len;
	}
	return done;
}

size_t request_room(const struct request *r)
{
	size_t total = iov_total(r->out, r->nout);

	return total > sizeof(struct wire_out_header) ? total - sizeof(struct wire_out_header) : 0;
}

ssize_t request_reply(const struct request *r, int e, const void *body, size_t len)
{
	struct wire_out_header h = { .error = e, .unique = r->h.unique };

	/* the index is not what it was: for the client a disk that fails */
	if (e == -EBADMSG || (e == -EIO && err_text())) {
		verify_tell("%s", err_take(e));
		h.error = -EIO;
	}
	if (e < -4095 || e > 0)
		h.error = -EIO;
	if (h.error)
		len = 0;
	if (len > request_room(r)) {
		h.error = -ERANGE;
		len = 0;
	}
	h.len = (uint32_t)(sizeof(h) + len);
	if (scatter(r, 0, &h, sizeof(h)) < sizeof(h))
		return -ENOSPC;
	if (len && scatter(r, sizeof(h), body, len) < len)
		return -ENOSPC;
	return h.len;
}

ssize_t request_done(const struct request *r, size_t len)
{
	struct wire_out_header h = { .len = (uint32_t)(sizeof(h) + len), .unique = r->h.unique };

	return scatter(r, 0, &h, sizeof(h)) < sizeof(h) ? -ENOSPC : (ssize_t)h.len;
}

void request_forget_attr(const struct request *r)
{
	const struct wire_notify_inval_inode body = { .nodeid = r->h.nodeid, .off = -1 };
	const struct wire_out_header h = { .len = sizeof(h) + sizeof(body),
					   .error = WIRE_NOTIFY_INVAL_INODE };
	const struct iovec iov[2] = { { (void *)&h, sizeof(h) }, { (void *)&body, sizeof(body) } };

	/* A carrier without it (virtio-fs) has a client that asks when it reads next. */
	if (r->conn->carrier.notify)
		r->conn->carrier.notify(r->conn->ctx, iov, 2);
}

/* The kernel's new_encode_dev(): 12 bits of major, 20 of minor. */
static uint32_t encode_dev(dev_t d)
{
	return (minor(d) & 0xff) | (major(d) << 8) | ((minor(d) & ~0xffu) << 12);
}

static void fill_attr(const struct request *r, uint64_t nodeid, struct wire_attr *a,
		      const struct stat *st)
{
	const struct ufs *u = r->u;

	*a = (struct wire_attr){
		.ino = st->st_ino,
		.size = (uint64_t)st->st_size,
		.blocks = (uint64_t)st->st_blocks,
		.atime = (uint64_t)st->st_atim.tv_sec,
		.mtime = (uint64_t)st->st_mtim.tv_sec,
		.ctime = (uint64_t)st->st_ctim.tv_sec,
		.atimensec = (uint32_t)st->st_atim.tv_nsec,
		.mtimensec = (uint32_t)st->st_mtim.tv_nsec,
		.ctimensec = (uint32_t)st->st_ctim.tv_nsec,
		.mode = st->st_mode,
		.nlink = (uint32_t)st->st_nlink,
		.uid = ids_show(&u->uids, st->st_uid),
		.gid = ids_show(&u->gids, st->st_gid),
		.rdev = encode_dev(st->st_rdev),
		.blksize = 4096,
	};
	if (u->static_nlink && S_ISDIR(st->st_mode))
		a->nlink = 1;
	if ((r->conn->flags & WIRE_HAS_INODE_DAX) && S_ISREG(st->st_mode) &&
	    dax_takes(r->u, nodeid))
		a->flags = WIRE_ATTR_DAX;
}

struct perm request_owner(const struct request *r, uint32_t mode)
{
	return (struct perm){ .mode = mode,
			      .uid = ids_store(&r->u->uids, r->h.uid),
			      .gid = ids_store(&r->u->gids, r->h.gid) };
}

ssize_t request_reply_attr(const struct request *r, const struct stat *st)
{
	struct wire_attr_out o = { .attr_valid = (uint64_t)r->u->valid.tv_sec,
				   .attr_valid_nsec = (uint32_t)r->u->valid.tv_nsec };

	fill_attr(r, r->h.nodeid, &o.attr, st);
	return request_reply(r, 0, &o, sizeof(o));
}

void request_entry(const struct request *r, uint64_t nodeid, const struct stat *st,
		   struct wire_entry_out *ret)
{
	uint64_t sec = (uint64_t)r->u->valid.tv_sec;
	uint32_t nsec = (uint32_t)r->u->valid.tv_nsec;

	*ret = (struct wire_entry_out){
		.nodeid = nodeid,
		.entry_valid = sec,
		.attr_valid = sec,
		.entry_valid_nsec = nsec,
		.attr_valid_nsec = nsec,
	};
	fill_attr(r, nodeid, &ret->attr, st);
}

ssize_t request_reply_entry(const struct request *r, uint64_t nodeid, const struct stat *st)
{
	struct wire_entry_out o;

	request_entry(r, nodeid, st, &o);
	return request_reply(r, 0, &o, sizeof(o));
}

ssize_t request_reply_absent(const struct request *r)
{
	struct wire_entry_out o = { .entry_valid = (uint64_t)r->u->valid.tv_sec,
				    .entry_valid_nsec = (uint32_t)r->u->valid.tv_nsec };

	return request_reply(r, 0, &o, sizeof(o));
}
