/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of layer/ share: growing a tree by paths, writing it, other programs. */
#ifndef TESTS_LAYER_HELP_H
#define TESTS_LAYER_HELP_H

#include "base/buf.h"
#include "base/err.h"
#include "base/str.h"
#include "layer/layer.h"
#include "tests/base/unit.h"
#include <dirent.h>
#include <sys/mman.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <sys/xattr.h>

#define must(call)                                                  \
	({                                                          \
		int must_ = (call);                                 \
		if (must_ < 0)                                      \
			fail_msg("%s: %s", #call, err_take(must_)); \
		must_;                                              \
	})

/* Fails with that errno, and leaves no text behind. */
#define must_fail(call, e)                      \
	do {                                    \
		assert_int_equal((call), -(e)); \
		err_clear();                    \
	} while (0)

/* ---- trees ---- */

/* The node at @path ("a/b"), or NULL. */
static inline struct layer_node *tree_at(struct layer_tree *t, const char *path)
{
	struct layer_node *n = layer_tree_root(t);

	while (n && *path) {
		size_t len = strcspn(path, "/");

		n = layer_tree_child(t, n, path, len);
		path += len + (path[len] == '/');
	}
	return n;
}

/* The directory above @path, and the last name of it. */
static inline struct layer_node *tree_above(struct layer_tree *t, const char *path,
					    const char **ret_name)
{
	const char *slash = strrchr(path, '/');
	_free_ char *dir = slash ? strndup(path, (size_t)(slash - path)) : strdup("");
	struct layer_node *n = tree_at(t, dir);

	assert_non_null(n);
	*ret_name = slash ? slash + 1 : path;
	return n;
}

static inline struct layer_node *tree_put(struct layer_tree *t, const char *path,
					  const struct layer_attr *attr)
{
	const char *name;
	struct layer_node *n = NULL, *dir = tree_above(t, path, &name);

	must(layer_tree_put(t, dir, name, strlen(name), attr, &n));
	return n;
}

static inline struct layer_node *tree_dir(struct layer_tree *t, const char *path, uint32_t perm)
{
	return tree_put(t, path, &(struct layer_attr){ .mode = S_IFDIR | perm });
}

/* A regular file, inline. */
static inline struct layer_node *tree_file(struct layer_tree *t, const char *path, const void *data,
					   size_t len)
{
	struct layer_attr attr = { .mode = S_IFREG | 0644, .size = len };
	struct layer_content c = { .kind = LAYER_INLINE, .data = data };
	struct layer_node *n = tree_put(t, path, &attr);

	must(layer_node_set_content(n, &c));
	return n;
}

static inline struct layer_node *tree_text(struct layer_tree *t, const char *path, const char *text)
{
	return tree_file(t, path, text, strlen(text));
}

static inline struct layer_node *tree_symlink(struct layer_tree *t, const char *path,
					      const char *target)
{
	struct layer_attr attr = { .mode = S_IFLNK | 0777, .size = strlen(target) };
	struct layer_content c = { .kind = LAYER_INLINE, .data = target };
	struct layer_node *n = tree_put(t, path, &attr);

	must(layer_node_set_content(n, &c));
	return n;
}

static inline struct layer_node *tree_dev(struct layer_tree *t, const char *path, uint32_t mode,
					  uint64_t rdev)
{
	return tree_put(t, path, &(struct layer_attr){ .mode = mode, .rdev = rdev });
}

static inline struct layer_node *tree_whiteout(struct layer_tree *t, const char *path)
{
	return tree_dev(t, path, S_IFCHR, 0);
}

static inline void tree_link(struct layer_tree *t, const char *path, const char *target)
{
	const char *name;
	struct layer_node *dir = tree_above(t, path, &name);

	must(layer_tree_link(t, dir, name, strlen(name), tree_at(t, target)));
}

static inline void tree_link_lower(struct layer_tree *t, const char *path, const char *target)
{
	const char *name;
	struct layer_node *dir = tree_above(t, path, &name);

	must(layer_tree_link_lower(t, dir, name, strlen(name), target, strlen(target)));
}

static inline void tree_opaque(struct layer_node *n)
{
	must(layer_node_set_xattr(n, "trusted.overlay.opaque", "y", 1));
}

/* Writes the tree, drops it, and opens what was written; *@ret_fd (may be NULL) is the image. */
static inline struct layer_index *
tree_index(struct layer_tree *t, const struct layer_device *devices, size_t n, int *ret_fd)
{
	struct layer_index *x = NULL;
	_close_ int fd = fd_memfd("index", NULL, 0);

	assert_true(fd >= 0);
	must(layer_tree_write(t, devices, n, fd));
	layer_tree_free(t);
	must(layer_index_open(fd, &x));
	must(layer_index_check(x));
	if (ret_fd)
		*ret_fd = take_fd(fd);
	return x;
}

static inline struct layer_index *merge_index(struct layer_index *const *stack, size_t n,
					      int *ret_fd)
{
	struct layer_index *x = NULL;
	_close_ int fd = fd_memfd("merged", NULL, 0);

	assert_true(fd >= 0);
	must(layer_merge(stack, n, fd));
	must(layer_index_open(fd, &x));
	must(layer_index_check(x));
	if (ret_fd)
		*ret_fd = take_fd(fd);
	return x;
}

static inline uint64_t index_at(const struct layer_index *x, const char *path)
{
	uint64_t nid = LAYER_ROOT_NID;

	while (*path) {
		size_t len = strcspn(path, "/");

		if (layer_lookup(x, nid, path, len, &nid) < 0)
			return 0;
		path += len + (path[len] == '/');
	}
	return nid;
}

/* ---- other programs ---- */

/*
 * Runs a program that reads nothing and says nothing; its exit status, 127 when there is none such.
 */
static inline int run_quiet(char *const *argv)
{
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		int null = open("/dev/null", O_RDWR | O_CLOEXEC);

		dup2(null, 0);
		dup2(null, 1);
		if (!getenv("V"))
			dup2(null, 2);
		execvp(argv[0], argv);
		_exit(127);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

#define skip_because(...)                             \
	do {                                          \
		print_message("# SKIP " __VA_ARGS__); \
		print_message("\n");                  \
		skip();                               \
	} while (0)

/*
 * fsck.erofs accepts the image @fd with @packs; false (after a message) when there is no
 * fsck.erofs.
 */
static inline bool fsck_image(int fd, const int *packs, size_t npacks)
{
	_strv_free_ char **argv = NULL;
	int status;

	assert_ok(strv_add(&argv, "fsck.erofs"));
	for (size_t i = 0; i < npacks; i++)
		assert_ok(strv_addf(&argv, "--device=/proc/%d/fd/%d", (int)getpid(), packs[i]));
	assert_ok(strv_addf(&argv, "/proc/%d/fd/%d", (int)getpid(), fd));
	status = run_quiet(argv);
	if (status == 127) {
		print_message("# no fsck.erofs here: its part is left out\n");
		return false;
	}
	assert_int_equal(status, 0);
	return true;
}

#endif
