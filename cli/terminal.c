/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/terminal.h"
#include <errno.h>
#include <sys/ioctl.h>

void terminal_raw(int fd, struct terminal *ret)
{
	struct termios raw;

	if (tcgetattr(fd, &ret->saved) < 0)
		return;
	raw = ret->saved;
	cfmakeraw(&raw);
	if (tcsetattr(fd, TCSANOW, &raw) == 0)
		ret->fd = fd;
}

void terminal_restore(struct terminal *t)
{
	if (t->fd >= 0)
		tcsetattr(t->fd, TCSANOW, &t->saved);
	t->fd = -1;
}

int terminal_size(int fd, unsigned *ret_rows, unsigned *ret_cols)
{
	struct winsize w;

	if (ioctl(fd, TIOCGWINSZ, &w) < 0)
		return -errno;
	*ret_rows = w.ws_row;
	*ret_cols = w.ws_col;
	return 0;
}
