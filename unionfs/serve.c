/* SPDX-License-Identifier: Apache-2.0 */
#include "base/err.h"
#include "base/mem.h"
#include "unionfs/foreign.h"
#include "unionfs/protect.h"
#include "unionfs/recover.h"
#include "unionfs/request.h"
#include "unionfs/union.h"

static ssize_t op_ok(struct request *r)
{
	return request_reply(r, 0, NULL, 0);
}

/* FORGET's kind, and INTERRUPT: nothing here waits for anything that an interrupt could end. */
static ssize_t op_silent(struct request *r)
{
	(void)r;
	return 0;
}

static ssize_t op_nosys(struct request *r)
{
	return request_fail(r, -ENOSYS);
}

/*
 * Without a message the client keeps what it lists until the directory's time is another. Where
 * others change the lowers, that is the time of its topmost part alone.
 */
static ssize_t op_opendir(struct request *r)
{
	const struct wire_open_out kept_by_nobody = { 0 };

	if (!r->u->others || r->u->mode == UFS_UPPER_PLAIN)
		return op_nosys(r);
	return request_reply(r, 0, &kept_by_nobody, sizeof(kept_by_nobody));
}

static ssize_t op_destroy(struct request *r)
{
	r->conn->ready = false;
	return request_reply(r, 0, NULL, 0);
}

/*
 * Everything Linux sends. `names` are the strings behind the fixed argument: n a name in a
 * directory, t a symbolic link's target, x the name of an extended attribute. `changes`: refused
 * with EROFS on a union without a top.
 */
static const struct op {
	ssize_t (*fn)(struct request *r);
	uint16_t fixed;
	char names[3];
	bool changes;
} ops[WIRE_OPCODES] = {
	[WIRE_LOOKUP] = { op_lookup, 0, "n" },
	[WIRE_FORGET] = { op_forget, sizeof(struct wire_forget_in) },
	[WIRE_GETATTR] = { op_getattr, sizeof(struct wire_getattr_in) },
	[WIRE_SETATTR] = { op_setattr, sizeof(struct wire_setattr_in), "", true },
	[WIRE_READLINK] = { op_readlink },
	[WIRE_SYMLINK] = { op_symlink, 0, "nt", true },
	[WIRE_MKNOD] = { op_mknod, sizeof(struct wire_mknod_in), "n", true },
	[WIRE_MKDIR] = { op_mkdir, sizeof(struct wire_mkdir_in), "n", true },
	[WIRE_UNLINK] = { op_unlink, 0, "n", true },
	[WIRE_RMDIR] = { op_rmdir, 0, "n", true },
	[WIRE_RENAME] = { op_rename, sizeof(struct wire_rename_in), "nn", true },
	[WIRE_LINK] = { op_link, sizeof(struct wire_link_in), "n", true },
	[WIRE_OPEN] = { op_nosys },
	[WIRE_READ] = { op_read, sizeof(struct wire_read_in) },
	[WIRE_WRITE] = { op_write, sizeof(struct wire_write_in), "", true },
	[WIRE_STATFS] = { op_statfs },
	[WIRE_RELEASE] = { op_ok },
	[WIRE_FSYNC] = { op_fsync, sizeof(struct wire_fsync_in) },
	[WIRE_SETXATTR] = { op_setxattr, sizeof(struct wire_setxattr_in), "x", true },
	[WIRE_GETXATTR] = { op_getxattr, sizeof(struct wire_getxattr_in), "x" },
	[WIRE_LISTXATTR] = { op_listxattr, sizeof(struct wire_getxattr_in) },
	[WIRE_REMOVEXATTR] = { op_removexattr, 0, "x", true },
	[WIRE_FLUSH] = { op_nosys },
	[WIRE_INIT] = { op_init, offsetof(struct wire_init_in, flags2) },
	[WIRE_OPENDIR] = { op_opendir },
	[WIRE_READDIR] = { op_readdir, sizeof(struct wire_read_in) },
	[WIRE_RELEASEDIR] = { op_ok },
	[WIRE_FSYNCDIR] = { op_fsyncdir, sizeof(struct wire_fsync_in) },
	[WIRE_ACCESS] = { op_nosys },
	[WIRE_CREATE] = { op_nosys },
	[WIRE_INTERRUPT] = { op_silent },
	[WIRE_DESTROY] = { op_destroy },
	[WIRE_IOCTL] = { op_ioctl, sizeof(struct wire_ioctl_in) },
	[WIRE_BATCH_FORGET] = { op_batch_forget, sizeof(struct wire_batch_forget_in) },
	[WIRE_FALLOCATE] = { op_fallocate, sizeof(struct wire_fallocate_in), "", true },
	[WIRE_READDIRPLUS] = { op_readdirplus, sizeof(struct wire_read_in) },
	[WIRE_RENAME2] = { op_rename2, sizeof(struct wire_rename2_in), "nn", true },
	[WIRE_LSEEK] = { op_lseek, sizeof(struct wire_lseek_in) },
	[WIRE_COPY_FILE_RANGE] = { op_copy_file_range, sizeof(struct wire_copy_file_range_in), "",
				   true },
	[WIRE_SETUPMAPPING] = { op_setupmapping, sizeof(struct wire_setupmapping_in) },
	[WIRE_REMOVEMAPPING] = { op_removemapping, sizeof(struct wire_removemapping_in) },
	[WIRE_SYNCFS] = { op_syncfs },
	[WIRE_TMPFILE] = { op_tmpfile, sizeof(struct wire_create_in), "", true },
	[WIRE_STATX] = { op_statx, sizeof(struct wire_statx_in) },
};

static int check_name(char kind, const char *s, size_t len)
{
	if (!len)
		return kind == 't' ? -ENOENT : -EINVAL;
	if (kind == 't')
		return len > UFS_TARGET_MAX ? -ENAMETOOLONG : 0;
	if (kind == 'x')
		return len > UFS_NAME_MAX ? -ERANGE : 0;
	if (len > UFS_NAME_MAX)
		return -ENAMETOOLONG;
	if (memchr(s, '/', len) || !strcmp(s, ".") || !strcmp(s, ".."))
		return -EINVAL;
	return 0;
}

static int take_names(struct request *r, const char *kinds, size_t off, size_t len)
{
	for (int i = 0; i < 2 && kinds[i]; i++) {
		const char *s = r->buf.bytes + off, *end = memchr(s, 0, len - off);
		int e;

		if (!end)
			return len == REQUEST_ARG_MAX ? -ENAMETOOLONG : -EINVAL;
		r->name[i] = s;
		r->namelen[i] = (size_t)(end - s);
		off += r->namelen[i] + 1;
		e = check_name(kinds[i], s, r->namelen[i]);
		if (e)
			return e;
	}
	r->payload = sizeof(r->h) + off;
	return 0;
}

/* A name that would mean something else to whoever reads the top. */
static int refuse_marks(const struct request *r, const char *kinds)
{
	for (int i = 0; i < 2 && kinds[i]; i++) {
		if (kinds[i] == 'n' && foreign_is_mark(r->name[i]))
			return r->h.opcode == WIRE_LOOKUP ? -ENOENT : -EINVAL;
	}
	return 0;
}

static size_t fixed_size(const struct request *r, const struct op *op)
{
	if (r->h.opcode == WIRE_SETXATTR && !(r->conn->flags & WIRE_SETXATTR_EXT))
		return WIRE_SETXATTR_COMPAT_SIZE;
	return op->fixed;
}

#define ARG_ROOM 128u /* no fixed argument is longer; what a client leaves out of it is zero */

static int decode(struct request *r, const struct op *op, size_t total)
{
	size_t fixed = fixed_size(r, op), len;
	int e;

	if (r->h.len != total)
		return -EINVAL;
	/* Without names what follows the argument is a payload, which stays where it is. */
	len = request_gather(r, sizeof(r->h), r->buf.bytes,
			     *op->names ? REQUEST_ARG_MAX : ARG_ROOM);
	if (len < fixed)
		return -EINVAL;
	if (len < ARG_ROOM)
		memset(r->buf.bytes + len, 0, ARG_ROOM - len);
	e = take_names(r, op->names, fixed, len);
	return !e && r->u->foreign ? refuse_marks(r, op->names) : e;
}

static size_t total_length(const struct iovec *in, int nin)
{
	size_t total = 0;

	for (int i = 0; i < nin; i++)
		total += in[i].iov_len;
	return total;
}

static bool is_silent(uint32_t opcode)
{
	return opcode == WIRE_FORGET || opcode == WIRE_BATCH_FORGET || opcode == WIRE_INTERRUPT;
}

/* The buffer is not cleared: only what was gathered into it is ever read. */
static void request_begin(struct request *r, struct ufs_conn *c, const struct iovec *in, int nin,
			  const struct iovec *out, int nout)
{
	r->conn = c;
	r->u = c->u;
	r->in = in;
	r->nin = nin;
	r->out = out;
	r->nout = nout;
	r->arg = r->buf.bytes;
	r->name[0] = r->name[1] = NULL;
	r->namelen[0] = r->namelen[1] = 0;
	r->payload = sizeof(r->h);
	r->noting = NULL;
}

/* What a dead server had answered, and nobody got. */
static ssize_t reply_kept(struct request *r, const struct journal_record *kept)
{
	struct wire_out_header h;

	memcpy(&h, kept->reply, sizeof(h));
	return request_reply(r, h.error, kept->reply + sizeof(h), kept->reply_len - sizeof(h));
}

void request_note(struct request *r, uint64_t first, uint64_t second)
{
	if (r->noting)
		journal_begin(r->noting, (const uint64_t[JOURNAL_NAMES]){ first, second });
}

/*
 * A change that would not be the same when done twice: its names are noted, here or by its handler,
 * which looks at them anyway; gives whether a dead server has done it. What cannot be looked at
 * cannot be changed either: the handler says why.
 */
static bool note_change(struct request *r, struct journal_slot *slot)
{
	const struct journal_record *kept = slot->kept;
	uint64_t noted[JOURNAL_NAMES];
	bool done = false;
	int e;

	if (kept && kept->phase == JOURNAL_BEGUN) {
		memcpy(noted, kept->noted, sizeof(noted));
		e = recover_was_done(r, noted, &done);
	} else if (recover_notes(r) == RECOVER_NAMES) {
		r->noting = slot;
		return false;
	} else {
		e = recover_note(r, noted);
	}
	if (e == 0)
		journal_begin(slot, noted);
	return done;
}

static ssize_t run(struct request *r, const struct op *op)
{
	unsigned int lost = lower_lost(&r->u->lower);
	ssize_t n = op->fn(r);

	if (n > 0 && lower_lost(&r->u->lower) != lost)
		n = request_fail(r, err(-EBADMSG, "the index cannot be read"));
	err_clear();
	return n;
}

static ssize_t run_noted(struct request *r, const struct op *op, struct journal_slot *slot)
{
	ssize_t n = note_change(r, slot) ? recover_answer(r) : run(r, op);

	if (n > 0)
		journal_done(slot, r->out[0].iov_base, (size_t)n);
	err_clear();
	return n;
}

ssize_t request_serve(struct ufs_conn *c, struct journal_slot *slot, const struct iovec *in,
		      int nin, const struct iovec *out, int nout)
{
	struct request r;
	const struct op *op;
	int e;

	request_begin(&r, c, in, nin, out, nout);
	if (request_gather(&r, 0, &r.h, sizeof(r.h)) < sizeof(r.h))
		return -EINVAL;
	if (r.h.opcode >= WIRE_OPCODES || !ops[r.h.opcode].fn)
		return op_nosys(&r);
	if (slot)
		journal_take(slot, r.h.unique);
	if (slot && slot->kept && slot->kept->phase == JOURNAL_DONE)
		return reply_kept(&r, slot->kept);
	if (slot && slot->kept && slot->kept->deaths >= JOURNAL_KILLERS)
		return request_fail(&r, -EIO);
	op = &ops[r.h.opcode];
	e = decode(&r, op, total_length(in, nin));
	if (!e && r.h.opcode != WIRE_INIT && !c->ready)
		e = -EIO;
	if (!e && op->changes && (c->u->mode == UFS_UPPER_NONE || c->u->rdonly))
		e = -EROFS;
	if (!e && op->changes)
		e = protect_check(&r);
	if (e)
		return is_silent(r.h.opcode) ? 0 : request_fail(&r, e);
	return slot && recover_notes(&r) ? run_noted(&r, op, slot) : run(&r, op);
}

ssize_t ufs_serve(struct ufs_conn *c, const struct iovec *in, int nin, const struct iovec *out,
		  int nout)
{
	return request_serve(c, NULL, in, nin, out, nout);
}

struct ufs_conn *ufs_conn_new(struct ufs *u, const struct ufs_carrier *carrier, void *ctx)
{
	struct ufs_conn *c = new0(struct ufs_conn);

	if (!c)
		return NULL;
	c->u = u;
	c->ctx = ctx;
	if (carrier)
		c->carrier = *carrier;
	if (dax_open(&u->dax, &c->carrier, ctx) < 0) {
		free(c);
		return NULL;
	}
	return c;
}

/* NEEDED is in each that was answered: never 0. */
uint64_t ufs_conn_agreed(const struct ufs_conn *c)
{
	return c->ready ? c->flags : 0;
}

void ufs_conn_resume(struct ufs_conn *c, uint64_t agreed)
{
	c->flags = agreed;
	c->ready = agreed != 0;
}

void ufs_conn_free(struct ufs_conn *c)
{
	free(c);
}

#define WANTED                                                                                    \
	(WIRE_ASYNC_READ | WIRE_BIG_WRITES | WIRE_DONT_MASK | WIRE_DO_READDIRPLUS |               \
	 WIRE_READDIRPLUS_AUTO | WIRE_NO_OPEN_SUPPORT | WIRE_PARALLEL_DIROPS | WIRE_POSIX_ACL |   \
	 WIRE_MAX_PAGES | WIRE_CACHE_SYMLINKS | WIRE_NO_OPENDIR_SUPPORT |                         \
	 WIRE_EXPLICIT_INVAL_DATA | WIRE_HANDLE_KILLPRIV_V2 | WIRE_SETXATTR_EXT | WIRE_INIT_EXT | \
	 WIRE_HAS_RESEND)
#define NEEDED	  (WIRE_NO_OPEN_SUPPORT | WIRE_NO_OPENDIR_SUPPORT)
#define MAX_PAGES 256u

/*
 * Where others change what is beneath, size and time of a file say whether its pages hold. What has
 * no top is a lower of overlayfs: that would keep file handles of it (overlay.origin), and what
 * FUSE makes of a handle does not survive its next revalidation (ESTALE).
 */
static uint64_t wanted(const struct ufs *u)
{
	const uint64_t forever = WIRE_CACHE_SYMLINKS | WIRE_EXPLICIT_INVAL_DATA;
	uint64_t flags = u->others ? (WANTED & ~forever) | WIRE_AUTO_INVAL_DATA : WANTED;

	if (u->mode == UFS_UPPER_NONE)
		flags |= WIRE_NO_EXPORT_SUPPORT;
	if (dax_has(&u->dax))
		flags |= WIRE_MAP_ALIGNMENT | WIRE_HAS_INODE_DAX;
	return u->noacl ? flags & ~WIRE_POSIX_ACL : flags;
}

/*
 * A second INIT is a client that starts anew (a guest that was reset): what it knew of before is
 * gone.
 */
ssize_t op_init(struct request *r)
{
	const struct wire_init_in *in = r->arg;
	uint64_t offered = in->flags | (in->flags & WIRE_INIT_EXT ? (uint64_t)in->flags2 << 32 : 0);
	uint64_t flags = offered & wanted(r->u);
	struct wire_init_out o = {
		.major = WIRE_MAJOR,
		.minor = MIN(in->minor, (uint32_t)WIRE_MINOR),
		.max_readahead = in->max_readahead,
		.flags = (uint32_t)flags,
		.flags2 = (uint32_t)(flags >> 32),
		.max_background = 64,
		.congestion_threshold = 48,
		.max_write = MAX_PAGES * 4096u,
		.max_pages = MAX_PAGES,
		.time_gran = 1,
		.map_alignment = flags & WIRE_MAP_ALIGNMENT ? DAX_SLOT_BITS : 0,
	};

	/* A newer major: we say ours, and the client asks again (uapi fuse.h). */
	if (in->major > WIRE_MAJOR)
		return request_reply(
			r, 0, &(struct wire_init_out){ .major = WIRE_MAJOR, .minor = WIRE_MINOR },
			sizeof(o));
	if (in->major < WIRE_MAJOR || in->minor < WIRE_MINOR_MIN || (flags & NEEDED) != NEEDED)
		return request_fail(r, -EPROTO);
	if (r->conn->ready) {
		node_table_reset(r->u);
		dax_reset(&r->u->dax);
	}
	r->conn->flags = flags;
	r->conn->ready = true;
	return request_reply(r, 0, &o, sizeof(o));
}
