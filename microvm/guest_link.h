/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages to and from the guest's init over a stream socket, which never blocks: what the control
 * port and the sessions share. All that comes is the guest's word.
 */
#ifndef MICROVM_GUEST_LINK_H
#define MICROVM_GUEST_LINK_H

#include "base/buf.h"
#include "microvm/guest/protocol.h"
#include <stdbool.h>

struct guest_link {
	int fd;		/* its own */
	struct buf out; /* what the socket has not taken yet */
	size_t out_off;
	uint8_t *in; /* the owner's, of @in_size bytes: a head and the longest message */
	size_t in_size;
	size_t in_at, in_len; /* where the next message begins, where what has come ends */
};

void guest_link_done(struct guest_link *l);

/* To be sent by the next flush: 0, or -errno with a text. */
int guest_link_add(struct guest_link *l, enum guest_message type, const void *body, size_t len);
bool guest_link_waits(const struct guest_link *l);
/* 0 also when the socket takes no more for now; -errno. */
int guest_link_flush(struct guest_link *l);

/* Sends what waits and takes what has come: 1, 0 = nothing, -EPIPE = the guest's end has gone. */
int guest_link_take(struct guest_link *l);
/* The message at the front, if it is whole: 1, 0 = not yet, -EPROTO = longer than any may be. */
int guest_link_front(const struct guest_link *l, struct guest_head *ret_head,
		     const uint8_t **ret_body);
/* That one is done with; its bytes stay until guest_link_take(). */
void guest_link_next(struct guest_link *l, const struct guest_head *head);

/* 0 or -EPROTO. */
int guest_exited_read(const uint8_t *body, size_t len, int *ret_status);
/* With one printable line in @text. */
int guest_failed_read(const uint8_t *body, size_t len, int *ret_error, int *ret_status,
		      char text[256]);

#endif
