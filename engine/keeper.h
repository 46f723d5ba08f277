/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The keeper of a mount: strata-server itself, which holds /dev/fuse and the journal, and a child
 * of it that serves. When the child is killed, another takes over, and the mount's users have
 * waited a moment. SIGHUP: the child is killed, and the keeper becomes the program that stands at
 * its own path by then, with the same descriptors.
 */
#ifndef ENGINE_KEEPER_H
#define ENGINE_KEEPER_H

#include <stdbool.h>
#include <sys/types.h>

struct journal;

struct keeper {
	char **argv; /* argv[0]: its own path */
	int journal_fd;
	/*
	 * Serves, in the child, until the unmount: 0, or -errno with a text, which is the end of
	 * the mount. @recover: a server before it was killed.
	 */
	int (*serve)(void *ctx, struct journal *j, bool recover);
	/* The child is made: whatever is only its own is to be closed here. NULL: nothing. */
	void (*forked)(void *ctx);
	/*
	 * Starts a process beside it, and again whenever that one was killed; NULL: there is none.
	 * @given_up is called when it will not live.
	 */
	int (*beside)(void *ctx, pid_t *ret);
	void (*given_up)(void *ctx);
	void *ctx;
};

/*
 * Keeps the mount to its end: 0 when it was unmounted; else -errno, and why is in the log. Then
 * the process is to end, and with it the connection. For a process of one thread.
 */
int keeper_run(const struct keeper *k);

#endif
