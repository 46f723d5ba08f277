/* SPDX-License-Identifier: Apache-2.0 */
#include "unionfs/remove.h"

#include "base/dir.h"
#include "base/err.h"
#include "base/str.h"
#include "unionfs/copyup.h"
#include "unionfs/redirect.h"
#include "unionfs/request.h"
#include "unionfs/upper_plain.h"
#include "unionfs/view.h"

#include <errno.h>
#include <linux/fs.h>

struct orphan_name {
	char s[24];
};

static struct orphan_name orphan_name(const struct node *n)
{
	struct orphan_name o;

	snprintf(o.s, sizeof(o.s), "%llx", (unsigned long long)n->id);
	return o;
}

bool node_is_at(const struct node *n, const struct node *dir, const char *name)
{
	return !n->orphan && n->parent == dir && n->name && streq(n->name, name);
}

/* That its client still uses it, and by this name. */
static bool is_used_at(struct ufs *u, struct node *n, const struct node *dir, const char *name)
{
	return node_is_at(n, dir, name) && node_in_use(u, n);
}

/* Where its bytes are does not follow from its place any more. */
static int orphan_prepare(struct ufs *u, struct node *n, struct node *dir, const struct at *at)
{
	return n->data ? redirect_set(u, dir->lower, at, true) : 0;
}

int orphan_link(struct ufs *u, struct node *n, struct node *dir, const struct at *at)
{
	int e;

	if (!is_used_at(u, n, dir, at->name))
		return 0;
	if (u->mode == UFS_UPPER_PLAIN)
		return plain_hold(u, n, at);
	e = orphan_prepare(u, n, dir, at);
	if (e)
		return e;
	/* What a change that failed in the middle may have left there. */
	unlinkat(u->upper.orphans, orphan_name(n).s, 0);
	return linkat(at->dirfd, at->name, u->upper.orphans, orphan_name(n).s, 0) < 0 ? -errno : 0;
}

void orphan_commit(struct ufs *u, struct node *n, struct node *dir, const char *name)
{
	if (!node_is_at(n, dir, name))
		return;
	if (u->mode == UFS_UPPER_PLAIN) {
		if (n->fixed_fd >= 0)
			node_set_orphan(u, n, true);
		return;
	}
	/* Without memory it keeps a place that is no more: the client gets ESTALE. */
	if (node_move(u, n, u->nodes.orphans, orphan_name(n).s) == 0)
		node_set_orphan(u, n, true);
}

void orphan_abort(struct ufs *u, struct node *n, struct node *dir, const char *name)
{
	if (u->mode == UFS_UPPER_PLAIN)
		plain_release(n);
	else if (node_is_at(n, dir, name))
		unlinkat(u->upper.orphans, orphan_name(n).s, 0);
}

void orphan_count(struct ufs *u, struct node *n, uint64_t links)
{
	struct stat st;

	if (u->quota.limit && links == 1 &&
	    fstatat(u->upper.orphans, orphan_name(n).s, &st, AT_SYMLINK_NOFOLLOW) < 0)
		quota_gone(u, n);
}

int empty_whiteouts(struct ufs *u, struct node *n, const struct at *at)
{
	DIR *d = dir_open(at->dirfd, at->name);
	struct dirent *entry;
	int e = 0;

	if (!d)
		return -errno;
	/* Before its whiteouts go: else what they hide would show. */
	if (n->lower)
		e = upper_mark(u, at, "overlay.opaque");
	if (!e && n->lower) {
		node_cut(u, n);
		listing_changed(&u->listings, n->id);
	}
	errno = 0;
	while (!e && u->mode != UFS_UPPER_PLAIN && (entry = readdir(d))) {
		if (entry->d_type == DT_CHR && unlinkat(dirfd(d), entry->d_name, 0) < 0)
			e = -errno;
		errno = 0;
	}
	if (!e)
		e = -errno;
	closedir(d);
	return e;
}

/* ---- UNLINK, RMDIR ---- */

struct removal {
	struct request *r;
	struct ufs *u;
	struct inode dir, child;
	const char *name;
	bool is_dir;
	enum upper_kind kind;
	bool beneath; /* a lower has that name: a whiteout must stand there */
	uint64_t links;
	struct node *up;
	struct at at;
};

static int put_whiteout(struct removal *m)
{
	struct tmp_name tmp;
	int e = upper_make_whiteout(m->u, &tmp);

	if (e)
		return e;
	if (renameat2(m->u->upper.tmp, tmp.s, m->at.dirfd, m->at.name, 0) < 0) {
		e = -errno;
		upper_discard(m->u, &tmp);
	}
	return e;
}

/*
 * In one step: who takes over from a killed server finds the directory in one place or the other.
 */
static int exchange_for_whiteout(struct removal *m)
{
	struct orphan_name o = orphan_name(m->child.node);
	const struct at at = { .dirfd = m->u->upper.orphans, .name = o.s };
	int e;

	/* What a change that failed in the middle may have left there. */
	unlinkat(at.dirfd, at.name, 0);
	e = upper_whiteout_at(m->u, &at);
	if (!e && renameat2(at.dirfd, at.name, m->at.dirfd, m->at.name, RENAME_EXCHANGE) < 0) {
		e = -errno;
		unlinkat(at.dirfd, at.name, 0);
	}
	return e;
}

/* Nothing is to stand in its place: it moves to the orphans in one step. */
static int move_to_orphans(struct removal *m)
{
	struct node *n = m->child.node;
	int e = orphan_prepare(m->u, n, m->up, &m->at);

	if (!e && renameat2(m->at.dirfd, m->at.name, m->u->upper.orphans, orphan_name(n).s, 0) < 0)
		e = -errno;
	if (!e)
		orphan_commit(m->u, n, m->up, m->name);
	return e;
}

static int remove_upper_file(struct removal *m)
{
	struct node *n = m->child.node;
	int e;

	if (!m->beneath && m->u->mode != UFS_UPPER_PLAIN && is_used_at(m->u, n, m->up, m->name))
		return move_to_orphans(m);
	e = orphan_link(m->u, n, m->up, &m->at);
	if (e)
		return e;
	if (m->beneath)
		e = put_whiteout(m);
	else if (unlinkat(m->at.dirfd, m->at.name, 0) < 0)
		e = -errno;
	if (e)
		orphan_abort(m->u, n, m->up, m->name);
	else
		orphan_commit(m->u, n, m->up, m->name);
	if (!e)
		orphan_count(m->u, n, m->links);
	return e;
}

static int remove_plain_dir(struct removal *m)
{
	struct node *n = m->child.node;
	int e = orphan_link(m->u, n, m->up, &m->at);

	if (e)
		return e;
	if (unlinkat(m->at.dirfd, m->at.name, AT_REMOVEDIR) < 0)
		e = -errno;
	if (e)
		orphan_abort(m->u, n, m->up, m->name);
	else
		orphan_commit(m->u, n, m->up, m->name);
	return e;
}

static int remove_upper_dir(struct removal *m)
{
	struct node *n = m->child.node;
	int e = 0;

	if (m->u->mode == UFS_UPPER_PLAIN)
		return remove_plain_dir(m);
	if (m->beneath)
		e = exchange_for_whiteout(m);
	else if (renameat2(m->at.dirfd, m->at.name, m->u->upper.orphans, orphan_name(n).s, 0) < 0)
		e = -errno;
	if (!e)
		orphan_commit(m->u, n, m->up, m->name);
	return e;
}

static int remove_at(struct removal *m)
{
	int e;

	if (m->kind == UPPER_ABSENT) {
		e = upper_whiteout_at(m->u, &m->at);
		if (!e && !m->child.node)
			gone_add(&m->u->gone, m->child.lower);
	} else {
		e = m->is_dir ? remove_upper_dir(m) : remove_upper_file(m);
	}
	if (e)
		return e;
	if (m->beneath)
		listing_changed(&m->u->listings, m->up->id);
	else
		listing_removed(&m->u->listings, m->up->id, m->name);
	return 0;
}

static int check_kind(struct removal *m, const struct stat *st)
{
	if (S_ISDIR(st->st_mode) != m->is_dir)
		return m->is_dir ? -ENOTDIR : -EISDIR;
	return m->is_dir ? view_check_empty(m->u, &m->child) : 0;
}

/*
 * *@ret_copyup: the file has other names in its lower, which would still count this one: to be
 * copied up first, wholly.
 */
static int remove_name(struct removal *m, bool *ret_copyup)
{
	struct found f;
	int e = view_lookup(m->u, &m->dir, m->name, &f);

	if (e)
		return e;
	m->child = f.inode;
	m->kind = f.kind;
	m->links = f.st.st_nlink;
	request_note(m->r, inode_id(&m->child), 0);
	e = check_kind(m, &f.st);
	if (!e && !m->is_dir)
		*ret_copyup = m->child.node ? m->child.node->linking : m->links > 1;
	if (*ret_copyup)
		return 0;
	if (!e)
		e = view_beneath(m->u, &m->dir, m->name, &m->beneath);
	if (!e)
		e = view_dir_up(m->u, &m->dir, &m->up);
	if (!e) {
		e = node_at_child(m->u, m->up, m->name, &m->at);
		if (!e) {
			e = remove_at(m);
			at_put(m->u, &m->at);
		}
		node_put(m->u, m->up);
	}
	inode_unpin(m->u, &m->child);
	return e;
}

static ssize_t do_remove(struct request *r, bool is_dir)
{
	struct removal m = { .r = r, .u = r->u, .name = r->name[0], .is_dir = is_dir };
	bool copyup;
	int e;

	do {
		copyup = false;
		pthread_rwlock_wrlock(&r->u->tree);
		e = inode_pin(r->u, r->h.nodeid, &m.dir);
		if (!e) {
			e = remove_name(&m, &copyup);
			inode_unpin(r->u, &m.dir);
		}
		pthread_rwlock_unlock(&r->u->tree);
		if (copyup) {
			e = copyup_file(r->u, &m.child, COPYUP_META);
			inode_unpin(r->u, &m.child);
		}
	} while (!e && copyup);
	return request_fail(r, e);
}

ssize_t op_unlink(struct request *r)
{
	return do_remove(r, false);
}

ssize_t op_rmdir(struct request *r)
{
	return do_remove(r, true);
}
