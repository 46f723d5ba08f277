/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/union_mount.h"

#include "base/err.h"
#include "base/fd.h"
#include "base/proc.h"
#include "base/str.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/socket.h>

#define TYPE	   "strata-unionfs" /* /proc/mounts shows fuse.strata-unionfs */
#define FUSERMOUNT "fusermount3"
#define SENT_FD	   3 /* of the child: where fusermount3 sends the descriptor (_FUSE_COMMFD) */

static const char *source_of(const struct union_options *o)
{
	return o->source ? o->source : TYPE;
}

static int mount_by_calls(const struct union_options *o, int *ret_fuse_fd)
{
	const struct ufs_mount_options with = { .source = source_of(o),
						.subtype = TYPE,
						.rdonly = o->rdonly,
						.attrs = o->attrs,
						.more = o->context };
	_close_ int fuse = -1, mnt = -1;
	int e = ufs_mount_with(&with, &fuse, &mnt);

	if (e)
		return e;
	if (move_mount(mnt, "", AT_FDCWD, o->mountpoint, MOVE_MOUNT_F_EMPTY_PATH) < 0)
		return err_sys("mount: %s", o->mountpoint);
	*ret_fuse_fd = take_fd(fuse);
	return 0;
}

/* ---- fusermount3 ---- */

/* A comma or a backslash in a value would end it there. */
static int check_plain(const char *s)
{
	return strpbrk(s, ",\\") ? err(-EINVAL, "%s: no comma or backslash for " FUSERMOUNT, s) : 0;
}

static char *fusermount_options(const struct union_options *o)
{
	return str_fmt("fsname=%s,subtype=" TYPE "%s%s%s%s%s%s%s", source_of(o),
		       o->unchecked ? "" : ",default_permissions",
		       o->allow_other ? ",allow_other" : "", o->rdonly ? ",ro" : "",
		       o->attrs & MOUNT_ATTR_NOSUID ? ",nosuid" : "",
		       o->attrs & MOUNT_ATTR_NODEV ? ",nodev" : "",
		       o->attrs & MOUNT_ATTR_NOEXEC ? ",noexec" : "",
		       o->attrs & MOUNT_ATTR_NOATIME ? ",noatime" : "");
}

char *union_fusermount(void)
{
	char *path;

	return proc_find(FUSERMOUNT, &path) == 0 ? path : NULL;
}

/* What it has said, a line, as the error's text. */
static int told(int said, const char *path)
{
	char text[200];
	ssize_t n = pread(said, text, sizeof(text) - 1, 0);

	text[MAX(n, (ssize_t)0)] = 0;
	text[strcspn(text, "\n")] = 0;
	return err(-EIO, "%s: %s", path, *text ? text : FUSERMOUNT " failed");
}

/* Runs it with @args, the last of which is the place; descriptor SENT_FD is @sock, unless -1. */
static int run_fusermount(char *const *args, int sock)
{
	_close_ int said = memfd_create("said", MFD_CLOEXEC), pidfd = -1;
	const int fds[] = { -1, -1, said, sock };
	_free_ char *program = union_fusermount();
	_strv_free_ char **env = NULL;
	int status, e;
	pid_t pid;

	if (!program)
		return err(-ENOENT,
			   "mount: neither CAP_SYS_ADMIN nor " FUSERMOUNT " (package fuse3)");
	e = strv_dup(environ, &env);
	if (!e)
		e = strv_addf(&env, "_FUSE_COMMFD=%d", SENT_FD);
	if (!e)
		e = proc_spawn(program, args, env, fds, sock < 0 ? 3 : 4, &pid, &pidfd);
	if (!e)
		e = proc_wait(pidfd, &status);
	if (e)
		return err(e, "mount: %s", program);
	return status ? told(said, args[strv_len(args) - 1]) : 0;
}

static int receive(int sock, int *ret_fd)
{
	size_t n = 0;
	char byte;
	ssize_t got = fd_recv(sock, &byte, 1, ret_fd, 1, &n);

	if (got < 0)
		return (int)got;
	return n == 1 ? 0 : err(-EIO, "mount: " FUSERMOUNT " sent no descriptor");
}

/* Has it mount; *@ret_sock is where it has sent the descriptor. */
static int ask_fusermount(char *const *args, int *ret_sock)
{
	_close_ int ours = -1, theirs = -1;
	int pair[2], e;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return err_sys("mount: socketpair");
	ours = pair[0];
	theirs = pair[1];
	e = run_fusermount(args, theirs);
	if (!e)
		*ret_sock = take_fd(ours);
	return e;
}

static int mount_by_fusermount(const struct union_options *o, int *ret_fuse_fd)
{
	_free_ char *options = fusermount_options(o);
	char *const args[] = { (char[]){ FUSERMOUNT }, (char[]){ "-o" }, options,
			       (char[]){ "--" },       o->mountpoint,	 NULL };
	_close_ int sock = -1;
	int e;

	if (!options)
		return -ENOMEM;
	if (o->context)
		return err(-EPERM, "%s: only root may say so", o->context[0]);
	e = check_plain(source_of(o));
	if (!e)
		e = ask_fusermount(args, &sock);
	return e ? e : receive(sock, ret_fuse_fd);
}

int union_mount(const struct union_options *o, int *ret_fuse_fd)
{
	int e = mount_by_calls(o, ret_fuse_fd);

	if (e != -EPERM && e != -EACCES)
		return e;
	err_clear();
	return mount_by_fusermount(o, ret_fuse_fd);
}

void union_unmount(const char *path)
{
	char *const args[] = { (char[]){ FUSERMOUNT },
			       (char[]){ "-u" },
			       (char[]){ "-z" },
			       (char[]){ "-q" },
			       (char[]){ "--" },
			       (char *)path,
			       NULL };

	if (umount2(path, MNT_DETACH | UMOUNT_NOFOLLOW) < 0 && errno == EPERM)
		run_fusermount(args, -1);
	err_clear();
}

int union_unmount_unused(const char *path)
{
	char *const args[] = { (char[]){ FUSERMOUNT }, (char[]){ "-u" }, (char[]){ "--" },
			       (char *)path, NULL };

	if (umount2(path, UMOUNT_NOFOLLOW) == 0)
		return 0;
	return errno == EPERM ? run_fusermount(args, -1) : err_sys("umount %s", path);
}
