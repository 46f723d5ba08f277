/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One request: the header, the fixed argument and the names are copied out of the client's memory
 * once and checked once; payloads stay where they are and are taken by request_gather() or
 * request_payload().
 */
#ifndef UNIONFS_REQUEST_H
#define UNIONFS_REQUEST_H

#include "unionfs/union.h"
#include "unionfs/wire.h"

#include <sys/stat.h>

#define REQUEST_ARG_MAX \
	8192u		     /* fixed argument and names: two names of 1,024 or a target of 4,096 */
#define REQUEST_IOV_MAX 320u /* pieces of a payload: 256 pages and their headers */

struct ufs_conn {
	struct ufs *u;
	struct ufs_carrier carrier;
	void *ctx;
	_Atomic bool ready;	/* INIT was answered */
	_Atomic uint64_t flags; /* what INIT agreed on */
	/*
	 * Of the directory last listed without attributes: its entries, the LOOKUPs since; whether
	 * to give them now.
	 */
	_Atomic uint32_t walk_listed, walk_looked, walk_filled;
	_Atomic bool walk_fills;
};

struct journal_slot;

/* As ufs_serve(), with the journal's slot of the calling thread, or NULL. */
ssize_t request_serve(struct ufs_conn *c, struct journal_slot *slot, const struct iovec *in,
		      int nin, const struct iovec *out, int nout);

struct request {
	struct ufs_conn *conn;
	struct ufs *u;
	struct wire_in_header h;
	const void *arg;     /* the fixed argument, at least as long as the table says */
	const char *name[2]; /* NUL-terminated */
	size_t namelen[2];
	size_t payload; /* where the payload begins, in bytes from the header's start */
	const struct iovec *in, *out;
	int nin, nout;
	struct journal_slot *noting; /* a change whose handler notes it; NULL: none, or noted */
	union {
		char bytes[REQUEST_ARG_MAX];
		uint64_t align;
	} buf;
};

/* Copies @len bytes from @off of the request: the count that was there. */
size_t request_gather(const struct request *r, size_t off, void *dst, size_t len);
/*
 * The pieces of @iov[0..n) that hold @len bytes from @off, at most REQUEST_IOV_MAX: their number.
 */
int request_slice(const struct iovec *iov, int n, size_t off, size_t len, struct iovec *ret);
/* Bytes that a reply's body can have. */
size_t request_room(const struct request *r);

/* A change failed when a part of it may be done: the client shall ask for the attributes again. */
void request_forget_attr(const struct request *r);

/*
 * The handler of a change of names has looked: these nodeids stand there, 0 = nothing. Before its
 * first step, with the lock under which it looked: a server that takes over asks for them again.
 */
void request_note(struct request *r, uint64_t first, uint64_t second);

/* Replies: each gives what ufs_serve() gives. @e is 0 or -errno. */
ssize_t request_reply(const struct request *r, int e, const void *body, size_t len);
/* Writes the header of a reply whose body of @len bytes stands already in the out pieces. */
ssize_t request_done(const struct request *r, size_t len);
static inline ssize_t request_fail(const struct request *r, int e)
{
	return request_reply(r, e, NULL, 0);
}

/* The answer that names an entry, as the client sees it. */
void request_entry(const struct request *r, uint64_t nodeid, const struct stat *st,
		   struct wire_entry_out *ret);
/* Who makes something, as it is stored. */
struct perm request_owner(const struct request *r, uint32_t mode);
ssize_t request_reply_attr(const struct request *r, const struct stat *st);
ssize_t request_reply_entry(const struct request *r, uint64_t nodeid, const struct stat *st);
/* "There is no such name", to be remembered by the client. */
ssize_t request_reply_absent(const struct request *r);

/* The handlers, one a row of the table in serve.c. */
ssize_t op_init(struct request *r);
ssize_t op_lookup(struct request *r);
ssize_t op_forget(struct request *r);
ssize_t op_batch_forget(struct request *r);
ssize_t op_getattr(struct request *r);
ssize_t op_statx(struct request *r);
ssize_t op_setattr(struct request *r);
ssize_t op_statfs(struct request *r);
ssize_t op_readlink(struct request *r);
ssize_t op_symlink(struct request *r);
ssize_t op_mknod(struct request *r);
ssize_t op_mkdir(struct request *r);
ssize_t op_tmpfile(struct request *r);
ssize_t op_link(struct request *r);
ssize_t op_unlink(struct request *r);
ssize_t op_rmdir(struct request *r);
ssize_t op_rename(struct request *r);
ssize_t op_rename2(struct request *r);
ssize_t op_read(struct request *r);
ssize_t op_write(struct request *r);
ssize_t op_fsync(struct request *r);
ssize_t op_fsyncdir(struct request *r);
ssize_t op_syncfs(struct request *r);
ssize_t op_setupmapping(struct request *r);
ssize_t op_removemapping(struct request *r);
ssize_t op_fallocate(struct request *r);
ssize_t op_lseek(struct request *r);
ssize_t op_copy_file_range(struct request *r);
ssize_t op_setxattr(struct request *r);
ssize_t op_ioctl(struct request *r);
ssize_t op_getxattr(struct request *r);
ssize_t op_listxattr(struct request *r);
ssize_t op_removexattr(struct request *r);
ssize_t op_readdir(struct request *r);
ssize_t op_readdirplus(struct request *r);

#endif
