/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Immutable and append-only things (chattr(1) +i, +a) as Linux fs/overlayfs/inode.c has them: a
 * lower's by its own flags, the upper's not as flags of its file, which would stop the union too,
 * but in its xattr "overlay.protattr", as the letters 'a' and 'i'. The client's kernel knows of
 * neither, so that it is the union that refuses, request by request: an open for writing is none.
 */
#ifndef UNIONFS_PROTECT_H
#define UNIONFS_PROTECT_H

#include "unionfs/node.h"

#include <linux/fs.h>

struct at;
struct request;

#define PROTECT_FLAGS ((unsigned int)(FS_APPEND_FL | FS_IMMUTABLE_FL))

/* What stands at @at of these flags. */
unsigned int protect_load(struct ufs *u, const struct at *at);
/* Writes them there: 0 or -errno. */
int protect_store(struct ufs *u, const struct at *at, unsigned int flags);
/* The node has them from now on. */
void protect_node(struct ufs *u, struct node *n, unsigned int flags);
/* 0, or -EPERM for what the request's things do not allow. */
int protect_check(struct request *r);

#endif
