/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/keep.h"

#include "base/mem.h"
#include <stdarg.h>
#include <stdio.h>

void keep_done(struct keep *a)
{
	while (a->n)
		free(a->all[--a->n]);
	free(a->all);
	*a = (struct keep){ 0 };
}

void *keep_take(struct keep *a, void *p)
{
	if (p && mem_grow(&a->all, &a->cap, a->n + 1, sizeof(*a->all)) < 0) {
		free(p);
		return NULL;
	}
	if (p)
		a->all[a->n++] = p;
	return p;
}

void *keep_new(struct keep *a, size_t n, size_t size)
{
	return keep_take(a, mem_new(n, size));
}

char *keep_fmt(struct keep *a, const char *fmt, ...)
{
	va_list ap;
	char *text;
	int n;

	va_start(ap, fmt);
	n = vasprintf(&text, fmt, ap);
	va_end(ap);
	return n < 0 ? NULL : keep_take(a, text);
}
