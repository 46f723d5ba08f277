/* SPDX-License-Identifier: Apache-2.0 */
/* `kernel build`, `import`, `use`, `list`: of strata-image, for what imports needs libarchive. */
#include "base/err.h"
#include "base/fd.h"
#include "base/proc.h"
#include "base/str.h"
#include "engine/engine_.h"
#include "engine/kernel.h"
#include <limits.h>
#include <sys/stat.h>

#define BUILDER	   "kernel-build" /* tools/kernel, where it is installed */
#define OUTPUT_MAX (2 * PATH_MAX)

/* ---- building one ---- */

/* The arguments of the builder: the shipped configuration, then the user's additions. */
static int builder_arguments(const struct kernel_build *b, const char *path, char ***ret)
{
	int r = strv_add(ret, path);

	if (r >= 0)
		r = strv_add(ret, "guest");
	for (size_t i = 0; r >= 0 && i < strv_len(b->with); i++)
		r = strchr(b->with[i], '/') ?
			    err(-EINVAL, "kernel '%s': --with takes names, --config files",
				b->with[i]) :
			    strv_add(ret, b->with[i]);
	for (size_t i = 0; r >= 0 && i < strv_len(b->configs); i++) {
		_free_ char *file = realpath(b->configs[i], NULL);

		r = file ? strv_add(ret, file) : err_sys("%s", b->configs[i]);
	}
	return r;
}

/* Runs it: what it prints is the path of a vmlinux, and its words go to our standard error. */
static int run_builder(char **argv, char **ret_path)
{
	_close_ int pidfd = -1, out = -1;
	_free_ char *text = NULL;
	int pipe_fds[2], status = 0, r;
	size_t len = 0;
	pid_t pid;

	if (pipe2(pipe_fds, O_CLOEXEC) < 0)
		return err_sys("pipe");
	out = pipe_fds[0];
	r = proc_spawn(argv[0], argv, NULL, (int[]){ -1, pipe_fds[1], 2 }, 3, &pid, &pidfd);
	fd_close(pipe_fds[1]);
	if (r < 0)
		return err(r, "%s: %s", argv[0], strerror(-r));
	r = fd_read_all(out, OUTPUT_MAX, &text, &len);
	if (proc_wait(pidfd, &status) < 0 || status || r < 0)
		return err(-EIO, "the kernel was not built: what is above says why");
	text[strcspn(text, "\n")] = '\0';
	*ret_path = take_ptr(text);
	return 0;
}

/* "built", "built with blk", by what the builder was given beside the first. */
static char *describe(char *const *argv)
{
	const size_t more = strv_len(argv) - 2;

	return !more ? strdup("built") :
		       str_fmt("built with %s%s", argv[2], more > 1 ? " and more" : "");
}

int engine_kernel_build(struct engine *e, const struct kernel_build *b, char **ret_name)
{
	_free_ char *builder = NULL, *vmlinux = NULL, *source = NULL;
	_strv_free_ char **argv = NULL;
	struct kernel_import i = { .name = b->name, .no_modules = true, .use = b->use };
	int r = proc_sibling(BUILDER, &builder);

	if (r >= 0)
		r = builder_arguments(b, builder, &argv);
	if (r >= 0)
		r = run_builder(argv, &vmlinux);
	if (r < 0)
		return r;
	source = describe(argv);
	i.path = vmlinux;
	i.source = source;
	return source ? engine_kernel_import(e, &i, ret_name) : -ENOMEM;
}

/* Where there is no other, the first one is the default. */
int engine_kernel_import(struct engine *e, const struct kernel_import *i, char **ret_name)
{
	struct kernel_import with = *i;
	struct kernel_files f = { 0 };

	if (kernel_choose(engine_store(e), NULL, &f) < 0) {
		err_clear();
		with.use = true;
	}
	kernel_files_done(&f);
	return kernel_import(engine_store(e), &with, ret_name);
}

int engine_kernel_use(struct engine *e, const char *name)
{
	return kernel_use(engine_store(e), streq(name, KERNEL_SHIPPED) ? NULL : name);
}

int engine_kernel_each(struct engine *e, int (*fn)(void *ctx, const struct kernel *k), void *ctx)
{
	struct kernel_files f = { 0 }, chosen = { 0 };
	struct kernel_release release = { "" };
	struct kernel k = { .name = KERNEL_SHIPPED, .version = release.s };
	struct stat st;
	int r = kernel_each(engine_store(e), fn, ctx);

	if (r)
		return r;
	if (kernel_choose(NULL, KERNEL_SHIPPED, &f) < 0 ||
	    kernel_release_of(f.vmlinux, &release) < 0 || stat(f.vmlinux, &st) < 0) {
		err_clear();
		kernel_files_done(&f);
		return 0;
	}
	k.source = f.vmlinux;
	k.size = (uint64_t)st.st_size;
	k.created = st.st_mtime;
	k.is_default = kernel_find(engine_store(e), NULL, &chosen) < 0;
	r = fn(ctx, &k);
	kernel_files_done(&chosen);
	kernel_files_done(&f);
	return r;
}
