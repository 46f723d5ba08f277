/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Images that are usable before they are here: docs/formats/lazy.md. Part of imagestore.h. What the
 * store has is whole; what arrives stands beside it until it is.
 */
#ifndef IMAGESTORE_ARRIVING_H
#define IMAGESTORE_ARRIVING_H

#include "imagestore/image.h"
#include "imagestore/mounting.h"

/* ---- which there are (read side) ---- */

/*
 * The image that arrives under @ref, as image_open() finds one: -ENOENT without a text when none
 * does, or it is whole by now.
 */
int arriving_open(struct store *s, const char *ref, struct image **ret);
/* Calls @fn for each; ends early on a value other than 0 and gives it. */
int arriving_each(struct store *s, int (*fn)(void *ctx, struct image *i), void *ctx);
/* Whether this chain can be had by stack_open_arriving(). */
bool arriving_has_chain(struct store *s, const struct digest *diff_ids, size_t n);

/* ---- serving one (read side) ---- */

/*
 * As stack_open(), and the chain of an image that arrives is taken, too: then ret->arriving says
 * which, and only a union that asks for what is missing can serve it. That one has its sums.
 */
int stack_open_arriving(struct store *s, const struct digest *diff_ids, size_t n,
			struct stack *ret);

/* What a serving process asks by, out of descriptors that it was handed. */
struct arrival_reader;
/*
 * @desk_fd: arrival_desk_new()'s; @door_fd: one end of a SOCK_SEQPACKET whose other end is the
 * fetcher's. All stay the caller's and must outlive it.
 */
int arrival_reader_new(int table_fd, int state_fd, int desk_fd, int door_fd,
		       struct arrival_reader **ret);
void arrival_reader_free(struct arrival_reader *r);
/* Who waits gets -EIO now, and so does who comes. From any thread. */
void arrival_reader_shut(struct arrival_reader *r);
/* Whether inode @nid's content is one that arrives; *@ret_at: where it lies in the data. */
bool arrival_find(void *reader, uint64_t nid, uint64_t *ret_at);
/*
 * Waits until bytes [@off, @off + @len) of it are there: 0, or -EIO, and why is in the log of who
 * fetches. From any thread.
 */
int arrival_need(void *reader, uint64_t nid, uint64_t off, uint64_t len);

/* The desk, an anonymous file; *@ret_fd is the caller's. */
int arrival_desk_new(int *ret_fd);
/* Nobody will fetch any more: who waits gets -EIO, and so does who comes. */
void arrival_desk_shut(int desk_fd);

/* ---- fetching (write side) ---- */

/*
 * Fetches what is asked for at the desk until the door's other end is closed, and meanwhile brings
 * all the rest, as image_pull() does. @desk_fd -1: the rest alone. -ENOENT: no such image arrives.
 */
int arriving_fetch(struct store *s, const struct digest *manifest, int desk_fd, int door_fd);
/* What an earlier run read first of it, when that is known, by few requests. */
void arriving_prefetch(struct store *s, const struct digest *manifest);

#endif
