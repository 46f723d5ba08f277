/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"

#include "base/mem.h"
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

void buf_done(struct buf *b)
{
	if (!b)
		return;
	free(b->data);
	*b = (struct buf){ 0 };
}

void buf_reset(struct buf *b)
{
	b->len = 0;
	b->failed = false;
	if (b->data)
		b->data[0] = '\0';
}

static int buf_fail(struct buf *b)
{
	b->failed = true;
	return -ENOMEM;
}

/* Room for @len more bytes and the NUL; not mem_grow(), which would touch every new page. */
static int buf_grow(struct buf *b, size_t len)
{
	size_t need, cap;
	char *grown;

	if (b->failed || __builtin_add_overflow(b->len, len, &need) || need >= PTRDIFF_MAX)
		return buf_fail(b);
	need++;
	if (need <= b->cap)
		return 0;
	cap = MAX(need, (size_t)64);
	if (b->cap <= PTRDIFF_MAX / 2)
		cap = MAX(cap, b->cap * 2);
	grown = realloc(b->data, cap);
	if (!grown)
		return buf_fail(b);
	b->data = grown;
	b->cap = cap;
	b->data[b->len] = '\0';
	return 0;
}

int buf_add(struct buf *b, const void *data, size_t len)
{
	int r = buf_grow(b, len);

	if (r < 0)
		return r;
	if (len)
		memcpy(b->data + b->len, data, len);
	b->len += len;
	b->data[b->len] = '\0';
	return 0;
}

int buf_addc(struct buf *b, char c)
{
	return buf_add(b, &c, 1);
}

int buf_adds(struct buf *b, const char *s)
{
	return buf_add(b, s, strlen(s));
}

int buf_addf(struct buf *b, const char *fmt, ...)
{
	va_list ap;
	int n, r;

	va_start(ap, fmt);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0)
		return buf_fail(b);
	r = buf_grow(b, (size_t)n);
	if (r < 0)
		return r;
	va_start(ap, fmt);
	vsnprintf(b->data + b->len, (size_t)n + 1, fmt, ap);
	va_end(ap);
	b->len += (size_t)n;
	return 0;
}

void *buf_reserve(struct buf *b, size_t len)
{
	return buf_grow(b, len) < 0 ? NULL : b->data + b->len;
}

int buf_zero(struct buf *b, size_t len)
{
	int r = buf_grow(b, len);

	if (r < 0)
		return r;
	memset(b->data + b->len, 0, len + 1);
	b->len += len;
	return 0;
}

char *buf_take(struct buf *b)
{
	char *data;

	/* Of an empty buf, too, the bytes are a string. */
	if (!b->data)
		buf_grow(b, 0);
	data = b->failed ? NULL : take_ptr(b->data);
	buf_done(b);
	return data;
}
