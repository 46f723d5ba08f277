/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/vm_volume.h"

#include "base/err.h"
#include "base/fd.h"
#include "base/str.h"
#include <linux/mount.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>

int vm_open_confined(const char *path, bool rdonly)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV |
					       MOUNT_ATTR_NOEXEC | MOUNT_ATTR_NOSYMFOLLOW |
					       (rdonly ? MOUNT_ATTR_RDONLY : 0) };
	_close_ int fd =
		syscall(SYS_open_tree, AT_FDCWD, path, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);

	if (fd < 0 || syscall(SYS_mount_setattr, fd, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0)
		return err_sys("%s", path);
	return take_fd(fd);
}

/* ---- a user namespace that is nothing but a map ---- */

/* Stays until it is killed. */
static int spawn_namespace(pid_t *ret)
{
	char ready;
	int pipe_fds[2];
	pid_t pid;
	ssize_t n;

	if (pipe2(pipe_fds, O_CLOEXEC) < 0)
		return -errno;
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (unshare(CLONE_NEWUSER) == 0 && write(pipe_fds[1], "", 1) == 1)
			pause();
		_exit(1);
	}
	fd_close(pipe_fds[1]);
	n = pid < 0 ? -1 : read(pipe_fds[0], &ready, 1);
	fd_close(pipe_fds[0]);
	if (pid < 0)
		return -EAGAIN;
	*ret = pid;
	return n == 1 ? 0 : -EPERM;
}

static int write_map(pid_t pid, const char *file, unsigned inside, unsigned outside)
{
	char path[48], text[48];
	_close_ int fd = -1;

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, file);
	snprintf(text, sizeof(text), "%u %u 1", inside, outside);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd_write_full(fd, text, strlen(text));
}

static int open_map(pid_t pid, const struct stat *owner, uid_t uid)
{
	char path[48];
	int fd, r = write_map(pid, "uid_map", owner->st_uid, uid);

	if (r == 0)
		r = write_map(pid, "gid_map", owner->st_gid, uid);
	if (r < 0)
		return r;
	snprintf(path, sizeof(path), "/proc/%d/ns/user", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

static int new_map(const struct stat *owner, uid_t uid)
{
	pid_t pid = 0;
	int r = spawn_namespace(&pid);

	if (r == 0)
		r = open_map(pid, owner, uid);
	if (pid > 0) {
		kill(pid, SIGKILL);
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	return r;
}

/* ---- the volume ---- */

int vm_open_volume(const struct run_volume *volume, uid_t uid)
{
	struct mount_attr attr = { .attr_set = MOUNT_ATTR_IDMAP };
	_close_ int fd = -1, map = -1;
	struct stat st;

	if (stat(volume->source, &st) < 0)
		return err_sys("volume %s", volume->source);
	if (!S_ISDIR(st.st_mode))
		return err(-ENOTDIR, "volume %s: a microVM's volume must be a folder",
			   volume->source);
	fd = vm_open_confined(volume->source, volume->rdonly);
	if (fd < 0)
		return fd;
	map = new_map(&st, uid);
	if (map < 0)
		return err(map, "volume %s: no user namespace for its owner: %s", volume->source,
			   strerror(-map));
	attr.userns_fd = (uint64_t)map;
	if (syscall(SYS_mount_setattr, fd, "", AT_EMPTY_PATH, &attr, sizeof(attr)) < 0)
		return err(-errno,
			   "volume %s: a microVM needs a file system with id-mapped mounts: %s",
			   volume->source, strerror(errno));
	return take_fd(fd);
}
