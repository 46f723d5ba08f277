/* SPDX-License-Identifier: Apache-2.0 */
/* Memory that is freed together: what a config is turned into. All-zero is an empty one. */
#ifndef OCI_KEEP_H
#define OCI_KEEP_H

#include <stddef.h>

struct keep {
	void **all;
	size_t n, cap;
};

void keep_done(struct keep *a);
/* Zeroed, or NULL. */
void *keep_new(struct keep *a, size_t n, size_t size);
/* A formatted string, or NULL. */
char *keep_fmt(struct keep *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Takes over what is on the heap; NULL (and freed) without memory. */
void *keep_take(struct keep *a, void *p);

#endif
