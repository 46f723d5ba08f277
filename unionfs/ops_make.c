/* SPDX-License-Identifier: Apache-2.0 */
#include "unionfs/acl.h"
#include "unionfs/making.h"
#include "unionfs/request.h"
#include "unionfs/upper_plain.h"
#include "unionfs/view.h"

#include <errno.h>
#include <sys/sysmacros.h>

int making_check_free(struct making *m)
{
	const struct inode dir = { .node = m->dir, .lower = m->dir->lower };
	enum upper_kind kind;
	int e = view_upper(m->u, &m->at, &kind);

	if (!e && kind == UPPER_THING)
		e = -EEXIST;
	if (!e)
		e = view_beneath(m->u, &dir, m->at.name, &m->beneath);
	m->whiteout = kind == UPPER_WHITEOUT;
	if (!e && m->beneath && !m->whiteout)
		e = -EEXIST;
	if (!e)
		request_note(m->r, 0, 0);
	return e;
}

/* The default ACL of the directory; that it has none, as most, is remembered. */
static ssize_t default_acl(struct making *m, char acl[ACL_MAX])
{
	unsigned int now = m->u->acl_changes;
	struct at dir;
	ssize_t n;
	int e;

	if (m->u->noacl || m->dir->acl_less == now)
		return 0;
	e = node_at(m->u, m->dir, &dir);
	if (e)
		return e;
	n = upper_getxattr(m->u, &dir, ACL_DEFAULT, acl, ACL_MAX);
	at_put(m->u, &dir);
	/* If one was set meanwhile, @now is of the past. */
	if (n == -ENODATA || n == -EOPNOTSUPP)
		m->dir->acl_less = now;
	return MAX(n, (ssize_t)0);
}

/*
 * Group and mode that the directory hands down; the ACL too, when it has a default one: *@ret_acl,
 * its length.
 */
static int inherit(struct making *m, char acl[ACL_MAX], char deflt[ACL_MAX], size_t *ret_acl,
		   size_t *ret_default)
{
	struct stat st;
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
	n = default_acl(m, deflt);
	if (n < 0)
		return (int)n;
	if (!n || acl_check(deflt, (size_t)n) < 0) {
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

int making_prepare(struct making *m)
{
	char acl[ACL_MAX], deflt[ACL_MAX];
	size_t acl_len, default_len;
	struct at at;
	int e = inherit(m, acl, deflt, &acl_len, &default_len);

	if (!e)
		e = made_new(m->u, m->at.dirfd, &m->perm, m->target, &m->made);
	if (e)
		return e;
	at = made_at(m->u, &m->made);
	return finish(m, &at, acl, acl_len, deflt, default_len);
}

static int make_plain(struct making *m)
{
	char acl[ACL_MAX], deflt[ACL_MAX];
	size_t acl_len, default_len;
	int e = inherit(m, acl, deflt, &acl_len, &default_len);

	return e ? e : plain_make(m->u, &m->at, &m->perm, m->target, &m->made.fd);
}

/*
 * The short way, for what needs nothing once it has its name. -EOPNOTSUPP: it cannot be had, or
 * something stands there.
 */
static int make_in_place(struct making *m)
{
	const struct inode dir = { .node = m->dir, .lower = m->dir->lower };
	struct perm perm = m->perm;
	int e;

	if (!m->u->noacl && m->dir->acl_less != m->u->acl_changes)
		return -EOPNOTSUPP;
	perm.mode &= ~(m->umask & 0777);
	if (!made_fits_in_place(m->u, &perm))
		return -EOPNOTSUPP;
	e = view_beneath(m->u, &dir, m->at.name, &m->beneath);
	if (e || m->beneath)
		return e ? e : -EOPNOTSUPP;
	request_note(m->r, 0, 0);
	m->made.fd = made_in_place(m->u, &m->at, &perm, &m->st);
	e = MIN(m->made.fd, 0);
	return e == -EEXIST ? -EOPNOTSUPP : e;
}

static int make(struct making *m)
{
	int e = make_in_place(m);

	if (e != -EOPNOTSUPP)
		return e;
	e = making_check_free(m);
	if (!e && m->u->mode == UFS_UPPER_PLAIN)
		return make_plain(m);
	if (!e)
		e = making_prepare(m);
	if (!e)
		e = made_put(m->u, &m->made, &m->at, m->whiteout, S_ISDIR(m->perm.mode));
	return e;
}

void making_introduce(struct making *m, struct node *n)
{
	const struct inode i = { .node = n, .lower = n->lower };

	view_remember(m->u, &i);
	if (m->made.fd >= 0 && S_ISREG(n->type))
		fdcache_put(&m->u->fds,
			    fdcache_add(&m->u->fds, n->id, FD_UPPER_FILE, take_fd(m->made.fd)));
}

/* What was made cannot be told of: it goes again, that the client is not told a lie. */
static void take_back(struct making *m)
{
	bool is_dir = S_ISDIR(m->perm.mode);
	struct tmp_name tmp;

	if (!m->whiteout) {
		made_take_back(m->u, &m->at, is_dir);
	} else if (upper_make_whiteout(m->u, &tmp) == 0) {
		const struct at at = { .dirfd = m->u->upper.tmp, .name = tmp.s };

		if (renameat2(at.dirfd, tmp.s, m->at.dirfd, m->at.name, RENAME_EXCHANGE) < 0)
			is_dir = false; /* the whiteout is there still */
		made_take_back(m->u, &at, is_dir);
	}
	listing_changed(&m->u->listings, m->dir->id);
}

/* Under the tree lock: makes sure of the directory, does @fn there, answers with the new entry. */
static int in_directory(struct request *r, struct making *m, int (*fn)(struct making *m),
			struct node **ret, struct stat *st)
{
	struct inode dir;
	int e = inode_pin(r->u, r->h.nodeid, &dir);

	if (e)
		return e;
	m->r = r;
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
			*st = m->st;
			e = view_made(m->u, m->dir, &m->at, ret, st);
			if (!e)
				making_introduce(m, *ret);
			else if (m->take_back)
				m->take_back(m);
			else
				take_back(m);
		}
		made_drop(r->u, &m->made);
		at_put(r->u, &m->at);
	}
	node_put(r->u, m->dir);
	return e;
}

ssize_t making_reply(struct request *r, struct making *m, int (*fn)(struct making *m))
{
	struct node *n = NULL;
	struct stat st;
	ssize_t len;
	int e;

	if (m->exclusive)
		pthread_rwlock_wrlock(&r->u->tree);
	else
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

	m.perm = request_owner(r, in->mode);
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
	return making_reply(r, &m, make);
}

ssize_t op_mkdir(struct request *r)
{
	const struct wire_mkdir_in *in = r->arg;
	struct making m = { .umask = in->umask };

	m.perm = request_owner(r, S_IFDIR | (in->mode & 07777));
	return making_reply(r, &m, make);
}

ssize_t op_symlink(struct request *r)
{
	struct making m = { .target = r->name[1] };

	m.perm = request_owner(r, S_IFLNK | 0777);
	return making_reply(r, &m, make);
}
