/* SPDX-License-Identifier: Apache-2.0 */
/* What is typed for a command: into its pipe or its terminal, at the pace at which it reads. */
#ifndef RUNTIME_TYPED_H
#define RUNTIME_TYPED_H

#include "base/loop.h"
#include <stdbool.h>
#include <stddef.h>

#define TYPED_MAX 4096 /* bytes at a time */

struct typed {
	struct loop *loop;
	int fd; /* the typed's own, which does not block; -1: nobody reads */
	bool tty;
	/* All is taken again. */
	void (*taken)(void *ctx);
	void *ctx;

	bool waits, ends;
	size_t off, len; /* what the command has not taken yet */
	char buf[TYPED_MAX];
};

/* Whether there is something that the command has not taken: then nothing more can be put. */
bool typed_busy(const struct typed *t);
/* At most TYPED_MAX bytes; a command that reads no more gets nothing. */
void typed_put(struct typed *t, const char *data, size_t len);
/* There will be no more, which a terminal tells by a character. */
void typed_end(struct typed *t);
void typed_close(struct typed *t);

#endif
