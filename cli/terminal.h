/* SPDX-License-Identifier: Apache-2.0 */
/* The user's terminal: raw while a command of an instance has it, as it was afterwards. */
#ifndef CLI_TERMINAL_H
#define CLI_TERMINAL_H

#include <termios.h>

struct terminal {
	int fd; /* -1: nothing to restore */
	struct termios saved;
};

#define TERMINAL_NONE    \
	{                \
		.fd = -1 \
	}

/* Makes the terminal @fd raw (cfmakeraw(3)) and remembers how it was; not a terminal: nothing
 * happens. */
void terminal_raw(int fd, struct terminal *ret);
void terminal_restore(struct terminal *t);
/* Rows and columns: 0 or -errno. */
int terminal_size(int fd, unsigned *ret_rows, unsigned *ret_cols);

#endif
