/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The upper and work directories: docs/formats/union.md. A thing in the upper is named by its
 * place, a directory's descriptor and a name in it ("" the directory itself). The two dialects
 * differ in where owner, mode and type stand.
 */
#ifndef UNIONFS_UPPER_H
#define UNIONFS_UPPER_H

#include "unionfs/node.h"
#include "unionfs/unionfs.h"

#include <dirent.h>
#include <sys/stat.h>

struct fd_ref;
struct dialect;

struct upper {
	const struct dialect *dialect;
	int root, work, tmp, orphans;
	bool user; /* P is "user.", else "trusted." */
	/*
	 * Or'ed into st_ino: above an index NODE_UPPER_BIT, and of a top that is a copy its
	 * generation (unionfs/clone.h).
	 */
	uint64_t ino_bit;
	dev_t dev;
	uid_t uid; /* whom we serve as; PLAIN: shown as 0 */
	gid_t gid;
	atomic_bool no_clones; /* the file system has no FICLONE */
	atomic_int nameless;   /* files are made without a name: made.h; 0 = nobody has tried */
	atomic_int in_place;   /* likewise: made_fits_in_place() */
	atomic_uint_fast64_t next_tmp;
};

int upper_init(struct ufs *u, const struct ufs_config *cfg);
void upper_done(struct ufs *u);
/* Whether its file system keeps POSIX ACLs; a mapped one's are xattrs of ours. */
bool upper_takes_acls(const struct ufs *u);

/* A place; the name belongs to whoever filled it in. */
struct at {
	int dirfd;
	const char *name;
	struct fd_ref *ref;
};
/* Where the node is / the name @name in directory @dir is. Tree lock held until at_put(). */
int node_at(struct ufs *u, struct node *n, struct at *ret);
int node_at_child(struct ufs *u, struct node *dir, const char *name, struct at *ret);
void at_put(struct ufs *u, struct at *at);
/*
 * As fstatat(2), never through a symbolic link; *@ret_attributes: statx(2)'s STATX_ATTR_*, for
 * nothing more.
 */
int at_stat(const struct at *at, struct stat *ret, uint64_t *ret_attributes);
/* When it was made; false: the file system does not say. */
bool at_born(const struct at *at, struct timespec *ret);
int at_set_times(const struct at *at, const struct timespec times[2]);
/*
 * The file of a regular @n, open for reading and writing, held. Takes the tree lock if it must open
 * it. node_file(): it has its bytes, for whoever changes them.
 */
int node_fd(struct ufs *u, struct node *n, struct fd_ref **ret);
int node_file(struct ufs *u, struct node *n, struct fd_ref **ret);
/* A metacopy file gets its bytes. Tree lock held. */
int node_complete(struct ufs *u, struct node *n);

/*
 * What is there as the client sees it, but for st_ino and the correction of links: st and, from it,
 * who owns it.
 */
int upper_load(struct ufs *u, const struct at *at, struct stat *st, struct perm *ret);
/* The same where @st, the file's own, is known. */
int upper_load_found(struct ufs *u, const struct at *at, struct stat *st, struct perm *ret);
/* As upper_load() for a node, whose owner is known; st_ino and st_nlink are the client's. */
int upper_stat_node(struct ufs *u, struct node *n, struct stat *ret);
/* The same where @st, the file's own, is known. */
void upper_show(struct ufs *u, struct node *n, struct stat *st);
bool upper_is_whiteout(const struct stat *st);

/* A name in work/tmp. */
struct tmp_name {
	char s[24];
};
struct tmp_name upper_tmp_name(struct ufs *u);
void upper_discard(struct ufs *u, const struct tmp_name *tmp);
/*
 * Makes a whiteout at @at: -EEXIST; or in work/tmp. They are links of one, as overlayfs makes them.
 */
int upper_whiteout_at(struct ufs *u, const struct at *at);
int upper_make_whiteout(struct ufs *u, struct tmp_name *ret);
/* Gives @at another owner or mode. */
int upper_set_perm(struct ufs *u, const struct at *at, const struct perm *from,
		   const struct perm *to);
ssize_t upper_readlink(struct ufs *u, const struct at *at, char *buf, size_t size);
void upper_drop_orphan(struct ufs *u, const char *name, bool dir);

/*
 * Names of xattrs. A client may use overlayfs' own (it mounts an overlay here): they stand on disk
 * with "overlay." twice, as overlayfs keeps them, in a lower and in a native upper.
 * xname_store(): the name on disk; -EPERM: ours; -EINVAL, -ERANGE, -EOPNOTSUPP: no name.
 * xname_show(): the client's name; false: it is not the client's.
 */
int xname_store(const struct ufs *u, const char *name, char ret[256]);
bool xname_show(const struct ufs *u, const char *stored, char ret[256]);
/* As lower_getxattr() and lower_listxattr(), of what the client sees. */
ssize_t xname_get_lower(struct ufs *u, uint64_t id, const char *name, void *value, size_t size);
ssize_t xname_list_lower(struct ufs *u, uint64_t id, char *list, size_t size);
/* xattrs as the client names them. -EPERM: a name that is ours. */
bool upper_hides(const struct ufs *u, const char *name);
ssize_t upper_getxattr(struct ufs *u, const struct at *at, const char *name, void *value,
		       size_t size);
int upper_setxattr(struct ufs *u, const struct at *at, const char *name, const void *value,
		   size_t size, int flags);
int upper_removexattr(struct ufs *u, const struct at *at, const char *name);
ssize_t upper_listxattr(struct ufs *u, const struct at *at, char *list, size_t size);

/* Our own marks: "overlay.opaque", "overlay.impure". */
bool upper_marked(struct ufs *u, const struct at *at, const char *mark);
/* Which marks a thing may have: one call tells of what has none. */
enum {
	MARK_ORIGIN = 1 << 0,
	MARK_METACOPY = 1 << 1,
	MARK_OPAQUE = 1 << 2,
	MARK_REDIRECT = 1 << 3,
	MARK_IMPURE = 1 << 4,
	MARK_PROTECT = 1 << 5,
	MARK_LINKING = 1 << 6,
};
unsigned int upper_marks(struct ufs *u, const struct at *at);
int upper_mark(struct ufs *u, const struct at *at, const char *mark);
int upper_unmark(struct ufs *u, const struct at *at, const char *mark);
/* The st_ino that a copied-up thing had: 0 or -ENODATA. */
int upper_origin(struct ufs *u, const struct at *at, uint64_t *ret);
/* The nodeid of what was born here with that st_ino. */
uint64_t upper_nodeid(const struct ufs *u, uint64_t ino);
int upper_set_origin(struct ufs *u, const struct at *at, uint64_t ino);

/* ---- the dialects: upper_native.c, upper_mapped.c, upper_plain.c ---- */

struct dialect {
	/* From @st, whose owner, mode, type and size it puts right. */
	int (*load)(struct ufs *u, const struct at *at, struct stat *st, struct perm *ret);
	/* In work/tmp; not for a plain top. */
	int (*make)(struct ufs *u, const char *tmp, const struct perm *p, const char *target);
	int (*set_perm)(struct ufs *u, const struct at *at, const struct perm *from,
			const struct perm *to);
	ssize_t (*readlink)(struct ufs *u, const struct at *at, char *buf, size_t size);
	/*
	 * The name on disk of the client's @name, and back: as xname_store() and xname_show().
	 */
	int (*xname)(const struct ufs *u, const char *name, char ret[256]);
	bool (*xname_back)(const struct ufs *u, const char *stored, char ret[256]);
};
extern const struct dialect dialect_native, dialect_mapped, dialect_plain;

#endif
