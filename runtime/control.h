/* SPDX-License-Identifier: Apache-2.0 */
/* The control socket: its messages (docs/formats/instance.md), and the supervisor's side of it. */
#ifndef RUNTIME_CONTROL_H
#define RUNTIME_CONTROL_H

#include "base/loop.h"
#include <stdbool.h>
#include <stdint.h>

#define CONTROL_SOCKET "control"

enum control_kind {
	CONTROL_KILL = 1,
	CONTROL_STOP,
	CONTROL_RESIZE,
	CONTROL_WAIT,
	CONTROL_PAUSE,
	CONTROL_MEMORY, /* a: MiB */
	CONTROL_CHECKPOINT,
	CONTROL_ATTACH, /* the reply has a descriptor with it */
	CONTROL_CLONE,	/* a: the pid of who makes clones */
	CONTROL_STATS,	/* the reply has a descriptor with it */
};

struct control_request {
	uint32_t kind;
	int32_t a, b;
};

struct control_reply {
	int32_t result, exit_code, oom_killed;
};

/* What the supervisor does; 0 or -errno. stop: begins, the answer comes by control_ended(). */
struct control_handler {
	int (*kill)(void *ctx, int sig);
	int (*stop)(void *ctx, int sig, int timeout_ms);
	int (*resize)(void *ctx, unsigned rows, unsigned cols);
	int (*pause)(void *ctx, bool paused);
	int (*memory)(void *ctx, unsigned mib);
	int (*checkpoint)(void *ctx); /* 0: it ends now, and that is the answer */
	int (*attach)(void *ctx, int *ret_fd);
	int (*clone)(void *ctx, pid_t pid);
	int (*stats)(void *ctx, int *ret_fd);
};

struct control;

/* Listens in the directory @dir; serves from @loop. */
int control_new(struct loop *loop, int dir, const struct control_handler *handler, void *ctx,
		struct control **ret);
/* Answers all who wait for the end, and whoever asks from now on. */
void control_ended(struct control *c, int exit_code, bool oom_killed);
/* Closes all connections: the clients see that the supervisor goes. */
void control_free(struct control *c);

#endif
