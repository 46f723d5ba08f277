/* SPDX-License-Identifier: Apache-2.0 */
#include "unionfs/protect.h"

#include "unionfs/request.h"
#include "unionfs/view.h"
#include "unionfs/xat.h"

#include <errno.h>
#include <linux/falloc.h>

#define BOTH PROTECT_FLAGS

static const char *mark(const struct ufs *u)
{
	return u->upper.user ? "user.overlay.protattr" : "trusted.overlay.protattr";
}

unsigned int protect_load(struct ufs *u, const struct at *at)
{
	char letters[2];
	ssize_t n = xat_get(at->dirfd, at->name, mark(u), letters, sizeof(letters));
	unsigned int flags = 0;

	for (ssize_t i = 0; i < n; i++)
		flags |= letters[i] == 'a' ? FS_APPEND_FL : letters[i] == 'i' ? FS_IMMUTABLE_FL : 0;
	return flags;
}

int protect_store(struct ufs *u, const struct at *at, unsigned int flags)
{
	char letters[2];
	size_t n = 0;
	int e;

	if (flags & FS_APPEND_FL)
		letters[n++] = 'a';
	if (flags & FS_IMMUTABLE_FL)
		letters[n++] = 'i';
	if (n)
		return xat_set(at->dirfd, at->name, mark(u), letters, n, 0);
	e = xat_remove(at->dirfd, at->name, mark(u));
	return e == -ENODATA || e == -EOPNOTSUPP ? 0 : e;
}

void protect_node(struct ufs *u, struct node *n, unsigned int flags)
{
	n->protect = flags & BOTH;
	if (n->protect)
		u->protects = true;
}

/* ---- requests ---- */

static unsigned int flags_of_inode(struct ufs *u, const struct inode *i)
{
	return i->node ? i->node->protect : lower_protection(&u->lower, i->lower);
}

static unsigned int flags_of(struct ufs *u, uint64_t nodeid)
{
	unsigned int flags;
	struct inode i;

	if (inode_pin(u, nodeid, &i))
		return 0;
	flags = flags_of_inode(u, &i);
	inode_unpin(u, &i);
	return flags;
}

/* *@ret_there: there is such a name. */
static unsigned int flags_of_name(struct ufs *u, uint64_t dirid, const char *name, bool *ret_there)
{
	unsigned int flags = 0;
	struct inode dir;
	struct found f;

	*ret_there = false;
	if (inode_pin(u, dirid, &dir))
		return 0;
	ufs_lock_names(u);
	if (view_lookup(u, &dir, name, &f) == 0) {
		*ret_there = true;
		flags = flags_of_inode(u, &f.inode);
		inode_unpin(u, &f.inode);
	}
	pthread_rwlock_unlock(&u->tree);
	inode_unpin(u, &dir);
	return flags;
}

static int refuse(unsigned int flags, unsigned int which)
{
	return flags & which ? -EPERM : 0;
}

#define SETS (WIRE_FATTR_MODE | WIRE_FATTR_UID | WIRE_FATTR_GID | WIRE_FATTR_SIZE)
#define NOWS (WIRE_FATTR_ATIME_NOW | WIRE_FATTR_MTIME_NOW)

/* touch(1) may an append-only file, to now. */
static int check_setattr(struct ufs *u, uint64_t id, uint32_t valid)
{
	bool times = valid & (WIRE_FATTR_ATIME | WIRE_FATTR_MTIME);
	bool sets = (valid & SETS) || (times && (valid & NOWS) != NOWS);

	return refuse(flags_of(u, id), sets ? BOTH : times ? FS_IMMUTABLE_FL : 0);
}

/* A name of the directory goes, and the thing with it as far as that name is concerned. */
static int check_taken(struct ufs *u, uint64_t dir, const char *name)
{
	bool there;
	int e = refuse(flags_of(u, dir), BOTH);

	return e ? e : refuse(flags_of_name(u, dir, name, &there), BOTH);
}

/* A name comes; what has it goes. */
static int check_given(struct ufs *u, uint64_t dir, const char *name)
{
	bool there;
	int e = refuse(flags_of_name(u, dir, name, &there), BOTH);

	return e ? e : refuse(flags_of(u, dir), there ? BOTH : FS_IMMUTABLE_FL);
}

static int check_rename(struct request *r, uint64_t newdir)
{
	int e = check_taken(r->u, r->h.nodeid, r->name[0]);

	return e ? e : check_given(r->u, newdir, r->name[1]);
}

static int check_link(struct request *r)
{
	const struct wire_link_in *in = r->arg;
	int e = refuse(flags_of(r->u, in->oldnodeid), BOTH);

	return e ? e : refuse(flags_of(r->u, r->h.nodeid), FS_IMMUTABLE_FL);
}

static int check_data(struct request *r)
{
	const struct wire_write_in *write = r->arg;
	const struct wire_fallocate_in *allocate = r->arg;
	const struct wire_copy_file_range_in *copy = r->arg;
	unsigned int which = BOTH;

	if (r->h.opcode == WIRE_COPY_FILE_RANGE)
		return refuse(flags_of(r->u, copy->nodeid_out), BOTH);
	if (r->h.opcode == WIRE_WRITE ? write->flags & O_APPEND :
					!(allocate->mode & ~(uint32_t)FALLOC_FL_KEEP_SIZE))
		which = FS_IMMUTABLE_FL;
	return refuse(flags_of(r->u, r->h.nodeid), which);
}

int protect_check(struct request *r)
{
	struct ufs *u = r->u;

	if (!u->protects)
		return 0;
	switch (r->h.opcode) {
	case WIRE_SETATTR:
		return check_setattr(u, r->h.nodeid,
				     ((const struct wire_setattr_in *)r->arg)->valid);
	case WIRE_WRITE:
	case WIRE_FALLOCATE:
	case WIRE_COPY_FILE_RANGE:
		return check_data(r);
	case WIRE_SETXATTR:
	case WIRE_REMOVEXATTR:
	case WIRE_SETUPMAPPING: /* one for writing */
		return refuse(flags_of(u, r->h.nodeid), BOTH);
	case WIRE_MKNOD:
	case WIRE_MKDIR:
	case WIRE_SYMLINK:
	case WIRE_TMPFILE:
		return refuse(flags_of(u, r->h.nodeid), FS_IMMUTABLE_FL);
	case WIRE_LINK:
		return check_link(r);
	case WIRE_UNLINK:
	case WIRE_RMDIR:
		return check_taken(u, r->h.nodeid, r->name[0]);
	case WIRE_RENAME:
		return check_rename(r, ((const struct wire_rename_in *)r->arg)->newdir);
	case WIRE_RENAME2:
		return check_rename(r, ((const struct wire_rename2_in *)r->arg)->newdir);
	default:
		return 0;
	}
}
