/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where an instance's stdio goes. Neither terminal nor log: the command holds the client's own
 * descriptors and nothing passes here. Logged: pipes for stdout and stderr, each to the log and to
 * the client. A terminal: its master, to and from the client, and to the log (tty.c).
 *
 * Whoever attaches gets what is relayed. What they type goes to the terminal, or into a pipe that
 * the command has as its stdin when no client gave it one.
 */
#ifndef RUNTIME_OUTPUT_H
#define RUNTIME_OUTPUT_H

#include "base/detach_keys.h"
#include "runtime/attach.h"
#include "runtime/logfile.h"
#include "runtime/relay.h"

struct supervise;

struct output {
	struct loop *loop;
	const struct supervise *s;
	struct logfile log;
	bool log_failed;
	struct relay in, out, err;   /* in: a terminal's input only */
	struct detach_keys keys;     /* looked for in it */
	bool detached;		     /* they were typed */
	int (*left)(void *left_ctx); /* then; gives what a loop callback gives */
	void *left_ctx;
	int child[3]; /* what the command gets; -1 = /dev/null */
	int input;    /* where attached() is to write, until output_start(); or -1 */
	bool relayed; /* something passes here: it can be attached to */
	struct attachments attached;
	/* An output has ended; gives what a loop callback gives; NULL = nothing. */
	int (*over)(void *ctx);
	void *ctx;
};

/* An output that output_done() may be given. */
void output_none(struct output *o);
/* Opens log and pipes, so that child[] is what the command is to get. */
int output_init(struct output *o, struct loop *loop, const struct supervise *s);
/* Begins to relay, once the command is there with its @console or -1. */
int output_start(struct output *o, int console);
/* The command has ended: carries over what is still there, then calls over(). */
int output_closing(struct output *o);
/* The client of a terminal has gone: nothing of it is read or written any more. */
int output_leave_client(struct output *o);
/* Another one to whom it goes: *@ret_fd is their end. -EOPNOTSUPP: nothing passes here. */
int output_attach(struct output *o, int *ret_fd);
/* Does without a client, or those attached, that do not take what is left. */
int output_drop_client(struct output *o);
bool output_over(const struct output *o);
void output_done(struct output *o);

/* tty.c */
int tty_start(struct output *o, int console);
int tty_resize(int console, unsigned rows, unsigned cols);

/* For tty.c: relays @source (taken over) to the client's @sink. */
int output_relay(struct output *o, struct relay *r, int source, int sink);

#endif
