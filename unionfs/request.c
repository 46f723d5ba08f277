/* SPDX-License-Identifier: Apache-2.0 */
#include "unionfs/request.h"

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

/* The kernel's new_encode_dev(): 12 bits of major, 20 of minor. */
static uint32_t encode_dev(dev_t d)
{
	return (minor(d) & 0xff) | (major(d) << 8) | ((minor(d) & ~0xffu) << 12);
}

void wire_attr_fill(struct wire_attr *a, const struct stat *st)
{
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
		.uid = st->st_uid,
		.gid = st->st_gid,
		.rdev = encode_dev(st->st_rdev),
		.blksize = 4096,
	};
}

ssize_t request_reply_attr(const struct request *r, const struct stat *st)
{
	struct wire_attr_out o = { .attr_valid = request_valid(r) };

	wire_attr_fill(&o.attr, st);
	return request_reply(r, 0, &o, sizeof(o));
}

ssize_t request_reply_entry(const struct request *r, uint64_t nodeid, const struct stat *st)
{
	struct wire_entry_out o = {
		.nodeid = nodeid,
		.entry_valid = request_valid(r),
		.attr_valid = request_valid(r),
	};

	wire_attr_fill(&o.attr, st);
	return request_reply(r, 0, &o, sizeof(o));
}

ssize_t request_reply_absent(const struct request *r)
{
	struct wire_entry_out o = { .entry_valid = request_valid(r) };

	return request_reply(r, 0, &o, sizeof(o));
}
