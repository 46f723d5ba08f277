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

#include <sys/stat.h>

struct fd_ref;
struct dialect;

struct upper {
	const struct dialect *dialect;
	int root, work, tmp, orphans;
	bool user;	  /* P is "user.", else "trusted." */
	uint64_t ino_bit; /* NODE_UPPER_BIT above an index: or'ed into st_ino */
	dev_t dev;
	uid_t uid; /* PLAIN: whom we serve as, shown as 0 */
	gid_t gid;
	bool nameless; /* files are made without a name: made.h */
	atomic_uint_fast64_t next_tmp;
};

int upper_init(struct ufs *u, const struct ufs_config *cfg);
void upper_done(struct ufs *u);

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
int at_set_times(const struct at *at, const struct timespec times[2]);
/*
 * The file of a regular @n, open for reading and writing, held. Takes the tree lock if it must open
 * it.
 */
int node_file(struct ufs *u, struct node *n, struct fd_ref **ret);
/*
 * Before @n gets another name: overlayfs would look for the bytes of a metacopy file by that. Tree
 * lock held.
 */
int node_complete(struct ufs *u, struct node *n);

/*
 * What is there as the client sees it, but for st_ino and the correction of links: st and, from it,
 * who owns it.
 */
int upper_load(struct ufs *u, const struct at *at, struct stat *st, struct perm *ret);
/* As upper_load() for a node, whose owner is known; st_ino and st_nlink are the client's. */
int upper_stat_node(struct ufs *u, struct node *n, struct stat *ret);
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
int upper_mark(struct ufs *u, const struct at *at, const char *mark);
/* The st_ino that a copied-up thing had: 0 or -ENODATA. */
int upper_origin(struct ufs *u, const struct at *at, uint64_t *ret);
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
	 * The name on disk of the client's @name; -EPERM: ours. And back: NULL when it is not the
	 * client's.
	 */
	int (*xname)(const struct ufs *u, const char *name, char ret[256]);
	const char *(*xname_back)(const struct ufs *u, const char *stored);
};
extern const struct dialect dialect_native, dialect_mapped, dialect_plain;

#endif
