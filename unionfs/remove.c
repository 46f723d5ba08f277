/* SPDX-License-Identifier: Apache-2.0 */
#include "unionfs/remove.h"

#include "base/err.h"
#include "base/str.h"
#include "unionfs/copyup.h"
#include "unionfs/request.h"
#include "unionfs/upper_plain.h"
#include "unionfs/view.h"

#include <dirent.h>
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

int orphan_link(struct ufs *u, struct node *n, struct node *dir, const struct at *at)
{
	if (!node_is_at(n, dir, at->name) || !node_in_use(u, n))
		return 0;
	if (u->mode == UFS_UPPER_PLAIN)
		return plain_hold(u, n, at);
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

int empty_whiteouts(struct ufs *u, struct node *n, const struct at *at)
{
	DIR *d = fdopendir(
		openat(at->dirfd, at->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
	struct dirent *entry;
	int e = 0;

	if (!d)
		return -errno;
	/* Before its whiteouts go: else what they hide would show. */
	if (n->lower)
		e = upper_mark(u, at, "overlay.opaque");
	while (!e && u->mode != UFS_UPPER_PLAIN && (entry = readdir(d))) {
		if (entry->d_type == DT_CHR && unlinkat(dirfd(d), entry->d_name, 0) < 0)
			e = -errno;
	}
	closedir(d);
	return e;
}

/* ---- UNLINK, RMDIR ---- */

struct removal {
	struct ufs *u;
	struct inode dir, child;
	const char *name;
	bool is_dir;
	bool beneath; /* a lower has that name: a whiteout must stand there */
	struct node *up;
	struct at at;
};

static int put_whiteout(struct removal *m, unsigned int flags)
{
	struct tmp_name tmp;
	int e = upper_make_whiteout(m->u, &tmp);

	if (e)
		return e;
	if (renameat2(m->u->upper.tmp, tmp.s, m->at.dirfd, m->at.name, flags) < 0) {
		e = -errno;
		upper_discard(m->u, &tmp);
		return e;
	}
	/* What was exchanged for it is in work/tmp now. */
	if (flags == RENAME_EXCHANGE) {
		struct node *n = m->child.node;

		if (renameat2(m->u->upper.tmp, tmp.s, m->u->upper.orphans, orphan_name(n).s, 0) < 0)
			upper_discard(m->u, &tmp);
	}
	return 0;
}

static int remove_upper_file(struct removal *m)
{
	struct node *n = m->child.node;
	int e = orphan_link(m->u, n, m->up, &m->at);

	if (e)
		return e;
	if (m->beneath)
		e = put_whiteout(m, 0);
	else if (unlinkat(m->at.dirfd, m->at.name, 0) < 0)
		e = -errno;
	if (e)
		orphan_abort(m->u, n, m->up, m->name);
	else
		orphan_commit(m->u, n, m->up, m->name);
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
		e = put_whiteout(m, RENAME_EXCHANGE);
	else if (renameat2(m->at.dirfd, m->at.name, m->u->upper.orphans, orphan_name(n).s, 0) < 0)
		e = -errno;
	if (!e)
		orphan_commit(m->u, n, m->up, m->name);
	return e;
}

static int remove_at(struct removal *m)
{
	enum upper_kind kind;
	int e = view_upper(m->u, &m->at, &kind);

	if (e)
		return e;
	if (kind == UPPER_WHITEOUT)
		return -ENOENT;
	if (kind == UPPER_ABSENT)
		e = upper_whiteout_at(m->u, &m->at);
	else
		e = m->is_dir ? remove_upper_dir(m) : remove_upper_file(m);
	if (e)
		return e;
	if (m->beneath)
		listing_changed(&m->u->listings, m->up->id);
	else
		listing_removed(&m->u->listings, m->up->id, m->name);
	return 0;
}

static int check_kind(struct removal *m, struct stat *st)
{
	int e = inode_stat(m->u, &m->child, st);

	if (e)
		return e;
	if (S_ISDIR(st->st_mode) != m->is_dir)
		return m->is_dir ? -ENOTDIR : -EISDIR;
	return m->is_dir ? view_check_empty(m->u, &m->child) : 0;
}

/*
 * *@ret_copyup: the file has other names in its lower, which would still count this one: to be
 * copied up first.
 */
static int remove_name(struct removal *m, bool *ret_copyup)
{
	struct stat st;
	int e = view_lookup(m->u, &m->dir, m->name, &m->child);

	if (e)
		return e;
	e = check_kind(m, &st);
	*ret_copyup = !e && !m->is_dir && !m->child.node && st.st_nlink > 1;
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
	struct removal m = { .u = r->u, .name = r->name[0], .is_dir = is_dir };
	bool copyup;
	int e = inode_pin(r->u, r->h.nodeid, &m.dir);

	if (e)
		return request_fail(r, e);
	do {
		copyup = false;
		pthread_rwlock_wrlock(&r->u->tree);
		e = remove_name(&m, &copyup);
		pthread_rwlock_unlock(&r->u->tree);
		if (copyup) {
			e = copyup_file(r->u, &m.child, COPYUP_ALL);
			inode_unpin(r->u, &m.child);
		}
	} while (!e && copyup);
	inode_unpin(r->u, &m.dir);
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
