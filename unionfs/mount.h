/* SPDX-License-Identifier: Apache-2.0 */
/* The /dev/fuse carrier: a mount of the kernel, its threads, and the journal of what it asked. */
#ifndef UNIONFS_MOUNT_H
#define UNIONFS_MOUNT_H

#include <stdbool.h>
#include <stdint.h>

struct ufs;

/*
 * Mounts a FUSE file system and gives its detached mount (fsmount(2)) and its /dev/fuse descriptor:
 * move_mount(2) it where it belongs. Needs CAP_SYS_ADMIN. @source is what /proc/mounts shows.
 */
int ufs_mount(const char *source, bool rdonly, int *ret_fuse_fd, int *ret_mount_fd);
struct ufs_mount_options {
	const char *source;
	const char *subtype; /* NULL: none */
	bool rdonly;
	uint64_t attrs;	   /* MOUNT_ATTR_* of the mount */
	char *const *more; /* KEY=VALUE for the kernel's security module; NULL: none */
};
int ufs_mount_with(const struct ufs_mount_options *o, int *ret_fuse_fd, int *ret_mount_fd);

/*
 * Serves requests from @fuse_fd on @nthreads threads (1 to 64) until the file system is unmounted
 * (0) or the descriptor fails (-errno). The calling thread is one of them. @j, unless NULL, is what
 * another server needs to take over when this process dies; when one did (ufs_journal_used()), its
 * unanswered requests are asked for again first.
 */
struct journal;
int ufs_fuse_serve(struct ufs *u, int fuse_fd, int nthreads, struct journal *j);

/*
 * The journal of one mount, in the memory file @fd, which its keeper holds over all servers; a new
 * one is an empty file. -EPROTO: an older or newer program's. Close it after serving.
 */
int ufs_journal_open(int fd, struct journal **ret);
void ufs_journal_close(struct journal *j);
/* Whether a server has answered INIT. */
bool ufs_journal_used(const struct journal *j);
/* Whether the kernel sends again what is unanswered (FUSE_HAS_RESEND, Linux 6.9). Once used. */
bool ufs_journal_resends(const struct journal *j);
/* Requests that were answered by all servers: one that answers none makes no progress. */
uint64_t ufs_journal_served(const struct journal *j);

#endif
