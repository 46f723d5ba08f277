/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The user namespace: container ids 0..id_count-1 are the host's from uid_base and gid_base on. The
 * parent writes the maps; who may not write one of more than his own id asks newuidmap and
 * newgidmap (uidmap package).
 */
#include "container/inner.h"

#include "base/buf.h"
#include "base/fd.h"
#include "base/proc.h"
#include "base/str.h"
#include <grp.h>
#include <linux/magic.h>
#include <sys/syscall.h>
#include <sys/vfs.h>

/* /proc/@pid as a directory of a real procfs. */
static int open_proc(pid_t pid)
{
	char path[32];
	struct statfs fs;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d", pid);
	fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return err_sys("cannot open %s", path);
	if (fstatfs(fd, &fs) < 0 || fs.f_type != PROC_SUPER_MAGIC) {
		fd_close(fd);
		return err(-EXDEV, "/proc is not a procfs");
	}
	return fd;
}

/* The helper takes the ranges as words: inside, outside, count... */
static int run_helper(const char *program, pid_t pid, const struct ctr_idmap *map, size_t n)
{
	static const int fds[3] = { -1, -1, -1 };
	_strv_free_ char **argv = NULL;
	int pidfd = -1, status = -1, r;

	r = strv_add(&argv, program);
	if (r >= 0)
		r = strv_addf(&argv, "%d", pid);
	for (size_t i = 0; r >= 0 && i < n; i++) {
		r = strv_addf(&argv, "%u", map[i].inside);
		if (r >= 0)
			r = strv_addf(&argv, "%u", map[i].outside);
		if (r >= 0)
			r = strv_addf(&argv, "%u", map[i].count);
	}
	if (r >= 0)
		r = proc_spawn(program, argv, NULL, fds, 3, NULL, &pidfd);
	if (r < 0)
		return err(r, "cannot run %s: %s", program, strerror(-r));
	r = proc_wait(pidfd, &status);
	fd_close(pidfd);
	if (r < 0)
		return r;
	return status ? err(-EPERM, "%s refuses %u ids from %u on: see /etc/subuid and /etc/subgid",
			    program, map[n - 1].count, map[n - 1].outside) :
			0;
}

static int write_map(int proc, const char *file, const char *helper, pid_t pid,
		     const struct ctr_idmap *map, size_t n)
{
	_buf_done_ struct buf text = { 0 };
	int r;

	for (size_t i = 0; i < n; i++)
		buf_addf(&text, "%u %u %u\n", map[i].inside, map[i].outside, map[i].count);
	if (text.failed)
		return -ENOMEM;
	r = n ? file_write(proc, file, text.data) : 0;
	if (r == -EPERM)
		return run_helper(helper, pid, map, n);
	return r < 0 ? err(r, "cannot write the %s: %s", file, strerror(-r)) : 0;
}

int ctr_map_ids(pid_t pid, const struct ctr_idmap *uids, size_t nuids, const struct ctr_idmap *gids,
		size_t ngids)
{
	_close_ int proc = open_proc(pid);
	int r;

	if (proc < 0)
		return proc;
	/*
	 * A single id mapped without privilege: only who cannot change groups may
	 * (user_namespaces(7)).
	 */
	if (ngids == 1 && gids->count == 1 && geteuid() != 0)
		file_write(proc, "setgroups", "deny");
	r = write_map(proc, "gid_map", "/usr/bin/newgidmap", pid, gids, ngids);
	if (r < 0)
		return r;
	return write_map(proc, "uid_map", CTR_NEWUIDMAP, pid, uids, nuids);
}

int userns_become_root(void)
{
	if (setgroups(0, NULL) < 0 && errno != EPERM)
		return err_sys("cannot drop the groups");
	if (syscall(SYS_setresgid, 0, 0, 0) < 0 || syscall(SYS_setresuid, 0, 0, 0) < 0)
		return err_sys("cannot become root of the user namespace");
	return 0;
}
