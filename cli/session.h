/* SPDX-License-Identifier: Apache-2.0 */
/* Our terminal and one of an instance: what is typed goes there, what it shows comes here. */
#ifndef CLI_SESSION_H
#define CLI_SESSION_H

#include "engine/engine.h"

/*
 * Until the command has ended and all is shown: its status, or -errno. With @tty standard input
 * goes to its terminal and that to standard output, with changes of our terminal's size.
 */
int session_wait(struct exec *x, bool tty);

#endif
