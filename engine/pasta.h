/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The network of a container: pasta(1), which turns its connections into ones of the host's, from
 * a device in a network namespace that is made for it. Namespace and pasta belong to a holder, a
 * process that is the init of their pid namespace and dies with who started it: nothing of them
 * outlives a killed supervisor.
 *
 * Holder and pasta are a user of the instance's own without a capability of the host's. The
 * network namespace belongs to a user namespace of that user's, so that pasta may arrange it, and
 * the container's root, who is another user, may not.
 */
#ifndef ENGINE_PASTA_H
#define ENGINE_PASTA_H

#include "engine/spec.h"

struct pasta {
	int netns; /* with its eth0 up */
	int pidfd; /* of the holder, a child of ours; it ends when pasta does */
};

#define PASTA_NONE ((struct pasta){ .netns = -1, .pidfd = -1 })

/*
 * Starts one for @spec, with its published ports; returns when its network is ready. What it has
 * to say goes to @log_fd. For a process of one thread.
 */
int pasta_start(const struct run_spec *spec, int log_fd, struct pasta *ret);
/* Ends it, and waits for that. */
void pasta_end(struct pasta *p);

#endif
