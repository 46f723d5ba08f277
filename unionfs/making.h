/* SPDX-License-Identifier: Apache-2.0 */
/* What MKNOD, MKDIR, SYMLINK, TMPFILE and LINK have in common. */
#ifndef UNIONFS_MAKING_H
#define UNIONFS_MAKING_H

#include "unionfs/made.h"
#include "unionfs/request.h"

/* What is to be made, and where. */
struct making {
	struct request *r;
	struct ufs *u;
	struct node *dir;
	struct at at;
	struct perm perm;
	uint32_t umask;
	const char *target;
	struct made made;
	struct stat st; /* of what was made; st_ino 0: not looked at */
	bool whiteout;	/* stands at the place */
	bool beneath;	/* a lower has that name */
	bool exclusive; /* the tree lock is to be written */
	/* undoes what was done when it cannot be told of; NULL: it goes */
	void (*take_back)(struct making *m);
};

/* -EEXIST; else whether a whiteout stands there, and whether a lower has the name. */
int making_check_free(struct making *m);
/* Made, finished, with what the directory hands down, but in no place yet. Not for a plain top. */
int making_prepare(struct making *m);
/*
 * Under the tree lock, in the request's directory, which is in the upper then, at its first name:
 * does @fn, and replies with the entry that is there.
 */
ssize_t making_reply(struct request *r, struct making *m, int (*fn)(struct making *m));
/* The client knows @n, which was just made; its descriptor will do for its data. */
void making_introduce(struct making *m, struct node *n);

#endif
