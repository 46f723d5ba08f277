/* SPDX-License-Identifier: Apache-2.0 */
/* Instances that are mounts, by the folder that they are mounted at. */
#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/str.h"
#include "engine/engine_.h"
#include "engine/union_mount.h"
#include <poll.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/vfs.h>

#define RELOAD_MS 10000 /* to come up again; then something is wrong with the new program */
#define LOOK_MS	  5

struct mount_walk {
	const char *dir;
	struct inst *found;
	int runroot_fd;
};

static int find_mount(void *ctx, struct inst *i)
{
	struct mount_walk *w = ctx;
	const char *at = json_get_str(inst_config(i), "mountpoint");

	if (!at || !streq(at, w->dir))
		return 0;
	return inst_open(w->runroot_fd, inst_id(i), &w->found);
}

/* @verb is for the text. */
static int open_mount(struct engine *e, const char *verb, const char *dir, char **ret_real,
		      struct inst **ret)
{
	_free_ char *real = realpath(dir, NULL);
	struct mount_walk w = { .dir = real, .runroot_fd = e->runroot_fd };
	int r;

	if (!real)
		return err_sys("%s %s", verb, dir);
	r = inst_each(e->runroot_fd, find_mount, &w);
	if (r >= 0 && !w.found)
		r = err(-EINVAL, "%s %s: no `strata mount` is there", verb, dir);
	if (r < 0) {
		inst_close(w.found);
		return r;
	}
	*ret_real = take_ptr(real);
	*ret = w.found;
	return 0;
}

int engine_umount(struct engine *e, const char *dir)
{
	_cleanup_(inst_closep) struct inst *i = NULL;
	_free_ char *real = NULL;
	int r = open_mount(e, "umount", dir, &real, &i);

	if (r < 0)
		return r;
	r = union_unmount_unused(real);
	return r < 0 ? r : inst_wait(i, -1);
}

/* Who serves: the only child of the keeper. 0: nobody at the moment. */
static uint64_t serving(pid_t keeper)
{
	_free_ char *path = str_fmt("/proc/%d/task/%d/children", (int)keeper, (int)keeper);
	_free_ char *text = NULL;
	size_t len;

	if (!path || file_read_all(AT_FDCWD, path, 256, &text, &len) < 0)
		return 0;
	return strtoull(text, NULL, 10);
}

int engine_mount_reload(struct engine *e, const char *dir)
{
	_cleanup_(inst_closep) struct inst *i = NULL;
	_free_ char *real = NULL;
	struct inst_state state;
	struct statfs fs;
	uint64_t before, now = 0, until = clock_ns() + RELOAD_MS * UINT64_C(1000000);
	int r = open_mount(e, "reload", dir, &real, &i);

	if (r >= 0)
		r = inst_state(i, &state);
	if (r < 0)
		return r;
	before = serving(state.pid);
	r = inst_kill(i, SIGHUP);
	while (r >= 0 && (now = serving(state.pid), !now || now == before) && clock_ns() < until)
		poll(NULL, 0, LOOK_MS);
	if (r < 0)
		return r == -ESRCH ? err(r, "reload %s: it has ended", dir) : r;
	if (!now || now == before)
		return err(-ETIMEDOUT,
			   "reload %s: no new file server; see `strata logs` and monitor.log", dir);
	/* Answered by the new one alone. */
	return statfs(real, &fs) < 0 ? err_sys("reload %s", dir) : 0;
}
