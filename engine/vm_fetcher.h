/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What fetches for a microVM whose image is still arriving: a process of the monitor's, outside
 * the jail. The VMM has the desk and one end of the door.
 */
#ifndef ENGINE_VM_FETCHER_H
#define ENGINE_VM_FETCHER_H

#include "base/loop.h"
#include "engine/arrival.h"

struct vm_fetcher {
	struct arrival_fds fds; /* n 0: all of the image is here */
	struct arrival_fetch fetch;
	struct arrival_deaths deaths;
	int pidfd; /* -1: none runs */
	struct loop *loop;
};

/*
 * @a and @root outlive it; @a NULL: there is nothing to fetch. It answers nobody before it began.
 */
int vm_fetcher_init(struct vm_fetcher *f, const struct arriving *a, const char *root, int log_fd);
/* The VMM has what is its own: from here it is answered. Minded by vm_fetcher_attach()'s loop. */
int vm_fetcher_begin(struct vm_fetcher *f);
int vm_fetcher_attach(struct vm_fetcher *f, struct loop *loop);
/* The process goes on with the rest by itself, and ends. */
void vm_fetcher_done(struct vm_fetcher *f);

#endif
