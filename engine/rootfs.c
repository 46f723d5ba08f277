/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/rootfs.h"
#include "engine/layers.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/proc.h"
#include "base/str.h"
#include "engine/vmm.h"
#include "unionfs/unionfs.h"
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>

#define SERVER_THREADS "2"   /* one may wait for a disk while the other answers from the map */
#define SERVER_END_MS  10000 /* an unmounted server ends at once; past this it is killed */

int rootfs_namespace(void)
{
	if (unshare(CLONE_NEWNS) < 0)
		return err_sys("mount namespace");
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return err_sys("mount namespace: making it private");
	return 0;
}

int engine_own_mounts(void)
{
	if (geteuid() != 0)
		return err(-EPERM, "this needs root: as uid %u only images can be handled",
			   (unsigned)geteuid());
	return rootfs_namespace();
}

int rootfs_open_parts(struct store *s, const struct run_spec *spec, struct rootfs *ret)
{
	int r = stack_open(s, spec->layers, spec->nlayers, &ret->stack);

	if (r >= 0 && !spec->no_verify)
		r = stack_open_sums(s, &ret->stack);
	if (r < 0)
		return r;
	return snapshot_open(s, spec->id, &ret->lock_fd, &ret->upper_fd, &ret->work_fd);
}

/* A microVM's top as its VMM has it, whatever the microVM itself may write. */
static void upper_word(const struct run_spec *spec, char *word, size_t size)
{
	if (spec->kind == RUN_VM)
		snprintf(word, size, "mapped:%u", (unsigned)vmm_uid(spec->id));
	else
		snprintf(word, size, "%s",
			 rootfs_rdonly(spec) ? "none" :
			 spec->rm	     ? "volatile" :
					       "native");
}

static int spawn_server(struct store *s, const struct run_spec *spec, int log_fd, int fuse_fd,
			int ready_fd, struct rootfs *r)
{
	_free_ char *path = NULL;
	_free_ int *fds = NULL;
	_close_ int objects = layers_open_objects(s), journal = -1;
	char upper[32];
	char *argv[] = { NULL, /* its path: a reload starts what stands there by then */
			 upper, (char[]){ SERVER_THREADS }, NULL };
	size_t nfds;
	int e;

	if (objects < 0)
		return objects;
	e = proc_sibling("strata-server", &path);
	if (e < 0)
		return e;
	argv[0] = path;
	upper_word(spec, upper, sizeof(upper));
	journal = memfd_create("strata-journal", MFD_CLOEXEC);
	if (journal < 0)
		return err_sys("journal");
	nfds = SERVER_PACKS + r->stack.npacks + (r->stack.sums ? r->stack.npacks + 1 : 0);
	fds = mem_new(nfds, sizeof(*fds));
	if (!fds)
		return -ENOMEM;
	fds[0] = fds[1] = -1;
	fds[2] = log_fd;
	fds[SERVER_FUSE] = fuse_fd;
	fds[SERVER_UPPER] = r->upper_fd;
	fds[SERVER_WORK] = r->work_fd;
	fds[SERVER_INDEX] = r->stack.index_fd;
	fds[SERVER_OBJECTS] = objects;
	fds[SERVER_JOURNAL] = journal;
	fds[SERVER_READY] = ready_fd;
	for (size_t i = 0; i < r->stack.npacks; i++)
		fds[SERVER_PACKS + i] = r->stack.pack_fds[i];
	for (size_t i = SERVER_PACKS + r->stack.npacks; i < nfds; i++)
		fds[i] = r->stack.sums[i - SERVER_PACKS - r->stack.npacks];
	e = proc_spawn(path, argv, NULL, fds, nfds, &r->server, &r->server_pidfd);
	return e < 0 ? err(e, "%s: %s", path, strerror(-e)) : 0;
}

/* Until it serves: a request to a server that never came up would wait for ever. */
static int wait_ready(int ready_fd)
{
	_free_ char *why = NULL;
	size_t len;
	int e = fd_read_all(ready_fd, ERR_TEXT_MAX, &why, &len);

	if (e < 0)
		return err(e, "strata-server: %s", strerror(-e));
	return len ? err(-EIO, "%s", why) : 0;
}

/* The server (its keeper, that is) alone keeps /dev/fuse open: with it the connection ends. */
static int mount_fuse(struct store *s, const struct run_spec *spec, int log_fd, struct rootfs *r)
{
	_free_ char *source = str_fmt("strata:%s", spec->image);
	_close_ int fuse_fd = -1, ready_fd = -1;
	bool vm = spec->kind == RUN_VM;
	int pipefd[2], e = source ? 0 : -ENOMEM;

	if (e == 0 && vm)
		e = vmm_give_away(r->upper_fd, vmm_uid(spec->id));
	if (e == 0 && vm)
		e = vmm_give_away(r->work_fd, vmm_uid(spec->id));
	if (e == 0)
		e = ufs_mount(source, rootfs_rdonly(spec) && !vm, &fuse_fd, &r->mount_fd);
	if (e < 0)
		return e;
	r->driver = RUN_DRIVER_FUSE;
	if (pipe2(pipefd, O_CLOEXEC) < 0)
		return err_sys("pipe");
	ready_fd = pipefd[0];
	e = spawn_server(s, spec, log_fd, fuse_fd, pipefd[1], r);
	fd_close(pipefd[1]);
	return e < 0 ? e : wait_ready(ready_fd);
}

int rootfs_open(struct store *s, const struct run_spec *spec, int log_fd, struct rootfs *ret)
{
	int r = rootfs_open_parts(s, spec, ret);

	if (r < 0)
		return r;
	if (spec->driver != RUN_DRIVER_FUSE && spec->kind != RUN_VM) {
		r = rootfs_mount_overlay(s, spec, ret);
		if (r == 0)
			log_debug("%s: root by the driver overlay", spec->id);
		if (r == 0 || spec->driver == RUN_DRIVER_OVERLAY)
			return r;
		log_debug("%s: not the driver overlay: %s", spec->id, err_take(r));
	}
	log_debug("%s: root by the driver fuse", spec->id);
	return mount_fuse(s, spec, log_fd, ret);
}

/* The last reference to the mount has gone, so the kernel ends the connection and the server ends
 * by itself. */
static void end_server(struct rootfs *r)
{
	struct pollfd p = { .fd = r->server_pidfd, .events = POLLIN };
	int status;

	if (r->server_pidfd < 0)
		return;
	if (poll(&p, 1, SERVER_END_MS) <= 0)
		proc_pidfd_kill(r->server_pidfd, SIGKILL);
	proc_wait(r->server_pidfd, &status);
	r->server_pidfd = fd_close(r->server_pidfd);
}

void rootfs_unmount(struct rootfs *r)
{
	r->mount_fd = fd_close(r->mount_fd);
	rootfs_unmount_overlay(r);
	end_server(r);
}

void rootfs_close(struct rootfs *r)
{
	rootfs_unmount(r);
	if (r->stack.index_fd >= 0)
		stack_close(&r->stack);
	fd_close(r->upper_fd);
	fd_close(r->work_fd);
	fd_close(r->lock_fd);
	free(r->image);
	*r = ROOTFS_NONE;
}
