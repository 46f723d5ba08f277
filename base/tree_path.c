/* SPDX-License-Identifier: Apache-2.0 */
#include "base/tree.h"

#include "base/err.h"
#include "base/fd.h"
#include "base/str.h"
#include <sys/stat.h>

int tree_path_init(struct tree_path *p, const char *text)
{
	size_t len = strlen(text);
	char *last;

	*p = (struct tree_path){ 0 };
	if (len > 1 && str_ends(text, "/.")) {
		p->content = true;
		len--;
	}
	p->slash = len && text[len - 1] == '/';
	while (len > 1 && text[len - 1] == '/')
		len--;
	p->path = strndup(text, len);
	if (!p->path)
		return -ENOMEM;
	last = strrchr(p->path, '/');
	p->name = last ? last + 1 : p->path;
	p->parent = last ? strndup(p->path, (size_t)MAX(last - p->path, 1)) : strdup("");
	if (!*p->name || streq(p->name, ".") || streq(p->name, ".."))
		p->content = true;
	return p->parent ? 0 : -ENOMEM;
}

void tree_path_done(struct tree_path *p)
{
	free(p->path);
	free(p->parent);
	*p = (struct tree_path){ 0 };
}

static int open_in(int root, const char *path)
{
	int fd;

	if (root >= 0)
		return fd_open_in_root(root, *path ? path : "/", O_PATH | O_DIRECTORY, 0);
	fd = open(*path ? path : ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

int tree_source_open(int root, const struct tree_path *p, struct tree_source *ret)
{
	bool whole = p->content || p->slash;
	struct stat st;

	/* Its content alone: through it, wherever it leads. */
	*ret = (struct tree_source){ .dir = open_in(root, whole ? p->path : p->parent),
				     .name = whole ? "." : p->name };
	if (ret->dir < 0)
		return err(ret->dir, "cp: %s: %s", p->path, strerror(-ret->dir));
	if (fstatat(ret->dir, ret->name, &st, AT_SYMLINK_NOFOLLOW) < 0) {
		int r = err_sys("cp: %s", p->path);

		ret->dir = fd_close(ret->dir);
		return r;
	}
	ret->directory = S_ISDIR(st.st_mode);
	return 0;
}

static int new_directory(int parent, const char *name)
{
	int fd;

	if (mkdirat(parent, name, 0755) < 0)
		return -errno;
	fd = openat(parent, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* It is not there, or is no directory: something new of its name. */
static int target_new(int root, const struct tree_path *to, bool directory, struct tree_writer *w)
{
	_close_ int parent = open_in(root, to->parent);

	if (parent < 0)
		return err(parent, "cp: %s: %s", to->parent, strerror(-parent));
	if (!directory) {
		w->to = take_fd(parent);
		w->as = to->name;
		return 0;
	}
	w->to = new_directory(parent, to->name);
	return w->to < 0 ? err(w->to, "cp: %s: %s", to->path, strerror(-w->to)) : 0;
}

int tree_target_open(int root, const struct tree_path *to, const char *name, bool directory,
		     bool content, struct tree_writer *w)
{
	int dir = open_in(root, to->path);

	w->as = NULL;
	if (dir >= 0) {
		w->to = dir;
		w->as = content ? NULL : name;
		return 0;
	}
	if (dir == -ENOTDIR && (directory || to->slash))
		return err(-ENOTDIR, "cp: %s is no directory", to->path);
	if (dir != -ENOENT && dir != -ENOTDIR)
		return err(dir, "cp: %s: %s", to->path, strerror(-dir));
	if (dir == -ENOENT && !directory && to->slash)
		return err(-ENOENT, "cp: %s: no such directory", to->path);
	return target_new(root, to, directory, w);
}
