/* SPDX-License-Identifier: Apache-2.0 */
#include "unionfs/acl.h"
#include "unionfs/copyup.h"
#include "unionfs/made.h"
#include "unionfs/request.h"
#include "unionfs/upper_plain.h"
#include "unionfs/view.h"

#include <errno.h>
#include <sys/sysmacros.h>

/* What is to be made, and where. */
struct making {
	struct ufs *u;
	struct node *dir;
	struct at at;
	struct perm perm;
	uint32_t umask;
	const char *target;
	struct made made;
	bool whiteout; /* stands at the place */
	bool beneath;  /* a lower has that name */
};

static int check_free(struct making *m)
{
	const struct inode dir = { .node = m->dir, .lower = m->dir->lower };
	enum upper_kind kind;
	int e = view_upper(m->u, &m->at, &kind);

	if (!e && kind == UPPER_THING)
		e = -EEXIST;
	if (!e)
		e = view_beneath(m->u, &dir, m->at.name, &m->beneath);
	m->whiteout = kind == UPPER_WHITEOUT;
	return !e && m->beneath && !m->whiteout ? -EEXIST : e;
}

/*
 * Group and mode that the directory hands down; the ACL too, when it has a default one: *@ret_acl,
 * its length.
 */
static int inherit(struct making *m, char acl[ACL_MAX], char deflt[ACL_MAX], size_t *ret_acl,
		   size_t *ret_default)
{
	struct stat st;
	struct at dir;
	ssize_t n;
	int e = upper_stat_node(m->u, m->dir, &st);

	if (e)
		return e;
	if (st.st_mode & S_ISGID) {
		m->perm.gid = st.st_gid;
		if (S_ISDIR(m->perm.mode))
			m->perm.mode |= S_ISGID;
	}
	*ret_acl = *ret_default = 0;
	if (S_ISLNK(m->perm.mode))
		return 0;
	e = node_at(m->u, m->dir, &dir);
	if (e)
		return e;
	n = upper_getxattr(m->u, &dir, ACL_DEFAULT, deflt, ACL_MAX);
	at_put(m->u, &dir);
	if (n <= 0 || acl_check(deflt, (size_t)n) < 0) {
		m->perm.mode &= ~(m->umask & 0777);
		return 0;
	}
	memcpy(acl, deflt, (size_t)n);
	if (acl_inherit(acl, (size_t)n, &m->perm.mode))
		*ret_acl = (size_t)n;
	if (S_ISDIR(m->perm.mode))
		*ret_default = (size_t)n;
	return 0;
}

static int finish(struct making *m, const struct at *tmp, const char *acl, size_t acl_len,
		  const char *deflt, size_t default_len)
{
	int e = 0;

	if (acl_len)
		e = upper_setxattr(m->u, tmp, ACL_ACCESS, acl, acl_len, 0);
	if (!e && default_len)
		e = upper_setxattr(m->u, tmp, ACL_DEFAULT, deflt, default_len, 0);
	/* What was removed here must not shine through. */
	if (!e && S_ISDIR(m->perm.mode) && (m->whiteout || m->beneath))
		e = upper_mark(m->u, tmp, "overlay.opaque");
	return e;
}

static int make(struct making *m)
{
	char acl[ACL_MAX], deflt[ACL_MAX];
	size_t acl_len, default_len;
	struct at at;
	int e = check_free(m);

	if (!e)
		e = inherit(m, acl, deflt, &acl_len, &default_len);
	if (!e && m->u->mode == UFS_UPPER_PLAIN)
		return plain_make(m->u, &m->at, &m->perm, m->target, &m->made.fd);
	if (!e)
		e = made_new(m->u, m->at.dirfd, &m->perm, m->target, &m->made);
	if (e)
		return e;
	at = made_at(m->u, &m->made);
	e = finish(m, &at, acl, acl_len, deflt, default_len);
	if (!e)
		e = made_put(m->u, &m->made, &m->at, m->whiteout, S_ISDIR(m->perm.mode));
	return e;
}

/* The new name's node, which the client now knows. */
static int introduce(struct making *m, struct node **ret, struct stat *st)
{
	struct inode i;
	int e = view_node(m->u, m->dir, &m->at, ret);

	if (e)
		return e;
	i = (struct inode){ .node = *ret, .lower = (*ret)->lower };
	e = upper_stat_node(m->u, *ret, st);
	if (e) {
		node_put(m->u, *ret);
		return e;
	}
	view_remember(m->u, &i);
	/* It was made by a descriptor that will do for its data too. */
	if (m->made.fd >= 0 && S_ISREG((*ret)->type))
		fdcache_put(&m->u->fds, fdcache_add(&m->u->fds, (*ret)->id, FD_UPPER_FILE,
						    take_fd(m->made.fd)));
	return 0;
}

/* Under the tree lock: makes sure of the directory, does @fn there, answers with the new entry. */
static int in_directory(struct request *r, struct making *m, int (*fn)(struct making *m),
			struct node **ret, struct stat *st)
{
	struct inode dir;
	int e = inode_pin(r->u, r->h.nodeid, &dir);

	if (e)
		return e;
	m->u = r->u;
	m->made = MADE_NONE;
	e = view_dir_up(r->u, &dir, &m->dir);
	inode_unpin(r->u, &dir);
	if (e)
		return e;
	e = node_at_child(r->u, m->dir, r->name[0], &m->at);
	if (!e) {
		e = fn(m);
		if (!e) {
			listing_changed(&r->u->listings, m->dir->id);
			e = introduce(m, ret, st);
		}
		made_drop(r->u, &m->made);
		at_put(r->u, &m->at);
	}
	node_put(r->u, m->dir);
	return e;
}

static ssize_t make_and_reply(struct request *r, struct making *m, int (*fn)(struct making *m))
{
	struct node *n;
	struct stat st;
	ssize_t len;
	int e;

	ufs_lock_names(r->u);
	e = in_directory(r, m, fn, &n, &st);
	pthread_rwlock_unlock(&r->u->tree);
	if (e)
		return request_fail(r, e);
	len = request_reply_entry(r, n->id, &st);
	node_put(r->u, n);
	return len;
}

/* The kernel's new_decode_dev(). */
static dev_t decode_dev(uint32_t d)
{
	return makedev((d & 0xfff00) >> 8, (d & 0xff) | ((d >> 12) & 0xfff00));
}

ssize_t op_mknod(struct request *r)
{
	const struct wire_mknod_in *in = r->arg;
	struct making m = { .umask = in->umask };

	m.perm = (struct perm){ .mode = in->mode, .uid = r->h.uid, .gid = r->h.gid };
	if (!(in->mode & S_IFMT))
		m.perm.mode |= S_IFREG;
	switch (m.perm.mode & S_IFMT) {
	case S_IFCHR:
	case S_IFBLK:
		m.perm.rdev = decode_dev(in->rdev);
		/* That is what a whiteout looks like; overlayfs refuses it too. */
		if (S_ISCHR(m.perm.mode) && !m.perm.rdev)
			return request_fail(r, -EPERM);
		break;
	case S_IFREG:
	case S_IFIFO:
	case S_IFSOCK:
		break;
	default:
		return request_fail(r, -EINVAL);
	}
	m.perm.mode &= S_IFMT | 07777;
	return make_and_reply(r, &m, make);
}

ssize_t op_mkdir(struct request *r)
{
	const struct wire_mkdir_in *in = r->arg;
	struct making m = { .umask = in->umask };

	m.perm = (struct perm){ .mode = S_IFDIR | (in->mode & 07777),
				.uid = r->h.uid,
				.gid = r->h.gid };
	return make_and_reply(r, &m, make);
}

ssize_t op_symlink(struct request *r)
{
	struct making m = { .target = r->name[1] };

	m.perm = (struct perm){ .mode = S_IFLNK | 0777, .uid = r->h.uid, .gid = r->h.gid };
	return make_and_reply(r, &m, make);
}

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

static int link_fn(struct making *m)
{
	struct linking *l = container_of(m, struct linking, m);
	struct node *n = l->from;
	struct stat st;
	struct at from;
	int e = check_free(m);

	if (!e)
		e = upper_stat_node(m->u, n, &st);
	if (!e && S_ISDIR(st.st_mode))
		e = -EPERM;
	/* A file that was deleted does not come back. */
	if (!e && !st.st_nlink)
		e = -ENOENT;
	if (!e && n->shown != (n->ino | m->u->upper.ino_bit))
		e = copyup_mark_impure(m->u, m->dir);
	if (!e)
		e = node_complete(m->u, n);
	if (!e)
		e = node_at(m->u, n, &from);
	if (e)
		return e;
	m->perm.mode = st.st_mode;
	e = link_to(m, &from);
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
		e = S_ISDIR(st.st_mode) ? -EPERM : copyup_file(r->u, &from, COPYUP_ALL);
	if (!e) {
		l.from = from.node;
		n = make_and_reply(r, &l.m, link_fn);
	} else {
		n = request_fail(r, e);
	}
	inode_unpin(r->u, &from);
	return n;
}
