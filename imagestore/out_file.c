/* SPDX-License-Identifier: Apache-2.0 */
#include "imagestore/out_file.h"

#define BUFFER (128u << 10)
#define DIRECT (64u << 10) /* not copied when nothing waits before it */

int out_file_open(struct txn *t, bool hashed, struct out_file *ret)
{
	struct out_file o = { .t = t, .hashed = hashed };

	o.fd = txn_create(t, &o.name);
	if (o.fd < 0)
		return o.fd;
	if (hashed)
		sha256_init(&o.hash);
	*ret = o;
	return 0;
}

static int flush(struct out_file *o)
{
	int r = fd_write_full(o->fd, o->buf, o->used);

	o->used = 0;
	return r < 0 ? txn_write_err(o->t, r) : 0;
}

int out_file_write(struct out_file *o, const void *data, size_t len)
{
	int r = 0;

	if (o->hashed)
		sha256_update(&o->hash, data, len);
	o->size += len;
	if (len > BUFFER - o->used)
		r = flush(o);
	if (r < 0)
		return r;
	if (len >= DIRECT && !o->used) {
		r = fd_write_full(o->fd, data, len);
		return r < 0 ? txn_write_err(o->t, r) : 0;
	}
	if (!o->buf && !(o->buf = malloc(BUFFER)))
		return -ENOMEM;
	memcpy(o->buf + o->used, data, len);
	o->used += len;
	return 0;
}

int out_file_hole(struct out_file *o, uint64_t len)
{
	static const uint8_t zeros[64 << 10];
	int r = flush(o);

	for (uint64_t left = o->hashed ? len : 0; left;) {
		size_t n = (size_t)MIN(left, (uint64_t)sizeof(zeros));

		sha256_update(&o->hash, zeros, n);
		left -= n;
	}
	o->size += len;
	if (r >= 0 &&
	    (lseek(o->fd, (off_t)len, SEEK_CUR) < 0 || ftruncate(o->fd, (off_t)o->size) < 0))
		r = txn_write_err(o->t, -errno);
	return r;
}

int out_file_close(struct out_file *o, struct digest *ret_digest)
{
	int r = flush(o);

	if (r >= 0 && close(o->fd) < 0)
		r = txn_write_err(o->t, -errno);
	else if (r < 0)
		fd_close(o->fd);
	o->fd = -1;
	if (r >= 0 && ret_digest)
		*ret_digest = sha256_final(&o->hash);
	free(take_ptr(o->buf));
	return r;
}

void out_file_drop(struct out_file *o)
{
	if (!o->t)
		return;
	o->fd = fd_close(o->fd);
	free(take_ptr(o->buf));
	if (*o->name.s)
		unlinkat(o->t->dirfd, o->name.s, 0);
	o->t = NULL;
}

int out_file_name(struct out_file *o, const char *path)
{
	if (renameat2(o->t->dirfd, o->name.s, o->t->dirfd, path, RENAME_NOREPLACE) < 0)
		return txn_write_err(o->t, -errno);
	o->name.s[0] = '\0';
	return 0;
}
