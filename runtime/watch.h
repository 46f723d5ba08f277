/* SPDX-License-Identifier: Apache-2.0 */
/* Knowing when a supervisor goes without asking again and again: the end of a connection to it. */
#ifndef RUNTIME_WATCH_H
#define RUNTIME_WATCH_H

struct inst;

/*
 * A descriptor that polls as hung up when the supervisor has gone; the caller's. -ESRCH = it has
 * gone.
 */
int watch_open(const struct inst *i);
/*
 * Until that one, asked to CONTROL_WAIT, has gone: what it says of the end is inst_state()'s answer
 * then.
 */
int watch_end(struct inst *i, int fd);

#endif
