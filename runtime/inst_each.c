/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/inst.h"

#include "base/dir.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/str.h"

/* What a remover that was killed left behind. */
static void sweep(int folder, const char *entry)
{
	if (str_after(entry, ".gone-"))
		fd_remove_tree(folder, entry);
}

static int each_entry(int runroot, const char *id, int (*fn)(void *ctx, struct inst *i), void *ctx,
		      int *damaged)
{
	struct inst *i = NULL;
	int r;

	r = inst_open_id(runroot, id, &i);
	if (r < 0) {
		/* One that cannot be read must not hide the others. */
		if (r != -ENOENT)
			*damaged = r;
		return 0;
	}
	r = fn(ctx, i);
	inst_close(i);
	return r;
}

int inst_each(int runroot_fd, int (*fn)(void *ctx, struct inst *i), void *ctx)
{
	_closedir_ DIR *d = dir_open(runroot_fd, INSTANCES);
	int r = 0, damaged = 0;
	struct dirent *e;

	if (!d)
		return errno == ENOENT ? 0 : err_sys(INSTANCES);
	while (r == 0 && (e = readdir(d))) {
		if (inst_id_valid(e->d_name))
			r = each_entry(runroot_fd, e->d_name, fn, ctx, &damaged);
		else
			sweep(dirfd(d), e->d_name);
	}
	return r ? r : damaged;
}
