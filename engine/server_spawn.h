/* SPDX-License-Identifier: Apache-2.0 */
/* Starts strata-server on a FUSE mount's descriptor. */
#ifndef ENGINE_SERVER_SPAWN_H
#define ENGINE_SERVER_SPAWN_H

#include "engine/rootfs.h"

struct server_spawn {
	const char *upper; /* its word for the top: engine/server.c */
	int fuse_fd;
	int upper_fd, work_fd; /* -1: the word is "none" */
	int log_fd;	       /* where it writes what goes wrong; -1: nowhere */
	const struct stack *stack;
};

/*
 * Comes back when it serves, or with -errno and its own text. It alone is to keep /dev/fuse open:
 * with it the connection ends, so the caller closes @w->fuse_fd then.
 */
int server_spawn(struct store *s, const struct server_spawn *w, pid_t *ret_pid, int *ret_pidfd);
/*
 * The mount's last reference has gone, so the kernel ends the connection and the server ends by
 * itself: waits for that, and closes @pidfd. One that @must end is killed when it takes long.
 */
void server_end(int pidfd, bool must);

#endif
