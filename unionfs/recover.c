/* SPDX-License-Identifier: Apache-2.0 */
/* Was it done? The names say so: a change of names is one step on the disk. */
#include "unionfs/recover.h"

#include "base/dir.h"
#include "unionfs/copyup.h"
#include "unionfs/view.h"

#include <errno.h>
#include <linux/fs.h>

enum verdict_rule {
	REPEAT, /* doing it twice is doing it once */
	MAKES,	/* its name was not there, and now is */
	TAKES,	/* its name was there, and now is not */
	MOVES,
	SETS_X,	 /* an xattr that was not there (XATTR_CREATE), and now is */
	TAKES_X, /* an xattr that was there, and now is not */
};

static const uint8_t rules[WIRE_OPCODES] = {
	[WIRE_SYMLINK] = MAKES,	      [WIRE_MKNOD] = MAKES,   [WIRE_MKDIR] = MAKES,
	[WIRE_LINK] = MAKES,	      [WIRE_UNLINK] = TAKES,  [WIRE_RMDIR] = TAKES,
	[WIRE_RENAME] = MOVES,	      [WIRE_RENAME2] = MOVES, [WIRE_SETXATTR] = SETS_X,
	[WIRE_REMOVEXATTR] = TAKES_X,
};

enum recover_notes recover_notes(const struct request *r)
{
	switch (r->h.opcode < WIRE_OPCODES ? rules[r->h.opcode] : REPEAT) {
	case REPEAT:
		return RECOVER_NOTHING;
	case SETS_X:
	case TAKES_X:
		return RECOVER_XATTR;
	}
	return RECOVER_NAMES;
}

/* ---- what stands at a name ---- */

static int note_name(struct ufs *u, uint64_t dirid, const char *name, uint64_t *ret)
{
	struct inode dir;
	struct found f;
	int e = inode_pin(u, dirid, &dir);

	if (e)
		return e;
	ufs_lock_names(u);
	e = view_lookup(u, &dir, name, &f);
	pthread_rwlock_unlock(&u->tree);
	inode_unpin(u, &dir);
	*ret = e ? 0 : inode_id(&f.inode);
	if (!e)
		inode_unpin(u, &f.inode);
	return e == -ENOENT ? 0 : e;
}

static uint64_t new_directory(const struct request *r)
{
	if (r->h.opcode == WIRE_RENAME)
		return ((const struct wire_rename_in *)r->arg)->newdir;
	return ((const struct wire_rename2_in *)r->arg)->newdir;
}

static bool exchanges(const struct request *r)
{
	return r->h.opcode == WIRE_RENAME2 &&
	       ((const struct wire_rename2_in *)r->arg)->flags & RENAME_EXCHANGE;
}

static int note_xattr(struct request *r, uint64_t *ret)
{
	struct inode i;
	struct at at;
	ssize_t n = -ENODATA;
	int e = inode_pin(r->u, r->h.nodeid, &i);

	if (e)
		return e;
	pthread_rwlock_rdlock(&r->u->tree);
	if (i.node) {
		e = node_at(r->u, i.node, &at);
		if (!e) {
			n = upper_getxattr(r->u, &at, r->name[0], NULL, 0);
			at_put(r->u, &at);
		}
	} else {
		n = xname_get_lower(r->u, i.lower, r->name[0], NULL, 0);
	}
	pthread_rwlock_unlock(&r->u->tree);
	inode_unpin(r->u, &i);
	*ret = n >= 0;
	return e;
}

int recover_note(struct request *r, uint64_t ret[JOURNAL_NAMES])
{
	int e;

	ret[0] = ret[1] = 0;
	switch (rules[r->h.opcode]) {
	case MAKES:
	case TAKES:
		return note_name(r->u, r->h.nodeid, r->name[0], &ret[0]);
	case MOVES:
		e = note_name(r->u, r->h.nodeid, r->name[0], &ret[0]);
		return e ? e : note_name(r->u, new_directory(r), r->name[1], &ret[1]);
	case SETS_X:
	case TAKES_X:
		return note_xattr(r, &ret[0]);
	}
	return 0;
}

int recover_was_done(struct request *r, const uint64_t noted[JOURNAL_NAMES], bool *ret)
{
	uint64_t now[JOURNAL_NAMES];
	int e = recover_note(r, now);

	if (e)
		return e;
	switch (rules[r->h.opcode]) {
	case MAKES:
	case SETS_X:
		*ret = !noted[0] && now[0];
		break;
	case TAKES:
	case TAKES_X:
		*ret = noted[0] && now[0] != noted[0];
		break;
	case MOVES:
		*ret = noted[0] && noted[0] != noted[1] && now[1] == noted[0] &&
		       now[0] == (exchanges(r) ? noted[1] : 0);
		break;
	default:
		*ret = false;
	}
	return 0;
}

ssize_t recover_answer(struct request *r)
{
	return rules[r->h.opcode] == MAKES ? op_lookup(r) : request_fail(r, 0);
}

/* ---- the nodes that the client may know ---- */

/* Directories that are still to be looked into, pinned. */
struct scan {
	struct ufs *u;
	struct node **dirs;
	size_t n, cap;
};

/*
 * How often the client was told of it, nobody knows: once at least, and what it forgets it forgets
 * whole (Linux sends one FORGET with all when it drops an inode).
 */
static void known(struct ufs *u, struct node *n)
{
	pthread_mutex_lock(&u->nodes.lock);
	if (!n->lookups)
		n->lookups = 1;
	pthread_mutex_unlock(&u->nodes.lock);
	n->fresh = n->kept;
}

static int found(struct scan *s, struct node *n)
{
	int e = 0;

	known(s->u, n);
	if (n->linking)
		e = copyup_links(s->u, n);
	if (!S_ISDIR(n->type)) {
		node_put(s->u, n);
		return e;
	}
	if (mem_grow(&s->dirs, &s->cap, s->n + 1, sizeof(*s->dirs)) < 0) {
		node_put(s->u, n);
		return -ENOMEM;
	}
	s->dirs[s->n++] = n;
	return 0;
}

static int scan_entry(struct scan *s, struct node *dir, const struct at *at)
{
	enum upper_kind kind;
	struct node *n;
	int e = view_upper(s->u, at, &kind);

	if (e || kind != UPPER_THING)
		return e;
	e = view_node(s->u, dir, at, &n);
	/* Something else that was mounted or moved in there is not ours to serve. */
	if (e)
		return e == -EXDEV ? 0 : e;
	/* Another name of a file that was found before. */
	if (S_ISDIR(n->type) && (n->parent != dir || n->lookups)) {
		node_put(s->u, n);
		return 0;
	}
	return found(s, n);
}

static int each_entry(int fd, int (*fn)(struct scan *s, struct node *dir, const struct at *at),
		      struct scan *s, struct node *dir)
{
	_closedir_ DIR *d = dir_take(fd);
	struct dirent *entry;
	int e = 0;

	if (!d)
		return -errno;
	while (!e && (entry = dir_next(d))) {
		struct at at = { .dirfd = dirfd(d), .name = entry->d_name };

		e = fn(s, dir, &at);
	}
	return e;
}

static int scan_dir(struct scan *s, struct node *dir)
{
	struct at at;
	int fd, e = node_at(s->u, dir, &at);

	if (e)
		return e;
	fd = openat(at.dirfd, *at.name ? at.name : ".",
		    O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	e = fd < 0 ? -errno : 0;
	at_put(s->u, &at);
	return e ? e : each_entry(fd, scan_entry, s, dir);
}

/* Its name is its nodeid. What has a name in the tree too is what a killed removal began. */
static int scan_orphan(struct scan *s, struct node *orphans, const struct at *at)
{
	struct node like = {
		.parent = orphans, .name = (char *)at->name, .orphan = true, .fixed_fd = -1
	};
	struct ufs *u = s->u;
	struct node *n;
	struct stat st;
	char *end;
	int e;

	like.id = strtoull(at->name, &end, 16);
	if (*end || fstatat(at->dirfd, at->name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
	    upper_is_whiteout(&st))
		return fd_remove_tree(at->dirfd, at->name);
	n = node_get_by_ino(u, st.st_ino);
	if (n) {
		node_put(u, n);
		return unlinkat(at->dirfd, at->name, 0) < 0 ? -errno : 0;
	}
	e = upper_load(u, at, &st, &like.perm);
	if (e)
		return e;
	like.ino = st.st_ino;
	like.kept = like.id < NODE_UPPER_BIT;
	if (upper_origin(u, at, &like.shown) < 0)
		like.shown = like.ino | u->upper.ino_bit;
	n = node_add(u, &like);
	if (!n)
		return -ENOMEM;
	known(u, n);
	node_put(u, n);
	return 0;
}

static int scan_orphans(struct scan *s)
{
	int fd = openat(s->u->upper.orphans, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? -errno : each_entry(fd, scan_orphan, s, s->u->nodes.orphans);
}

int recover_nodes(struct ufs *u)
{
	struct scan s = { .u = u };
	int e;

	pthread_rwlock_wrlock(&u->tree);
	e = scan_dir(&s, u->nodes.root);
	while (!e && s.n) {
		struct node *dir = s.dirs[--s.n];

		e = scan_dir(&s, dir);
		node_put(u, dir);
	}
	while (s.n)
		node_put(u, s.dirs[--s.n]);
	free(s.dirs);
	if (!e)
		e = scan_orphans(&s);
	pthread_rwlock_unlock(&u->tree);
	return e;
}
