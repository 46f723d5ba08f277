/* SPDX-License-Identifier: Apache-2.0 */
/* LINK, and TMPFILE, whose file has no name until it is linked. */
#include "unionfs/copyup.h"
#include "unionfs/making.h"
#include "unionfs/redirect.h"
#include "unionfs/view.h"

#include <errno.h>

/* ---- LINK ---- */

struct linking {
	struct making m;
	struct node *from;
};

static int link_to(struct making *m, const struct at *from)
{
	struct tmp_name tmp;
	int e;

	if (!m->whiteout)
		return linkat(from->dirfd, from->name, m->at.dirfd, m->at.name, 0) < 0 ? -errno : 0;
	tmp = upper_tmp_name(m->u);
	if (linkat(from->dirfd, from->name, m->u->upper.tmp, tmp.s, 0) < 0)
		return -errno;
	if (renameat2(m->u->upper.tmp, tmp.s, m->at.dirfd, m->at.name, 0) < 0) {
		e = -errno;
		upper_discard(m->u, &tmp);
		return e;
	}
	return 0;
}

/* By its new name overlayfs would not find the bytes of a metacopy file. */
static int keep_data(struct ufs *u, struct node *n, const struct at *at)
{
	if (u->redirect != UFS_REDIRECT_ON || n->orphan)
		return node_complete(u, n);
	return redirect_set(u, n->parent->lower, at, true);
}

/* Back among the orphans; where it was a whiteout stands again, if one did. */
static void take_name_back(struct making *m)
{
	struct node *n = container_of(m, struct linking, m)->from;
	struct at at = m->at;
	struct tmp_name tmp;
	char name[24];

	snprintf(name, sizeof(name), "%llx", (unsigned long long)n->id);
	if (m->whiteout) {
		if (upper_make_whiteout(m->u, &tmp) < 0)
			return;
		if (renameat2(m->u->upper.tmp, tmp.s, at.dirfd, at.name, RENAME_EXCHANGE) < 0) {
			upper_discard(m->u, &tmp);
			return;
		}
		at = (struct at){ .dirfd = m->u->upper.tmp, .name = tmp.s };
	}
	if (renameat2(at.dirfd, at.name, m->u->upper.orphans, name, 0) == 0 &&
	    node_move(m->u, n, m->u->nodes.orphans, name) == 0)
		node_set_orphan(m->u, n, true);
}

/* A file that was made without a name gets one, and leaves the orphans by the same step. */
static int name_orphan(struct making *m, struct node *n, const struct at *from)
{
	unsigned int flags = m->whiteout ? 0 : RENAME_NOREPLACE;
	int e;

	if (renameat2(from->dirfd, from->name, m->at.dirfd, m->at.name, flags) < 0)
		return -errno;
	e = node_move(m->u, n, m->dir, m->at.name);
	if (e)
		take_name_back(m);
	else
		node_set_orphan(m->u, n, false);
	return e;
}

static int link_fn(struct making *m)
{
	struct linking *l = container_of(m, struct linking, m);
	struct node *n = l->from;
	struct stat st;
	struct at from;
	int e = making_check_free(m);

	if (!e)
		e = upper_stat_node(m->u, n, &st);
	if (!e && S_ISDIR(st.st_mode))
		e = -EPERM;
	/* A deleted file does not come back; of one by O_TMPFILE its client alone knows. */
	if (!e && !st.st_nlink && !(n->orphan && m->exclusive))
		e = -ENOENT;
	if (!e && n->shown != (n->ino | m->u->upper.ino_bit))
		e = copyup_mark_impure(m->u, m->dir);
	if (!e)
		e = node_at(m->u, n, &from);
	if (e)
		return e;
	m->perm.mode = st.st_mode;
	e = n->data ? keep_data(m->u, n, &from) : 0;
	if (!e)
		e = m->exclusive && n->orphan ? name_orphan(m, n, &from) : link_to(m, &from);
	at_put(m->u, &from);
	return e;
}

ssize_t op_link(struct request *r)
{
	const struct wire_link_in *in = r->arg;
	struct linking l = { 0 };
	struct inode from;
	struct stat st;
	ssize_t n;
	int e = inode_pin(r->u, in->oldnodeid, &from);

	if (e)
		return request_fail(r, e);
	pthread_rwlock_rdlock(&r->u->tree);
	e = inode_stat(r->u, &from, &st);
	pthread_rwlock_unlock(&r->u->tree);
	if (!e)
		e = S_ISDIR(st.st_mode) ? -EPERM : copyup_file(r->u, &from, COPYUP_META);
	if (!e) {
		l.from = from.node;
		l.m.exclusive = from.node->orphan && r->u->mode != UFS_UPPER_PLAIN;
		l.m.take_back = l.m.exclusive ? take_name_back : NULL;
		n = making_reply(r, &l.m, link_fn);
	} else {
		n = request_fail(r, e);
	}
	inode_unpin(r->u, &from);
	return n;
}

/* ---- TMPFILE ---- */

/* Its place is among the orphans, as if it had lost its name; its name there is its nodeid. */
static int place_nameless(struct making *m, struct node **ret, struct stat *st)
{
	struct at at = made_at(m->u, &m->made);
	char name[24];
	int e;

	if (fstatat(at.dirfd, at.name, st, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW) < 0)
		return -errno;
	snprintf(name, sizeof(name), "%llx", (unsigned long long)upper_nodeid(m->u, st->st_ino));
	at = (struct at){ .dirfd = m->u->upper.orphans, .name = name };
	st->st_ino = 0; /* it has a link then */
	e = made_put(m->u, &m->made, &at, false, false);
	if (!e)
		e = view_made(m->u, m->u->nodes.orphans, &at, ret, st);
	if (e)
		return e;
	node_set_orphan(m->u, *ret, true);
	st->st_nlink = 0;
	making_introduce(m, *ret);
	return 0;
}

/* Tree lock written. */
static int make_nameless(struct request *r, struct making *m, struct node **ret, struct stat *st)
{
	struct inode dir;
	int e = inode_pin(r->u, r->h.nodeid, &dir);

	if (e)
		return e;
	e = view_dir_up(r->u, &dir, &m->dir);
	inode_unpin(r->u, &dir);
	if (e)
		return e;
	e = node_at_child(r->u, m->dir, ".", &m->at);
	if (!e) {
		e = making_prepare(m);
		if (!e)
			e = place_nameless(m, ret, st);
		made_drop(r->u, &m->made);
		at_put(r->u, &m->at);
	}
	node_put(r->u, m->dir);
	return e;
}

ssize_t op_tmpfile(struct request *r)
{
	const struct wire_create_in *in = r->arg;
	struct making m = { .r = r, .u = r->u, .made = MADE_NONE, .umask = in->umask };
	struct {
		struct wire_entry_out entry;
		struct wire_open_out open;
	} o = { 0 };
	struct node *n = NULL;
	struct stat st;
	int e;

	if (r->u->mode == UFS_UPPER_PLAIN)
		return request_fail(r, -EOPNOTSUPP);
	m.perm = request_owner(r, S_IFREG | (in->mode & 07777));
	pthread_rwlock_wrlock(&r->u->tree);
	e = make_nameless(r, &m, &n, &st);
	pthread_rwlock_unlock(&r->u->tree);
	if (!n)
		return request_fail(r, e);
	request_entry(r, n->id, &st, &o.entry);
	node_put(r->u, n);
	return request_reply(r, 0, &o, sizeof(o));
}
