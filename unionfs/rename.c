/* SPDX-License-Identifier: Apache-2.0 */
#include "unionfs/copyup.h"
#include "unionfs/redirect.h"
#include "unionfs/remove.h"
#include "unionfs/request.h"
#include "unionfs/view.h"

#include <errno.h>
#include <linux/fs.h>

/* One end of a renaming. */
struct end {
	uint64_t dirid;
	struct inode dir, child; /* child: nothing there when neither node nor lower */
	const char *name;
	bool beneath; /* a lower has that name */
	bool is_dir;
	uint64_t links;
	enum upper_kind kind;
	struct node *up;
	struct at at;
};

struct renaming {
	struct request *r;
	struct ufs *u;
	struct end from, to;
	unsigned int flags;
	struct end *copyup; /* what must be copied up, without the lock, before this can be done */
};

static int look(struct renaming *m, struct end *end)
{
	struct found f;
	int e = view_lookup(m->u, &end->dir, end->name, &f);

	end->kind = f.kind;
	if (e)
		return e;
	end->child = f.inode;
	end->is_dir = S_ISDIR(f.st.st_mode);
	end->links = f.st.st_nlink;
	return 0;
}

static int dir_up(struct ufs *u, struct inode *dir)
{
	struct node *n;
	int e = dir->node ? 0 : copyup_dir(u, dir->lower, &n);

	if (e || dir->node)
		return e;
	lower_put(&u->lower, dir->lower);
	*dir = (struct inode){ .node = n, .lower = n->lower };
	return 0;
}

/* What moves must be in the upper; a directory with a lower part will need a redirect. */
static int check_movable(struct renaming *m, struct end *end)
{
	if (end->is_dir && !view_lower_dir(&end->child))
		return 0;
	if (!end->is_dir) {
		if (!end->child.node || end->child.node->linking)
			m->copyup = end;
		return 0;
	}
	if (m->u->redirect != UFS_REDIRECT_ON)
		return -EXDEV;
	end->kind = UPPER_THING;
	return dir_up(m->u, &end->child);
}

/* A lower file with other names, which would still count this one, is copied up before it goes. */
static int check_replaced(struct renaming *m)
{
	if (m->flags & RENAME_NOREPLACE)
		return -EEXIST;
	if (m->from.is_dir && !m->to.is_dir)
		return -ENOTDIR;
	if (!m->from.is_dir && m->to.is_dir)
		return -EISDIR;
	if (m->to.is_dir)
		return view_check_empty(m->u, &m->to.child);
	if ((m->to.child.node ? m->to.child.node->linking : m->to.links > 1) && !m->copyup)
		m->copyup = &m->to;
	return 0;
}

static int check(struct renaming *m)
{
	int e = look(m, &m->from);

	if (!e)
		e = check_movable(m, &m->from);
	if (e)
		return e;
	e = look(m, &m->to);
	if (m->flags & RENAME_EXCHANGE)
		return e ? e : check_movable(m, &m->to);
	if (e)
		return e == -ENOENT ? 0 : e;
	return check_replaced(m);
}

static int open_end(struct renaming *m, struct end *end)
{
	int e = view_beneath(m->u, &end->dir, end->name, &end->beneath);

	if (!e)
		e = view_dir_up(m->u, &end->dir, &end->up);
	if (!e)
		e = node_at_child(m->u, end->up, end->name, &end->at);
	return e;
}

static void close_end(struct renaming *m, struct end *end)
{
	at_put(m->u, &end->at);
	if (end->up)
		node_put(m->u, end->up);
	end->up = NULL;
	inode_unpin(m->u, &end->child);
}

/* overlayfs looks for a lower part by name, unless it is told another place. */
static int keep_lower(struct renaming *m, const struct end *end, const struct end *other)
{
	struct node *n = end->child.node;
	struct stat st;
	bool absolute = end->up != other->up;

	if (!end->is_dir) {
		if (m->u->redirect != UFS_REDIRECT_ON)
			return node_complete(m->u, n);
		/* Its other names may be in other directories. */
		absolute = absolute ||
			   fstatat(end->at.dirfd, end->name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
			   st.st_nlink > 1;
	}
	return redirect_set(m->u, end->up->lower, &end->at, absolute);
}

/* What @end's child needs to stand at the place of @other. */
static int prepare(struct renaming *m, const struct end *end, const struct end *other)
{
	struct node *n = end->child.node;
	int e = 0;

	if (end->is_dir ? n->lower : n->data)
		e = keep_lower(m, end, other);
	else if (end->is_dir && (other->beneath || other->kind == UPPER_WHITEOUT))
		e = upper_mark(m->u, &end->at, "overlay.opaque");
	if (!e && n->shown != (n->ino | m->u->upper.ino_bit))
		e = copyup_mark_impure(m->u, other->up);
	return e;
}

static int move_node(struct renaming *m, struct node *n, struct end *from, struct end *to)
{
	return node_is_at(n, from->up, from->name) ? node_move(m->u, n, to->up, to->name) : 0;
}

static int exchange(struct renaming *m)
{
	struct node *a = m->from.child.node, *b = m->to.child.node;
	bool b_is_there = node_is_at(b, m->to.up, m->to.name);
	int e = prepare(m, &m->from, &m->to);

	if (!e)
		e = prepare(m, &m->to, &m->from);
	if (e)
		return e;
	if (renameat2(m->from.at.dirfd, m->from.name, m->to.at.dirfd, m->to.name, RENAME_EXCHANGE) <
	    0)
		return -errno;
	e = move_node(m, a, &m->from, &m->to);
	if (!e && b_is_there)
		e = node_move(m->u, b, m->from.up, m->from.name);
	return e;
}

/* The old thing at the new place: kept for who uses it, out of the way. */
static int make_room(struct renaming *m)
{
	struct node *n = m->to.child.node;

	if (m->to.kind != UPPER_THING || !n)
		return 0;
	if (m->to.is_dir)
		return empty_whiteouts(m->u, n, &m->to.at);
	return orphan_link(m->u, n, m->to.up, &m->to.at);
}

static int rename_upper(struct renaming *m)
{
	unsigned int flags = m->from.beneath ? RENAME_WHITEOUT : 0;
	bool swap = m->from.is_dir && m->to.kind == UPPER_WHITEOUT;

	if (m->to.kind == UPPER_ABSENT)
		flags |= RENAME_NOREPLACE;
	/*
	 * A directory cannot replace a whiteout: they change places, and the whiteout stays if it
	 * is needed there.
	 */
	if (swap)
		flags = RENAME_EXCHANGE;
	/* The two flags are not for one call on every file system. */
	if (flags == (RENAME_WHITEOUT | RENAME_NOREPLACE))
		flags = RENAME_WHITEOUT;
	if (renameat2(m->from.at.dirfd, m->from.name, m->to.at.dirfd, m->to.name, flags) < 0)
		return errno == EINVAL && (flags & RENAME_WHITEOUT) ? -EXDEV : -errno;
	if (swap && !m->from.beneath)
		unlinkat(m->from.at.dirfd, m->from.name, 0);
	return 0;
}

static int move(struct renaming *m)
{
	struct node *old = m->to.child.node;
	int e = prepare(m, &m->from, &m->to);

	if (!e)
		e = make_room(m);
	if (!e)
		e = rename_upper(m);
	if (m->to.kind == UPPER_THING && old) {
		if (e)
			orphan_abort(m->u, old, m->to.up, m->to.name);
		else if (m->to.is_dir)
			node_kill(m->u, old);
		else
			orphan_commit(m->u, old, m->to.up, m->to.name);
		if (!e && m->to.is_dir)
			quota_gone(m->u, old);
		else if (!e)
			orphan_count(m->u, old, m->to.links);
	}
	if (!e && !old && m->to.child.lower)
		gone_add(&m->u->gone, m->to.child.lower);
	return e ? e : move_node(m, m->from.child.node, &m->from, &m->to);
}

static int do_rename(struct renaming *m)
{
	int e = check(m);

	if (e || m->copyup)
		return e;
	request_note(m->r, inode_id(&m->from.child), inode_id(&m->to.child));
	/* Two names of one file: nothing to do (rename(2)). */
	if (m->from.child.node == m->to.child.node)
		return 0;
	e = open_end(m, &m->from);
	if (!e)
		e = open_end(m, &m->to);
	if (!e && m->from.kind != UPPER_THING)
		e = -ESTALE;
	if (!e)
		e = m->flags & RENAME_EXCHANGE ? exchange(m) : move(m);
	if (!e) {
		listing_changed(&m->u->listings, m->from.up->id);
		listing_changed(&m->u->listings, m->to.up->id);
	}
	return e;
}

static int locked_rename(struct renaming *m)
{
	int e;

	m->copyup = NULL;
	m->from.dir = m->to.dir = m->from.child = m->to.child = INODE_NONE;
	m->from.up = m->to.up = NULL;
	m->from.at = m->to.at = (struct at){ .dirfd = -1 };
	pthread_rwlock_wrlock(&m->u->tree);
	e = inode_pin(m->u, m->from.dirid, &m->from.dir);
	if (!e)
		e = inode_pin(m->u, m->to.dirid, &m->to.dir);
	if (!e)
		e = do_rename(m);
	if (e || !m->copyup) {
		close_end(m, &m->from);
		close_end(m, &m->to);
	}
	inode_unpin(m->u, &m->from.dir);
	inode_unpin(m->u, &m->to.dir);
	pthread_rwlock_unlock(&m->u->tree);
	return e;
}

static ssize_t rename_request(struct request *r, uint64_t newdir, unsigned int flags)
{
	struct renaming m = { .r = r, .u = r->u, .flags = flags };
	int e;

	if (flags & ~(unsigned int)(RENAME_NOREPLACE | RENAME_EXCHANGE) ||
	    flags == (RENAME_NOREPLACE | RENAME_EXCHANGE))
		return request_fail(r, -EINVAL);
	m.from.dirid = r->h.nodeid;
	m.to.dirid = newdir;
	m.from.name = r->name[0];
	m.to.name = r->name[1];
	do {
		e = locked_rename(&m);
		if (!e && m.copyup) {
			e = copyup_file(r->u, &m.copyup->child, COPYUP_META);
			inode_unpin(r->u, &m.from.child);
			inode_unpin(r->u, &m.to.child);
		}
	} while (!e && m.copyup);
	return request_fail(r, e);
}

ssize_t op_rename(struct request *r)
{
	const struct wire_rename_in *in = r->arg;

	return rename_request(r, in->newdir, 0);
}

ssize_t op_rename2(struct request *r)
{
	const struct wire_rename2_in *in = r->arg;

	return rename_request(r, in->newdir, in->flags);
}
