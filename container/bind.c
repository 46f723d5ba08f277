/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The mounts beside the defaults, each onto a place inside the root that the image may have made a
 * link to.
 */
#include "container/inner.h"

#include "base/fd.h"
#include <inttypes.h>
#include <stdio.h>
#include <sys/mount.h>

static int mount_tmpfs(int fd, const struct bind *b)
{
	const struct ctr_mount *m = b->tmpfs;
	unsigned long flags = MS_NODEV | (m->suid ? 0 : MS_NOSUID) | (m->exec ? 0 : MS_NOEXEC) |
			      (m->rdonly ? MS_RDONLY : 0);
	char options[64];
	int n = snprintf(options, sizeof(options), "mode=%o", m->mode ? m->mode : 01777);

	if (m->size)
		snprintf(options + n, sizeof(options) - (size_t)n, ",size=%" PRIu64, m->size);
	if (fchdir(fd) < 0 || mount("tmpfs", ".", "tmpfs", flags, options) < 0)
		return -errno;
	return 0;
}

static int place(int root, const struct bind *b)
{
	_close_ int fd = root_target(root, b->target, b->directory);
	int r = fd < 0 ? fd : root_check_target(root, fd, b->target, b->directory);

	if (r < 0)
		return r;
	return b->tree < 0 ? mount_tmpfs(fd, b) : mounts_place_on(b->tree, fd);
}

#define FILE_MADE ".file" /* in /dev, until it is bound */

/* A file of that text on our /dev, as a detached mount. */
static int make_file(int dev, const char *text)
{
	_close_ int fd = openat(dev, FILE_MADE, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	int r = fd < 0 ? -errno : fd_write_full(fd, text, strlen(text)), tree;

	if (r < 0)
		return r;
	tree = open_tree(dev, FILE_MADE, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	return tree < 0 ? -errno : tree;
}

static void place_file(int root, int tree, const char *target)
{
	_close_ int fd = root_target(root, target, false);

	/* Nothing of /proc is covered either, wherever the image's link leads. */
	if (fd >= 0 && root_check_target(root, fd, target, true) == 0)
		(void)!mounts_place_on(tree, fd);
	err_clear();
}

int files_setup(struct child *c)
{
	for (size_t i = 0; i < c->spec->nfiles; i++) {
		const struct ctr_file *f = &c->spec->files[i];
		_close_ int tree = make_file(c->dev, f->text);

		if (tree < 0)
			return err(tree, "cannot make %s: %s", f->target, strerror(-tree));
		place_file(c->root, tree, f->target);
		if (unlinkat(c->dev, FILE_MADE, 0) < 0)
			return err_sys("cannot make %s", f->target);
	}
	return 0;
}

int binds_setup(struct child *c)
{
	for (size_t i = 0; i < c->plan->nbinds; i++) {
		const struct bind *b = &c->plan->binds[i];
		int r = place(c->root, b);

		if (r < 0)
			return err(r, "cannot mount on %s: %s", b->target, strerror(-r));
	}
	return 0;
}
