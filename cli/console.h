/* SPDX-License-Identifier: Apache-2.0 */
/* Our terminal and a container's: what is typed goes there, what it shows comes here. */
#ifndef CLI_CONSOLE_H
#define CLI_CONSOLE_H

#include <signal.h>

/* From now on @set comes by the descriptor that it returns (signalfd(2)), or -errno. */
int console_signals(const sigset_t *set);
/*
 * Until the process behind @pidfd has ended and all is shown. Standard input goes to the terminal
 * @console, and that to standard output; with -1 there is none. What comes by @signals is sent on
 * to the process, but a change of our terminal's size, which its terminal takes.
 */
int console_relay(int console, int pidfd, int signals);

#endif
