/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The terminal: a pair of the container's own devpts, opened before anything of the image runs and
 * relative to the /dev made in dev.c, so neither ptmx nor the other end can be somebody else's
 * (CVE-2025-52565). The other end comes from the master by ioctl, not by a path.
 */
#include "container/inner.h"

#include "base/fd.h"
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>

static int set_size(const struct child *c)
{
	struct winsize w = {
		.ws_row = (unsigned short)c->spec->rows,
		.ws_col = (unsigned short)c->spec->cols,
	};

	if ((w.ws_row || w.ws_col) && ioctl(c->master, TIOCSWINSZ, &w) < 0)
		return err_sys("cannot set the size of the terminal");
	return 0;
}

int tty_open_pair(struct child *c, int dir)
{
	int unlock = 0;

	c->master = openat(dir, "ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (c->master < 0 || ioctl(c->master, TIOCSPTLCK, &unlock) < 0)
		return err_sys("cannot open a terminal");
	c->slave = ioctl(c->master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (c->slave < 0)
		return err_sys("cannot open the terminal's other end");
	return set_size(c);
}

int tty_setup(struct child *c)
{
	_close_ int pts = openat(c->dev, "pts", O_PATH | O_DIRECTORY | O_CLOEXEC);
	int r = pts < 0 ? err_sys("cannot open /dev/pts") : tty_open_pair(c, pts);

	if (r < 0)
		return r;
	/* The first of a new instance is 0; we are in /dev. */
	if (mknodat(c->dev, "console", S_IFREG | 0600, 0) < 0 ||
	    mount("pts/0", "console", NULL, MS_BIND, NULL) < 0)
		return err_sys("cannot make /dev/console");
	return 0;
}
