/* SPDX-License-Identifier: Apache-2.0 */
/*
 * unionfs: one writable top over read-only lowers, served as FUSE requests (Linux
 * include/uapi/linux/fuse.h, 7.31 and later) that any carrier brings: /dev/fuse, a guest's
 * virtio-fs queue, a vhost-user socket.
 *
 * The life of a union: ufs_new() takes lowers and a top; ufs_conn_new() makes one connection over
 * it; threads call ufs_serve() with one request each, at the same time if they like;
 * ufs_conn_free(), then ufs_free(). Nothing is kept per open file (no-open mode): OPEN, OPENDIR and
 * CREATE answer ENOSYS.
 *
 * The client is hostile: names and lengths are checked once, in a table, before any handler; a
 * nodeid is a key, never a pointer. A lower is never written. A serving thread never aborts; what
 * fails is the errno of that one request.
 *
 * Its nouns stand in headers of their own, which this one includes: other rooms include this one
 * alone.
 *
 * Lock order, and what each lock guards: unionfs/node.h. On disk (upper, work, xattrs):
 * docs/formats/union.md.
 */
#ifndef UNIONFS_UNIONFS_H
#define UNIONFS_UNIONFS_H

#include "unionfs/config.h"
#include "unionfs/mount.h"
#include "unionfs/top.h"

#include <stdint.h>
#include <sys/uio.h>

struct ufs;
struct ufs_conn;

/*
 * Takes the top for this process (-EBUSY: another one has it) and clears away what a killed one
 * left. A text is attached to each error (base/err.h). ufs_free() syncs the top, unless volatile.
 */
int ufs_new(const struct ufs_config *cfg, struct ufs **ret);
void ufs_free(struct ufs *u);
/*
 * The client goes on later: what it knows and has no name any more outlives ufs_free(), for who
 * begins with recover.
 */
void ufs_leave(struct ufs *u);
/* From now on clients change nothing: EROFS. From any thread. */
void ufs_set_rdonly(struct ufs *u);

/*
 * What a carrier can do beside bringing requests; each may be NULL. @ctx is the one given to
 * ufs_conn_new().
 */
struct ufs_carrier {
	/* Sends a notification (a fuse_out_header with unique 0 and its body). */
	int (*notify)(void *ctx, const struct iovec *iov, int n);
	/*
	 * Maps [@off, @off + @len) of @fd at @at in the DAX window, in place of what is there /
	 * unmaps. @dax_len is the window's length, a multiple of 2 MiB; 0 = there is none. Of
	 * stored objects, and of what becomes of them when they are written to.
	 */
	uint64_t dax_len;
	int (*dax_map)(void *ctx, int fd, uint64_t off, uint64_t at, uint64_t len, bool write);
	int (*dax_unmap)(void *ctx, uint64_t at, uint64_t len);
};

struct ufs_conn *ufs_conn_new(struct ufs *u, const struct ufs_carrier *carrier, void *ctx);
void ufs_conn_free(struct ufs_conn *c);
/*
 * What the client and this connection have agreed on, for another one to go on with: 0 = nothing
 * yet. With ufs_config.recover the client need not notice that it is another.
 */
uint64_t ufs_conn_agreed(const struct ufs_conn *c);
void ufs_conn_resume(struct ufs_conn *c, uint64_t agreed);

/*
 * Serves one request: decodes @in, does it, writes the reply (with its fuse_out_header) into @out.
 * Gives the length of the reply, 0 when the request has none (FORGET), or -errno when there is no
 * room for a reply at all or the request is shorter than its header (the carrier then drops it).
 * @in may change under us (guest memory): it is copied once.
 */
ssize_t ufs_serve(struct ufs_conn *c, const struct iovec *in, int nin, const struct iovec *out,
		  int nout);

#endif
