/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A microVM as an isolation: the process is strata-vmm, which gets layers and top as descriptors.
 * This side answers its requests for objects, out of the image's own index, and hears how the
 * command fares.
 */
#include "base/err.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/proc.h"
#include "base/str.h"
#include "engine/checkpoint.h"
#include "engine/iso_vm.h"
#include "engine/layers.h"
#include "engine/passt.h"
#include "engine/vm_volume.h"
#include "engine/vm_vsock.h"
#include "engine/vmm.h"
#include "engine/warm.h"
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>

void *iso_vm_new(const struct iso_context *c)
{
	struct iso_vm *v = new0(struct iso_vm);
	struct stat st;

	if (!v)
		return NULL;
	v->c = *c;
	v->log_from = fstat(c->log_fd, &st) == 0 ? st.st_size : 0;
	v->root = ROOTFS_NONE;
	v->bridge = BRIDGE_END_NONE;
	v->pidfd = v->control = v->objects = v->ports = v->console = -1;
	v->fetcher.pidfd = -1;
	v->exit_status = -1;
	return v;
}

/* ---- the isolation ---- */

/* The top through a mount of its own, so that a rename between upper and work stays inside one
 * mount. */
static int confine_top(struct iso_vm *v)
{
	_free_ char *path = str_fmt("%s/snapshots/%s", store_path(v->c.store), v->c.spec->id);
	_close_ int top = path ? vm_open_confined(path, false) : -ENOMEM;
	uid_t uid = vmm_uid(v->c.spec);
	int r;

	if (top < 0)
		return top;
	v->root.upper_fd = fd_close(v->root.upper_fd);
	v->root.work_fd = fd_close(v->root.work_fd);
	v->root.upper_fd = openat(top, "upper", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	v->root.work_fd = openat(top, "work", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (v->root.upper_fd < 0 || v->root.work_fd < 0)
		return err_sys("%s", path);
	r = vmm_give_away(v->root.upper_fd, uid);
	return r < 0 ? r : vmm_give_away(v->root.work_fd, uid);
}

static int create(void *ctx, const int stdio[3], struct run_process *ret)
{
	struct iso_vm *v = ctx;
	int r = rootfs_open_parts(v->c.store, v->c.spec, true, &v->root);

	/* What it remembers is of a top that this start changes. */
	if (r >= 0 && !v->c.restore)
		checkpoint_drop(v->c.store, v->c.spec->id);
	if (r >= 0)
		r = layer_index_open_verified(v->root.stack.index_fd,
					      v->root.stack.sums ? v->root.stack.sums[0] : -1,
					      &v->index);
	if (r >= 0)
		r = confine_top(v);
	if (r >= 0)
		r = vm_fetcher_init(&v->fetcher, v->root.stack.arriving, store_path(v->c.store),
				    v->c.log_fd);
	if (r >= 0)
		r = vm_handout_spawn(v, stdio);
	if (r >= 0)
		r = vm_fetcher_begin(&v->fetcher);
	if (r < 0)
		return r;
	ret->pid = v->pid;
	ret->pidfd = v->pidfd;
	ret->console = v->console;
	log_debug("%s: VMM %d, uid %u", v->c.spec->id, (int)v->pid, (unsigned)vmm_uid(v->c.spec));
	return 0;
}

/* Opens what inode @nid of this image holds; any other number is refused. */
static int open_object(struct iso_vm *v, uint64_t nid)
{
	_close_ int objects = -1;
	struct layer_content content;
	int r = layer_content(v->index, nid, &content);

	if (r < 0 || content.kind != LAYER_OBJECT) {
		err_clear();
		return -EACCES;
	}
	objects = layers_open_objects(v->c.store);
	err_clear();
	return objects < 0 ? objects : layers_object_openat(objects, &content.digest);
}

int iso_vm_serve_object(void *ctx, int fd, _unused_ uint32_t events)
{
	struct iso_vm *v = ctx;
	_close_ int object = -1;
	uint64_t nid;
	int32_t answer;
	ssize_t n = recv(fd, &nid, sizeof(nid), MSG_DONTWAIT);

	if (n != sizeof(nid)) {
		if (v->loop && !(n < 0 && errno == EAGAIN))
			loop_remove(v->loop, fd);
		return 0;
	}
	object = open_object(v, nid);
	answer = object < 0 ? object : 0;
	fd_send(fd, &answer, sizeof(answer), &object, object >= 0);
	return 0;
}

static int serve_port(void *ctx, int fd, _unused_ uint32_t events)
{
	struct iso_vm *v = ctx;

	if (vm_vsock_serve(v->c.dir, fd) < 0 && v->loop)
		loop_remove(v->loop, fd);
	return 0;
}

int iso_vm_next_message(struct iso_vm *v, struct vmm_message *ret)
{
	ssize_t n;

	/* A VMM that has ended with a message of ours unread has told its status all the same. */
	do {
		n = recv(v->control, ret, sizeof(*ret), MSG_DONTWAIT);
	} while (n < 0 && fd_recv_again(errno));
	if (n < 0 && errno == EAGAIN)
		return 0;
	if (n != sizeof(*ret))
		return -EPIPE;
	ret->text[sizeof(ret->text) - 1] = '\0';
	if (ret->kind == VMM_EXITED)
		v->exit_status = ret->value & 0xff;
	if (ret->kind == VMM_FAILED) {
		v->failure = *ret;
		str_printable(v->failure.text, sizeof(v->failure.text), ret->text);
	}
	return 1;
}

/* It says so before its guest runs. */
static void boots(struct iso_vm *v, const struct vmm_message *m)
{
	if (!v->warm)
		return;
	v->warm = false;
	log_warn("no warm start: %s", m->text);
	warm_drop(&v->c, &v->machine);
}

/* Whether it is known now how the start went. */
static bool hear_start(struct iso_vm *v, const struct vmm_message *m)
{
	if (m->kind == VMM_COLD)
		boots(v, m);
	v->started = v->started || m->kind == VMM_STARTED;
	return v->started || m->kind == VMM_FAILED;
}

static int hear_control(void *ctx, int fd, _unused_ uint32_t events)
{
	struct iso_vm *v = ctx;
	struct vmm_message m;
	bool known = false;
	int r;

	while (!known && (r = iso_vm_next_message(v, &m)) == 1)
		known = v->starting && hear_start(v, &m);
	if (!known && r < 0)
		loop_remove(v->loop, fd);
	/* start() is what runs the loop. */
	return v->starting && (known || r < 0);
}

static int attach(void *ctx, struct loop *loop)
{
	struct iso_vm *v = ctx;
	int r;

	v->loop = loop;
	r = loop_add(loop, v->objects, EPOLLIN, iso_vm_serve_object, v);
	if (r >= 0)
		r = loop_add(loop, v->ports, EPOLLIN, serve_port, v);
	if (r >= 0)
		r = vm_fetcher_attach(&v->fetcher, loop);
	return r < 0 ? r : loop_add(loop, v->control, EPOLLIN, hear_control, v);
}

int iso_vm_failed(const struct vmm_message *m)
{
	int e = m->value > 0 && m->value < 4096 ? -m->value : -EIO;

	return err(e, "%s", m->text);
}

/*
 * Until the command runs: a boot takes its time, in which objects are served, without which it
 * would never get there, and its user may want an end of it.
 */
static int start(void *ctx)
{
	struct iso_vm *v = ctx;
	int r;

	v->starting = true;
	r = loop_run(v->loop);
	v->starting = false;
	if (v->started)
		r = 0;
	else if (r < 0)
		r = err(r, "the microVM: %s", strerror(-r));
	else
		r = iso_vm_unstarted(v);
	if (v->restored)
		checkpoint_used(v->c.store, v->c.spec->id, r >= 0);
	return r;
}

static int tell(struct iso_vm *v, const struct vmm_message *m)
{
	return send(v->control, m, sizeof(*m), MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? -errno : 0;
}

/* A machine that has no command yet to take a signal is ended by those that end most. */
static int kill_guest(void *ctx, int sig)
{
	struct iso_vm *v = ctx;
	struct vmm_message m = { .kind = VMM_SIGNAL, .value = sig };

	if (!v->started && (sig == SIGTERM || sig == SIGINT || sig == SIGHUP || sig == SIGQUIT))
		sig = SIGKILL;
	v->cut = v->cut || sig == SIGKILL;
	return sig == SIGKILL ? proc_pidfd_kill(v->pidfd, SIGKILL) : tell(v, &m);
}

static int resize(void *ctx, unsigned rows, unsigned cols)
{
	struct vmm_message m = { .kind = VMM_RESIZE, .rows = rows, .cols = cols };

	return tell(ctx, &m);
}

/* The machine's memory is a multiple of 2 MiB (microvm.h). */
static int memory(void *ctx, unsigned mib)
{
	struct iso_vm *v = ctx;
	struct vmm_message m = { .kind = VMM_MEMORY, .value = (int32_t)mib };

	if (!v->c.spec->balloon)
		return -EOPNOTSUPP;
	if (mib > ROUND_UP(v->c.spec->limits.memory, UINT64_C(2) << 20) >> 20)
		return -ERANGE;
	return tell(v, &m);
}

/* The VMM answers to who asks, not to us: nobody waits here for one that is not trusted. */
static int stats(void *ctx, int *ret_fd)
{
	struct iso_vm *v = ctx;
	const struct vmm_message m = { .kind = VMM_STATS };
	struct pollfd p = { .fd = v->control, .events = POLLOUT };
	_close_ int ours = -1, theirs = -1;
	int pair[2];

	if (poll(&p, 1, 0) != 1 || !(p.revents & POLLOUT))
		return -EAGAIN;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return -errno;
	ours = pair[0];
	theirs = pair[1];
	if (fd_send(v->control, &m, sizeof(m), &theirs, 1) != sizeof(m))
		return -ESRCH;
	*ret_fd = take_fd(ours);
	return 0;
}

static int exit_code(void *ctx, int wait_status)
{
	struct iso_vm *v = ctx;
	struct vmm_message m;

	while (iso_vm_next_message(v, &m) == 1)
		;
	v->wait_status = wait_status;
	if (v->saved)
		return 0;
	if (v->exit_status >= 0)
		return v->exit_status;
	return wait_status > 128 ? wait_status : 125;
}

static bool oom_killed(void *ctx)
{
	struct iso_vm *v = ctx;

	return v->cgroup && cgroup_oom_killed(v->cgroup);
}

/* All threads of the VMM: virtual CPUs, devices, file server; and QEMU beside it. */
static int pause_vmm(void *ctx, bool paused)
{
	struct iso_vm *v = ctx;

	if (v->c.spec->emulated)
		return kill(-v->pid, paused ? SIGSTOP : SIGCONT) < 0 ? -errno : 0;
	return proc_pidfd_kill(v->pidfd, paused ? SIGSTOP : SIGCONT);
}

static void cleanup(void *ctx)
{
	struct iso_vm *v = ctx;

	fd_close(v->pidfd);
	fd_close(v->control);
	fd_close(v->objects);
	fd_close(v->ports);
	fd_close(v->console);
	layer_index_close(v->index);
	vm_fetcher_done(&v->fetcher);
	rootfs_close(&v->root);
	bridge_close(v->c.runroot, v->c.spec->id, &v->bridge);
	/* QEMU may only now be dying, of its VMM's end, and has much memory to give back. */
	if (v->cgroup && v->c.spec->emulated && cgroup_purge(v->c.spec->id) < 0)
		log_warn("%s", err_take(-EBUSY));
	if (v->cgroup)
		cgroup_free(v->cgroup);
	free(v);
}

const struct isolation iso_vm = {
	.create = create,
	.start = start,
	.kill = kill_guest,
	.resize = resize,
	.exit_code = exit_code,
	.oom_killed = oom_killed,
	.why = iso_vm_why,
	.pause = pause_vmm,
	.memory = memory,
	.checkpoint = iso_vm_checkpoint,
	.clone = iso_vm_keep,
	.stats = stats,
	.attach = attach,
	.cleanup = cleanup,
};
