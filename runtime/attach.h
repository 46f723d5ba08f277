/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Those who attached to an instance: what it prints goes to each of them, what they type to it
 * (docs/formats/instance.md, "attach").
 *
 * One that does not take what is printed holds the instance back, as a full pipe does, for
 * ATTACH_PATIENCE_MS; then it is let go.
 */
#ifndef RUNTIME_ATTACH_H
#define RUNTIME_ATTACH_H

#include "base/list.h"
#include "runtime/runtime.h"
#include "runtime/typed.h"

#define ATTACH_MAX 64 /* at a time */

struct attachments {
	struct loop *loop;
	struct typed typed;
	/* Called when someone is full, and when nobody is any more; gives what a callback gives. */
	int (*hold)(void *ctx, bool held);
	void *ctx;

	struct list list;
	size_t n, nfull;
	int timer; /* for those who are full */
};

/* Ones that attachments_done() may be given. */
void attachments_none(struct attachments *a);
/*
 * @input: what the command reads (a pipe's end, a terminal's master), taken over; -1 = nothing that
 * gets there.
 */
int attachments_init(struct attachments *a, int input, bool tty);
/* One more: the end of a socket that is theirs. -EUSERS: there are ATTACH_MAX. */
int attachments_add(struct attachments *a, int *ret_fd);
/* What was printed, at most ATTACH_CHUNK bytes; not while one is full. */
void attachments_give(struct attachments *a, enum attach_message stream, const char *data,
		      size_t len);
/* Lets go those who are full. */
int attachments_drop_full(struct attachments *a);
bool attachments_full(const struct attachments *a);
/* Tells all that this was the end. */
void attachments_done(struct attachments *a);

#endif
