/* SPDX-License-Identifier: Apache-2.0 */
/* Standing for an instance: its signals, its terminal, its exit status. */
#ifndef CLI_FOREGROUND_H
#define CLI_FOREGROUND_H

#include "cli/cli.h"

/*
 * Blocks everything a user or a script sends to a command in the foreground, before it is started:
 * a signalfd of the caller's, or -errno.
 */
int foreground_signals(void);
/*
 * Hands on @signals, with @tty our terminal (made raw) and its size, until the end: our exit
 * status.
 */
int foreground_run(struct run *run, int signals, bool tty);
/* Detached: waits until it runs and prints @word, or says why not. Our exit status. */
int foreground_started(struct run *run, const char *word);

#endif
