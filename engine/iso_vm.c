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
#include "engine/iso.h"
#include "engine/object.h"
#include "engine/vm_volume.h"
#include "engine/vmm.h"
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>

struct iso_vm {
	struct iso_context c;
	struct rootfs root; /* its parts, without a mount */
	struct cgroup *cgroup;
	struct layer_index *index;
	struct loop *loop;
	pid_t pid;
	int pidfd, control, objects, console;
	int exit_status; /* the command's, -1 = not told */
};

void *iso_vm_new(const struct iso_context *c)
{
	struct iso_vm *v = new0(struct iso_vm);

	if (!v)
		return NULL;
	v->c = *c;
	v->root = ROOTFS_NONE;
	v->pidfd = v->control = v->objects = v->console = -1;
	v->exit_status = -1;
	return v;
}

uid_t vmm_uid(const char *id)
{
	char digits[7];

	snprintf(digits, sizeof(digits), "%.6s", id);
	return VMM_UID_BASE + strtoul(digits, NULL, 16);
}

struct vmm_tag vmm_volume_tag(size_t i)
{
	struct vmm_tag t;

	snprintf(t.s, sizeof(t.s), "volume%u", (unsigned)(i % 1000000));
	return t;
}

/* ---- what the VMM is handed ---- */

static int give_away(int fd, uid_t uid)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_sys("snapshot");
	return st.st_uid != uid && fchownat(fd, "", uid, uid, AT_EMPTY_PATH) < 0 ?
		       err_sys("snapshot") :
		       0;
}

/* The top through a mount of its own, so that a rename between upper and work stays inside one
 * mount. */
static int confine_top(struct iso_vm *v)
{
	_free_ char *path = str_fmt("%s/snapshots/%s", store_path(v->c.store), v->c.spec->id);
	_close_ int top = path ? vm_open_confined(path, false) : -ENOMEM;
	uid_t uid = vmm_uid(v->c.spec->id);
	int r;

	if (top < 0)
		return top;
	v->root.upper_fd = fd_close(v->root.upper_fd);
	v->root.work_fd = fd_close(v->root.work_fd);
	v->root.upper_fd = openat(top, "upper", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	v->root.work_fd = openat(top, "work", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (v->root.upper_fd < 0 || v->root.work_fd < 0)
		return err_sys("%s", path);
	r = give_away(v->root.upper_fd, uid);
	return r < 0 ? r : give_away(v->root.work_fd, uid);
}

static int open_program(const char *name)
{
	_free_ char *path = NULL;
	int fd, r = proc_sibling(name, &path);

	if (r < 0)
		return r;
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? err_sys("%s", path) : fd;
}

static int config_memfd(const struct run_spec *spec)
{
	_json_ json_t *j = spec_to_json(spec);
	_free_ char *text = NULL;
	size_t len;

	text = j ? json_text(j, &len) : NULL;
	return text ? fd_memfd("config", text, len) : -ENOMEM;
}

/* Descriptors for the VMM by place; ours to close are counted in @own. */
struct handout {
	int *fds;
	int n;
	int own[8 + 64];
	int nown;
};

static void handout_done(struct handout *h)
{
	for (int i = 0; i < h->nown; i++)
		fd_close(h->own[i]);
	free(h->fds);
}

static int hand_own(struct handout *h, int place, int fd)
{
	if (fd < 0)
		return fd;
	if (h->nown == ARRAY_SIZE(h->own)) {
		fd_close(fd);
		return err(-E2BIG, "more than %zu volumes", ARRAY_SIZE(h->own) - 8);
	}
	h->own[h->nown++] = fd;
	h->fds[place] = fd;
	return 0;
}

static int hand_files(struct iso_vm *v, struct handout *h)
{
	const struct run_spec *spec = v->c.spec;
	int kernel, r = hand_own(h, VMM_CONFIG, config_memfd(spec));

	if (r < 0)
		return r;
	kernel = open(spec->kernel, O_RDONLY | O_CLOEXEC);
	r = hand_own(h, VMM_KERNEL, kernel < 0 ? err_sys("guest kernel %s", spec->kernel) : kernel);
	if (r >= 0)
		r = hand_own(h, VMM_INIT, open_program("strata-init"));
	for (size_t i = 0; r >= 0 && i < spec->nvolumes; i++)
		r = hand_own(h, VMM_MORE + v->root.stack.npacks + i,
			     vm_open_volume(&spec->volumes[i], vmm_uid(spec->id)));
	return r;
}

static int hand_sockets(struct iso_vm *v, struct handout *h)
{
	int control[2], objects[2], r;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, control) < 0)
		return err_sys("control socket");
	v->control = control[0];
	r = hand_own(h, VMM_CONTROL, control[1]);
	if (r < 0)
		return r;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, objects) < 0)
		return err_sys("object socket");
	v->objects = objects[0];
	return hand_own(h, VMM_OBJECTS, objects[1]);
}

/* With a terminal the guest has it; here it is a stream in both directions, which the supervisor
 * relays. */
static int hand_stdio(struct iso_vm *v, struct handout *h, const int stdio[3])
{
	int pair[2];

	if (!v->c.spec->tty) {
		memcpy(h->fds, stdio, 3 * sizeof(int));
		return 0;
	}
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return err_sys("terminal");
	v->console = pair[0];
	h->fds[1] = pair[1];
	h->fds[2] = -1;
	return hand_own(h, 0, pair[1]);
}

static int fill_handout(struct iso_vm *v, struct handout *h, const int stdio[3])
{
	int r;

	h->n = VMM_MORE + v->root.stack.npacks + v->c.spec->nvolumes;
	h->fds = mem_new(h->n, sizeof(*h->fds));
	if (!h->fds)
		return -ENOMEM;
	h->fds[VMM_LOG] = v->c.log_fd;
	h->fds[VMM_UPPER] = v->root.upper_fd;
	h->fds[VMM_WORK] = v->root.work_fd;
	h->fds[VMM_INDEX] = v->root.stack.index_fd;
	for (size_t i = 0; i < v->root.stack.npacks; i++)
		h->fds[VMM_MORE + i] = v->root.stack.pack_fds[i];
	r = hand_stdio(v, h, stdio);
	if (r >= 0)
		r = hand_sockets(v, h);
	return r < 0 ? r : hand_files(v, h);
}

static int spawn_vmm(struct iso_vm *v, const int stdio[3])
{
	_cleanup_(handout_done) struct handout h = { 0 };
	_free_ char *path = NULL;
	char *argv[] = { (char[]){ "strata-vmm" }, NULL };
	char *env[] = { getenv("STRATA_DEBUG") ? (char[]){ "STRATA_DEBUG=1" } : NULL, NULL };
	int r = fill_handout(v, &h, stdio);

	if (r >= 0)
		r = proc_sibling("strata-vmm", &path);
	if (r < 0)
		return r;
	r = proc_spawn(path, argv, env, h.fds, h.n, &v->pid, &v->pidfd);
	return r < 0 ? err(r, "%s: %s", path, strerror(-r)) : 0;
}

/* ---- the isolation ---- */

/* The guest's memory is the VMM's: what is left over of the limit is for the VMM itself and the
 * page cache. */
static int enter_cgroup(struct iso_vm *v)
{
	struct run_limits limits = v->c.spec->limits;
	int r;

	limits.memory = 0; /* bounded by the memory that the machine has */
	limits.pids = 0;   /* the guest's processes are the guest's to count */
	r = cgroup_new(v->c.spec->id, &limits, &v->cgroup);
	return r < 0 ? r : cgroup_enter(v->cgroup, v->pid, true);
}

static int create(void *ctx, const int stdio[3], struct run_process *ret)
{
	struct iso_vm *v = ctx;
	int r = rootfs_open_parts(v->c.store, v->c.spec, &v->root);

	if (r >= 0)
		r = layer_index_open(v->root.stack.index_fd, &v->index);
	if (r >= 0)
		r = confine_top(v);
	if (r >= 0)
		r = spawn_vmm(v, stdio);
	if (r >= 0)
		r = enter_cgroup(v);
	if (r < 0)
		return r;
	ret->pid = v->pid;
	ret->pidfd = v->pidfd;
	ret->console = v->console;
	log_debug("%s: VMM %d, uid %u", v->c.spec->id, (int)v->pid,
		  (unsigned)vmm_uid(v->c.spec->id));
	return 0;
}

/* Opens what inode @nid of this image holds; any other number is refused. */
static int open_object(struct iso_vm *v, uint64_t nid)
{
	_close_ int objects = -1;
	struct layer_content content;
	int r = layer_content(v->index, nid, &content);

	err_clear();
	if (r < 0 || content.kind != LAYER_OBJECT)
		return -EACCES;
	objects = openat(store_dirfd(v->c.store), "objects", O_PATH | O_DIRECTORY | O_CLOEXEC);
	return objects < 0 ? -errno : object_openat(objects, &content.digest);
}

static int serve_object(void *ctx, int fd, _unused_ uint32_t events)
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

/* One message: 1 and *@ret, 0 = none now, -EPIPE = the VMM has gone. */
static int next_message(struct iso_vm *v, struct vmm_message *ret)
{
	ssize_t n = recv(v->control, ret, sizeof(*ret), MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n != sizeof(*ret))
		return -EPIPE;
	ret->text[sizeof(ret->text) - 1] = '\0';
	if (ret->kind == VMM_EXITED)
		v->exit_status = ret->value & 0xff;
	return 1;
}

static int hear_control(void *ctx, int fd, _unused_ uint32_t events)
{
	struct iso_vm *v = ctx;
	struct vmm_message m;
	int r;

	while ((r = next_message(v, &m)) == 1)
		;
	if (r < 0)
		loop_remove(v->loop, fd);
	return 0;
}

static int attach(void *ctx, struct loop *loop)
{
	struct iso_vm *v = ctx;
	int r;

	v->loop = loop;
	r = loop_add(loop, v->objects, EPOLLIN, serve_object, v);
	return r < 0 ? r : loop_add(loop, v->control, EPOLLIN, hear_control, v);
}

static int failed(const struct vmm_message *m)
{
	int e = m->value > 0 && m->value < 4096 ? -m->value : -EIO;

	return err(e, "%s", m->text);
}

/* Until the command runs; objects are served meanwhile, since without them it never would. */
static int start(void *ctx)
{
	struct iso_vm *v = ctx;
	struct pollfd fds[] = {
		{ .fd = v->control, .events = POLLIN },
		{ .fd = v->objects, .events = POLLIN },
	};
	struct vmm_message m;

	for (;;) {
		int r;

		if (poll(fds, ARRAY_SIZE(fds), -1) < 0 && errno != EINTR)
			return err_sys("poll");
		if (fds[1].revents & POLLIN)
			serve_object(v, v->objects, 0);
		r = fds[0].revents ? next_message(v, &m) : 0;
		if (r < 0)
			return err(
				-EIO,
				"the microVM ended before its command ran; monitor.log of the instance says more");
		if (r == 1 && m.kind == VMM_FAILED)
			return failed(&m);
		if (r == 1 && m.kind == VMM_STARTED)
			return 0;
	}
}

static int tell(struct iso_vm *v, const struct vmm_message *m)
{
	return send(v->control, m, sizeof(*m), MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ? -errno : 0;
}

static int kill_guest(void *ctx, int sig)
{
	struct iso_vm *v = ctx;
	struct vmm_message m = { .kind = VMM_SIGNAL, .value = sig };

	return sig == SIGKILL ? proc_pidfd_kill(v->pidfd, SIGKILL) : tell(v, &m);
}

static int resize(void *ctx, unsigned rows, unsigned cols)
{
	struct vmm_message m = { .kind = VMM_RESIZE, .rows = rows, .cols = cols };

	return tell(ctx, &m);
}

static int exit_code(void *ctx, int wait_status)
{
	struct iso_vm *v = ctx;
	struct vmm_message m;

	while (next_message(v, &m) == 1)
		;
	if (v->exit_status >= 0)
		return v->exit_status;
	return wait_status > 128 ? wait_status : 125;
}

static bool oom_killed(void *ctx)
{
	struct iso_vm *v = ctx;

	return v->cgroup && cgroup_oom_killed(v->cgroup);
}

static void cleanup(void *ctx)
{
	struct iso_vm *v = ctx;

	fd_close(v->pidfd);
	fd_close(v->control);
	fd_close(v->objects);
	fd_close(v->console);
	layer_index_close(v->index);
	rootfs_close(&v->root);
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
	.attach = attach,
	.cleanup = cleanup,
};
