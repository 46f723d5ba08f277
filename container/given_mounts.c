/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The mounts of a given container, in order, before the pivot. Each target is held by a descriptor
 * that was found inside the root (CVE-2021-30465), and a procfs or sysfs goes onto a directory that
 * no link led to: what is masked afterwards is the kernel's (CVE-2019-19921).
 */
#include "container/inner.h"

#include "base/fd.h"
#include "base/str.h"
#include "base/tree.h"
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>

static int open_target(int root, const char *path, bool directory, bool strict)
{
	_close_ int fd = root_target(root, path, directory);
	const char *name = path + strspn(path, "/");
	int r = fd < 0 ? fd : root_check_target(root, fd, path, directory);

	if (r < 0)
		return r;
	if (strict && *name) {
		fd_close(fd);
		fd = fd_open_beneath(root, name, O_PATH | O_DIRECTORY, 0);
		if (fd < 0)
			return err(fd, "%s is not a directory of the image's root", path);
	}
	return take_fd(fd);
}

static int copy_up(int root, const char *path, int source)
{
	_cleanup_(tree_writer_done) struct tree_writer w = TREE_WRITER_NONE;

	w.archive = true;
	w.to = fd_open_in_root(root, path, O_RDONLY | O_DIRECTORY, 0);
	return w.to < 0 ? w.to : tree_read(source, ".", &tree_writer_sink, &w);
}

static int propagate(int root, const struct ctr_given_mount *m)
{
	_close_ int fd = m->propagation ? fd_open_in_root(root, m->target, O_PATH, 0) : -1;

	if (!m->propagation)
		return 0;
	if (fd < 0)
		return fd;
	return mount(NULL, fd_path(fd).s, NULL, m->propagation, NULL) < 0 ? -errno : 0;
}

static int place_sys(int target)
{
	_close_ int sys = mounts_clone_sys();

	return sys < 0 ? sys : mounts_place_on(sys, target);
}

static bool is_tmpfs(const struct ctr_given_mount *m)
{
	return m->type && streq(m->type, "tmpfs");
}

/* A tmpfs is read-only when all below it is there. */
static int mount_new(int root, const struct ctr_given_mount *m)
{
	bool strict = streq(m->type, "proc") || streq(m->type, "sysfs");
	unsigned long flags = is_tmpfs(m) ? m->flags & ~(unsigned long)MS_RDONLY : m->flags;
	_close_ int fd = open_target(root, m->target, true, strict), from = -1;
	int r;

	if (fd < 0)
		return fd;
	if (m->copyup) {
		from = fd_open_in_root(root, m->target, O_RDONLY | O_DIRECTORY, 0);
		if (from < 0)
			return from;
	}
	if (fchdir(fd) < 0)
		return -errno;
	r = mount(m->source, ".", m->type, flags, m->data) < 0 ? -errno : 0;
	if (r == -EPERM && streq(m->type, "sysfs"))
		r = place_sys(fd);
	if (r >= 0 && m->copyup)
		r = copy_up(root, m->target, from);
	return r < 0 ? r : propagate(root, m);
}

static int place_bind(int root, const struct bind *b)
{
	_close_ int fd = open_target(root, b->target, b->directory, false);

	return fd < 0 ? fd : mounts_place_on(b->tree, fd);
}

static int place_all(struct child *c)
{
	const struct ctr_given *g = c->spec->given;

	for (size_t i = 0; i < g->nmounts; i++) {
		const struct ctr_given_mount *m = &g->mounts[i];
		int r = m->type ? mount_new(c->root, m) : place_bind(c->root, &c->plan->binds[i]);

		if (r < 0)
			return err(r, "cannot mount %s on %s: %s", m->type ? m->type : m->source,
				   m->target, strerror(-r));
	}
	return 0;
}

static int make_links(struct child *c)
{
	const struct ctr_given *g = c->spec->given;

	for (size_t i = 0; i < g->nlinks; i++) {
		const char *path = g->links[i].path, *name = strrchr(path, '/') + 1;
		_free_ char *dir = strndup(path, (size_t)(name - path));
		_close_ int fd = dir ? root_target(c->root, dir, true) : -ENOMEM;

		if (fd < 0)
			return err(fd, "cannot make %s: %s", path, strerror(-fd));
		/* EROFS, ENOENT: of a file system that was mounted there as it is. */
		if (symlinkat(g->links[i].target, fd, name) < 0 && errno != EEXIST &&
		    errno != EROFS && errno != ENOENT)
			return err_sys("cannot make %s", path);
	}
	return 0;
}

static int seal(int fd)
{
	struct mount_attr a = { .attr_set = MOUNT_ATTR_RDONLY };

	return mount_setattr(fd, "", AT_EMPTY_PATH, &a, sizeof(a)) < 0 ? -errno : 0;
}

static int seal_all(struct child *c)
{
	const struct ctr_given *g = c->spec->given;
	int r = 0;

	for (size_t i = 0; r >= 0 && i < g->nmounts; i++) {
		_close_ int fd = -1;

		if (!is_tmpfs(&g->mounts[i]) || !(g->mounts[i].flags & MS_RDONLY))
			continue;
		fd = fd_open_in_root(c->root, g->mounts[i].target, O_PATH, 0);
		r = fd < 0 ? fd : seal(fd);
		if (r < 0)
			return err(r, "cannot make %s read-only: %s", g->mounts[i].target,
				   strerror(-r));
	}
	if (c->spec->root_rdonly)
		r = seal(c->root);
	return r < 0 ? err(r, "cannot make the root read-only: %s", strerror(-r)) : 0;
}

static int place_root(struct child *c)
{
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return err_sys("cannot make the mounts private");
	if (move_mount(c->root, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return err_sys("cannot mount the root");
	return 0;
}

/* The pair's other end, over a file that no link led to (CVE-2025-52565). */
static int place_console(struct child *c)
{
	_close_ int fd = -1, pts = -1, dir = -1, tree = -1;
	unsigned n;
	char name[16];
	int r;

	if (ioctl(c->master, TIOCGPTN, &n) < 0)
		return err_sys("cannot tell the terminal's number");
	snprintf(name, sizeof(name), "%u", n);
	pts = fd_open_beneath(c->root, "dev/pts", O_PATH | O_DIRECTORY, 0);
	dir = fd_open_beneath(c->root, "dev", O_PATH | O_DIRECTORY, 0);
	if (pts < 0 || dir < 0)
		return err(-ENOTDIR, "no /dev/pts for a terminal");
	if (mknodat(dir, "console", S_IFREG | 0600, 0) < 0 && errno != EEXIST)
		return err_sys("cannot make /dev/console");
	fd = fd_open_beneath(dir, "console", O_PATH, 0);
	tree = open_tree(pts, name, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	r = fd < 0 ? fd : tree < 0 ? -errno : mounts_place_on(tree, fd);
	return r < 0 ? err(r, "cannot make /dev/console: %s", strerror(-r)) : 0;
}

static int set_terminal(struct child *c)
{
	int r;

	if (!c->spec->tty)
		return 0;
	r = join_tty(c);
	return r < 0 ? r : place_console(c);
}

int given_mounts_setup(struct child *c)
{
	const struct ctr_given *g = c->spec->given;
	int r = place_root(c);

	if (r >= 0)
		r = place_all(c);
	if (r >= 0)
		r = given_devices(c);
	if (r >= 0)
		r = make_links(c);
	if (r >= 0)
		r = set_terminal(c);
	if (r >= 0)
		r = given_masks(c);
	if (r >= 0)
		r = cwd_make(c);
	if (r >= 0)
		r = seal_all(c);
	return r < 0 || !g->mounted ? r : g->mounted(g->ctx);
}
