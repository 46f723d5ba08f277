/* SPDX-License-Identifier: Apache-2.0 */
/* Who a container runs as: the image's own /etc/passwd and /etc/group, read as a hostile text. */
#ifndef CONTAINER_PASSWD_H
#define CONTAINER_PASSWD_H

#include <limits.h>
#include <stddef.h>
#include <sys/types.h>

struct user {
	uid_t uid;
	gid_t gid;
	gid_t *groups; /* supplementary, the primary one first, as docker sets them */
	size_t ngroups, cap;
	char home[256]; /* "/" when passwd has none */
};

void user_done(struct user *u);

/*
 * Resolves "", "uid", "uid:gid", "name" or "name:group" against the files below the directory
 * @root, as docker does: a number needs no entry; a group after the colon replaces those that list
 * the user. 0, or -EINVAL with a text.
 */
int user_find(int root, const char *spec, struct user *ret);

#endif
