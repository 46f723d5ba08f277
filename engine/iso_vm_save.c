/* SPDX-License-Identifier: Apache-2.0 */
/* A running microVM put into a file, on its supervisor's side. */
#include "base/err.h"
#include "base/fd.h"
#include "base/log.h"
#include "engine/checkpoint.h"
#include "engine/iso_vm.h"
#include "unionfs/unionfs.h"
#include <poll.h>
#include <sys/socket.h>

static bool answers(const struct vmm_message *m)
{
	return m->kind == VMM_SAVED || m->kind == VMM_KEPT || m->kind == VMM_UNSAVED ||
	       m->kind == VMM_FAILED;
}

/*
 * Until the VMM says that it has saved its machine, or could not: 0 and *@ret, or -EPIPE when it
 * has gone. Objects are served meanwhile.
 */
static int await_saved(struct iso_vm *v, struct vmm_message *ret)
{
	struct pollfd fds[] = {
		{ .fd = v->control, .events = POLLIN },
		{ .fd = v->objects, .events = POLLIN },
	};

	for (;;) {
		int r;

		if (poll(fds, ARRAY_SIZE(fds), -1) < 0 && errno != EINTR)
			return err_sys("poll");
		if (fds[1].revents & POLLIN)
			iso_vm_serve_object(v, v->objects, 0);
		r = fds[0].revents ? iso_vm_next_message(v, ret) : 0;
		if (r < 0)
			return r;
		if (r == 1 && answers(ret))
			return 0;
	}
}

/* Has the VMM save its machine to @fd; @on: it is to run on. 0 when it is there. */
static int save_to(struct iso_vm *v, int fd, bool on)
{
	struct vmm_message m = { .kind = VMM_CHECKPOINT, .value = on };
	int r;

	if (fd_send(v->control, &m, sizeof(m), &fd, 1) != sizeof(m))
		return -ESRCH;
	r = await_saved(v, &m);
	if (r < 0)
		return r == -EPIPE ? -ESRCH : r;
	return m.kind == (on ? VMM_KEPT : VMM_SAVED) ? 0 : iso_vm_failed(&m);
}

/* ---- and its end ---- */

/* Waits for its end: only then is its top on disk too. */
static int wait_end(const struct iso_vm *v)
{
	struct pollfd p = { .fd = v->pidfd, .events = POLLIN };

	while (poll(&p, 1, -1) < 0 && errno == EINTR)
		;
	return checkpoint_publish(v->c.store, v->c.spec->id);
}

int iso_vm_checkpoint(void *ctx)
{
	struct iso_vm *v = ctx;
	_close_ int fd = -1;
	int r = checkpoint_check(v->c.spec);

	if (r >= 0)
		fd = r = checkpoint_create(v->c.store, v->c.spec->id);
	if (r >= 0)
		r = save_to(v, fd, false);
	if (r >= 0)
		r = wait_end(v);
	v->saved = r >= 0;
	if (r < 0) {
		log_warn("checkpoint: %s", err_take(r));
		checkpoint_drop(v->c.store, v->c.spec->id);
	}
	return r;
}

/* ---- and on it runs ---- */

static int create_machine(const struct kept *k)
{
	int fd = openat(k->dir, "machine", O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	return fd < 0 ? err_sys("%s", k->name) : fd;
}

/* The guest stands still until all of it is copied: memory and top are of one moment. */
static int keep(struct iso_vm *v, const struct kept *k)
{
	const struct vmm_message go = { .kind = VMM_GO };
	const struct ufs_top from = { v->root.upper_fd, v->root.work_fd };
	const struct ufs_top to = { k->upper, k->work };
	_close_ int fd = create_machine(k);
	int r = fd < 0 ? fd : save_to(v, fd, true);

	if (r < 0)
		return r;
	r = ufs_clone_top(&from, &to, geteuid());
	if (send(v->control, &go, sizeof(go), MSG_NOSIGNAL) != sizeof(go) && r >= 0)
		r = -ESRCH;
	if (r >= 0 && fsync(fd) < 0)
		r = err_sys("%s", k->name);
	return r;
}

int iso_vm_keep(void *ctx, pid_t pid)
{
	struct iso_vm *v = ctx;
	struct kept k = KEPT_NONE;
	int r = clone_check(v->c.spec);

	if (r >= 0)
		r = kept_create(v->c.store, v->c.spec->id, pid, &k);
	if (r >= 0)
		r = keep(v, &k);
	if (r < 0) {
		log_warn("clone: %s", err_take(r));
		kept_remove(v->c.store, v->c.spec->id, &k);
	}
	kept_close(&k);
	return r;
}
