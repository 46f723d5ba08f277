/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Beside who serves a stack that is still arriving: what it asks by, and strata-image fetch, which
 * has the network that the server has not (docs/formats/lazy.md).
 */
#ifndef ENGINE_ARRIVAL_H
#define ENGINE_ARRIVAL_H

#include "imagestore/imagestore.h"
#include <sys/types.h>

enum arrival_fd {
	ARRIVAL_TABLE, /* these three are the stack's (struct arriving) */
	ARRIVAL_STATE,
	ARRIVAL_DATA,
	ARRIVAL_DESK,
	ARRIVAL_DOOR,	 /* the server's end */
	ARRIVAL_FETCHER, /* and that of strata-image fetch */
	ARRIVAL_FDS
};

struct arrival_fds {
	int fds[ARRIVAL_FDS];
	size_t n; /* 0: all of the stack is here */
};

/* Makes desk and door; with @a NULL there is nothing to ask for. The stack's stay its own. */
int arrival_fds_make(const struct arriving *a, struct arrival_fds *ret);
/* Those that were made. */
void arrival_fds_close(struct arrival_fds *a);

struct arrival_fetch {
	const char *root; /* the store */
	const struct digest *manifest;
	int desk_fd, fetcher_fd, log_fd;
};
/*
 * Starts the process. It ends by itself, with status 0, when the door's other end is closed and
 * nothing is left to bring; when it was killed, the next one answers what was asked.
 */
int arrival_fetch_start(const struct arrival_fetch *f, pid_t *ret_pid, int *ret_pidfd);

/* Those that were killed, one after the other. */
struct arrival_deaths {
	int n;
	uint64_t first;
};
/* One more: whether another is worth a try. It is logged. */
bool arrival_fetch_again(struct arrival_deaths *d);

#endif
