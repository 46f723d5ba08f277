/* SPDX-License-Identifier: Apache-2.0 */
#include "layer/out.h"

#include "base/err.h"
#include "base/fd.h"
#include <assert.h>

#define ROOM (256u << 10)

int out_init(struct out *o, int fd)
{
	*o = (struct out){ .fd = fd, .buf = malloc(ROOM) };
	return o->buf ? 0 : -ENOMEM;
}

void out_done(struct out *o)
{
	free(o->buf);
	o->buf = NULL;
}

int out_flush(struct out *o)
{
	if (!o->failed && o->used) {
		o->failed = fd_pwrite_full(o->fd, o->buf, o->used, (off_t)o->done);
		if (o->failed)
			err(o->failed, "writing an index: %s", strerror(-o->failed));
	}
	o->done += o->used;
	o->used = 0;
	return o->failed;
}

/* As many of @len bytes as the buffer has room for, at *@ret. */
static size_t room(struct out *o, uint64_t len, uint8_t **ret)
{
	size_t n;

	if (o->used == ROOM)
		out_flush(o);
	n = len < ROOM - o->used ? (size_t)len : ROOM - o->used;
	*ret = o->buf + o->used;
	o->used += n;
	return n;
}

void out_write(struct out *o, const void *data, size_t len)
{
	const uint8_t *from = data;
	uint8_t *to;

	while (len) {
		size_t n = room(o, len, &to);

		memcpy(to, from, n);
		from += n;
		len -= n;
	}
}

void out_zero_to(struct out *o, uint64_t off)
{
	uint64_t at = o->done + o->used;
	uint8_t *to;

	assert(at <= off);
	while (at < off) {
		size_t n = room(o, off - at, &to);

		memset(to, 0, n);
		at += n;
	}
}
