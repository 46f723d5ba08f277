/* SPDX-License-Identifier: Apache-2.0 */
/*
 * strata-vmm: one microVM with its file server inside. It is handed everything as descriptors
 * (engine/vmm.h), jails itself before the guest's first instruction, and ends with its guest.
 */
#include "engine/vmm.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/log.h"
#include "base/str.h"
#include "engine/engine_.h"
#include "microvm/microvm.h"
#include "unionfs/unionfs.h"
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#define CONFIG_MAX (8u << 20)

struct served {
	struct ufs *u;
	struct ufs_conn *conn;
};

struct vmm {
	struct run_spec *spec;
	struct served *served; /* the root, then the volumes */
	size_t nserved;
	pthread_mutex_t objects_lock; /* one request at a time on VMM_OBJECTS */
	struct vm *vm;
	struct vm_control *control;
	int port_fd;  /* the guest's end of the control port */
	int ended_fd; /* an eventfd: vm_run() has returned */
	enum vm_end end;
	int run_result;
	bool told; /* the monitor knows how the command fared */
};

/* ---- files ---- */

static int object_open(void *ctx, uint64_t nid, _unused_ const struct digest *digest)
{
	struct vmm *v = ctx;
	int32_t answer = -EIO;
	size_t nfds = 0;
	int fd = -1;

	pthread_mutex_lock(&v->objects_lock);
	if (send(VMM_OBJECTS, &nid, sizeof(nid), MSG_NOSIGNAL) == sizeof(nid) &&
	    fd_recv(VMM_OBJECTS, &answer, sizeof(answer), &fd, 1, &nfds) != sizeof(answer))
		answer = -EIO;
	pthread_mutex_unlock(&v->objects_lock);
	if (answer < 0 || nfds != 1) {
		fd_close(fd);
		return answer < 0 ? answer : -EIO;
	}
	return fd;
}

static ssize_t serve(void *ctx, const struct iovec *in, int nin, const struct iovec *out, int nout)
{
	struct served *s = ctx;

	return ufs_serve(s->conn, in, nin, out, nout);
}

static int serve_union(struct served *s, const struct ufs_config *cfg)
{
	static const struct ufs_carrier carrier;
	int r = ufs_new(cfg, &s->u);

	if (r < 0)
		return r;
	s->conn = ufs_conn_new(s->u, &carrier, NULL);
	return s->conn ? 0 : -ENOMEM;
}

static int serve_root(struct vmm *v, size_t *ret_npacks)
{
	struct layer_index *index;
	struct ufs_lower lower = {
		.kind = UFS_LOWER_INDEX, .fd = VMM_INDEX, .object_open = object_open, .ctx = v
	};
	struct ufs_config cfg = { .lowers = &lower,
				  .nlowers = 1,
				  .upper_fd = VMM_UPPER,
				  .work_fd = VMM_WORK,
				  .upper = v->spec->read_only ? UFS_UPPER_NONE : UFS_UPPER_MAPPED,
				  .is_volatile = v->spec->rm };
	_free_ int *packs = NULL;
	int r = layer_index_open(VMM_INDEX, &index);

	if (r < 0)
		return r;
	lower.npacks = layer_index_ndevices(index);
	layer_index_close(index);
	packs = mem_new(lower.npacks, sizeof(*packs));
	if (!packs)
		return -ENOMEM;
	for (size_t i = 0; i < lower.npacks; i++)
		packs[i] = VMM_MORE + i;
	lower.packs = packs;
	*ret_npacks = lower.npacks;
	return serve_union(&v->served[0], &cfg);
}

/* The folder comes with its owner mapped to the uid that we serve as (engine/vm_volume.h). */
static int serve_volume(struct served *s, int fd, bool rdonly)
{
	struct ufs_config cfg = {
		.upper = UFS_UPPER_PLAIN, .upper_fd = fd, .work_fd = -1, .rdonly = rdonly
	};

	return serve_union(s, &cfg);
}

/* Inside the jail, as the uid that owns the top: what the union makes there is its own. */
static int serve_all(struct vmm *v)
{
	size_t npacks;
	int r;

	r = serve_root(v, &npacks);
	for (size_t i = 0; r >= 0 && i < v->spec->nvolumes; i++)
		r = serve_volume(&v->served[1 + i], VMM_MORE + npacks + i,
				 v->spec->volumes[i].rdonly);
	return r;
}

/* ---- the machine ---- */

static int new_served(struct vmm *v)
{
	v->nserved = 1 + v->spec->nvolumes;
	v->served = mem_new(v->nserved, sizeof(*v->served));
	return v->served ? 0 : -ENOMEM;
}

static int new_machine(struct vmm *v)
{
	const struct run_spec *s = v->spec;
	struct vmm_tag *tags = mem_new(v->nserved, sizeof(*tags));
	struct vm_fs *fs = mem_new(v->nserved, sizeof(*fs));
	int in = s->interactive || s->tty ? 0 : -1;
	struct vm_port ports[] = {
		{ .name = VM_CONTROL_PORT,
		  .in_fd = v->port_fd,
		  .out_fd = v->port_fd,
		  .ordered = true },
		{ .name = VM_STDIN_PORT, .in_fd = in, .out_fd = -1 },
		{ .name = VM_STDOUT_PORT, .in_fd = -1, .out_fd = 1 },
		{ .name = VM_STDERR_PORT, .in_fd = -1, .out_fd = 2 },
	};
	struct vm_config cfg = { .kernel_fd = VMM_KERNEL,
				 .init_fd = VMM_INIT,
				 .memory = s->limits.memory,
				 .vcpus = s->vcpus,
				 .fs = fs,
				 .nfs = v->nserved,
				 .console_out = VMM_LOG,
				 .ports = ports,
				 .nports = ARRAY_SIZE(ports),
				 .verbose = getenv("STRATA_DEBUG") != NULL };
	int r = tags && fs ? 0 : -ENOMEM;

	for (size_t i = 0; r == 0 && i < v->nserved; i++) {
		tags[i] = vmm_volume_tag(i);
		fs[i] = (struct vm_fs){ .tag = i ? tags[i].s : VMM_ROOT_TAG,
					.serve = serve,
					.ctx = &v->served[i] };
	}
	if (r == 0)
		r = vm_new(&cfg, &v->vm);
	free(tags);
	free(fs);
	return r;
}

static int tell_guest(struct vmm *v)
{
	const struct run_spec *s = v->spec;
	struct vm_guest_volume *volumes = mem_new(s->nvolumes, sizeof(*volumes));
	struct vmm_tag *tags = mem_new(s->nvolumes, sizeof(*tags));
	char host[13];
	struct vm_guest_config cfg = { .root = VMM_ROOT_TAG,
				       .root_rdonly = s->read_only,
				       .argv = s->argv,
				       .env = s->env,
				       .cwd = s->cwd,
				       .user = s->user,
				       .hostname = s->hostname ? s->hostname : host,
				       .tty = s->tty,
				       .stdin_open = s->interactive || s->tty,
				       .volumes = volumes,
				       .nvolumes = s->nvolumes,
				       .pids = (uint32_t)s->limits.pids };
	int r = volumes && tags ? 0 : -ENOMEM;

	snprintf(host, sizeof(host), "%.12s", s->id);
	for (size_t i = 0; r == 0 && i < s->nvolumes; i++) {
		tags[i] = vmm_volume_tag(1 + i);
		volumes[i] = (struct vm_guest_volume){ .tag = tags[i].s,
						       .target = s->volumes[i].target,
						       .rdonly = s->volumes[i].rdonly };
	}
	if (r == 0)
		r = vm_control_config(v->control, &cfg);
	free(volumes);
	free(tags);
	return r;
}

static int open_control(struct vmm *v)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return err_sys("control port");
	v->port_fd = pair[0];
	return vm_control_new(pair[1], &v->control);
}

static int load_spec(struct vmm *v)
{
	_free_ char *text = NULL;
	_json_ json_t *j = NULL;
	size_t len;
	int r = fd_read_all(VMM_CONFIG, CONFIG_MAX, &text, &len);

	if (r >= 0)
		r = json_parse(text, len, "config.json", &j);
	return r < 0 ? r : spec_from_json(j, &v->spec);
}

static int jail(const struct vmm *v)
{
	char weak[256] = "";
	struct vm_jail j = { .uid = vmm_uid(v->spec->id), .gid = vmm_uid(v->spec->id) };
	int r = vm_jail(&j, weak, sizeof(weak));

	if (r >= 0 && weak[0])
		log_warn("%s", weak);
	return r;
}

/* ---- while it runs ---- */

static void tell_monitor(struct vmm *v, enum vmm_kind kind, int value, const char *text)
{
	struct vmm_message m = { .kind = kind, .value = value };

	snprintf(m.text, sizeof(m.text), "%s", text);
	send(VMM_CONTROL, &m, sizeof(m), MSG_NOSIGNAL);
	v->told = v->told || kind != VMM_STARTED;
}

/* 0, or -EPIPE: the supervisor has gone, and the guest goes with it. */
static int hear_monitor(struct vmm *v)
{
	struct vmm_message m;
	ssize_t n = recv(VMM_CONTROL, &m, sizeof(m), MSG_DONTWAIT);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n != sizeof(m))
		return -EPIPE;
	if (m.kind == VMM_SIGNAL)
		vm_control_signal(v->control, m.value);
	else if (m.kind == VMM_RESIZE)
		vm_control_resize(v->control, m.rows, m.cols);
	return 0;
}

/* ENOENT and EACCES speak of the command, and of nothing else that may be missing or denied. */
static int failed_errno(const struct vm_guest_event *e)
{
	return e->status == 127 ? ENOENT : e->status == 126 ? EACCES : EIO;
}

/* With its last message the guest has synced and waits for the power to go (formats/guest.md). */
static void hear_guest(struct vmm *v)
{
	struct vm_guest_event e;

	while (vm_control_next(v->control, &e) == 1) {
		switch (e.kind) {
		case VM_GUEST_STARTED:
			tell_monitor(v, VMM_STARTED, 0, "");
			break;
		case VM_GUEST_FAILED:
			tell_monitor(v, VMM_FAILED, failed_errno(&e), e.text);
			vm_stop(v->vm);
			break;
		case VM_GUEST_EXITED:
			tell_monitor(v, VMM_EXITED, e.status, "");
			vm_stop(v->vm);
			break;
		}
	}
}

static void *run_machine(void *ctx)
{
	struct vmm *v = ctx;
	uint64_t one = 1;

	v->run_result = vm_run(v->vm, &v->end);
	fd_write_full(v->ended_fd, &one, sizeof(one));
	return NULL;
}

static void wait_for_end(struct vmm *v)
{
	struct pollfd fds[] = {
		{ .fd = v->ended_fd, .events = POLLIN },
		{ .fd = VMM_CONTROL, .events = POLLIN },
		{ .fd = vm_control_fd(v->control) },
	};

	for (;;) {
		fds[2].events = vm_control_events(v->control);
		if (poll(fds, ARRAY_SIZE(fds), -1) < 0 && errno != EINTR)
			break;
		if (fds[2].revents)
			hear_guest(v);
		if (fds[0].revents)
			break;
		if (fds[1].revents && hear_monitor(v) < 0) {
			fds[1].fd = -1;
			vm_stop(v->vm);
		}
		if (fds[2].revents & (POLLHUP | POLLERR))
			fds[2].fd = -1;
	}
	hear_guest(v);
}

static void trace_phases(const struct vmm *v)
{
	const struct vm_stats *s = vm_stats(v->vm);

	for (unsigned i = 0; i < ARRAY_SIZE(s->marks); i++)
		if (s->marks[i])
			log_info("mark %u: %.2f ms", i,
				 (double)(s->marks[i] - s->started_ns) / 1e6);
	for (unsigned i = 0; i < ARRAY_SIZE(s->exits); i++)
		if (s->exits[i])
			log_info("exit reason %u: %llu", i, (unsigned long long)s->exits[i]);
}

static void tell_end(struct vmm *v)
{
	char text[256];

	if (v->spec->trace)
		trace_phases(v);
	if (v->told)
		return;
	if (v->run_result < 0)
		snprintf(text, sizeof(text), "%s", err_take(v->run_result));
	else
		snprintf(text, sizeof(text), "the guest ended before its command: %s",
			 v->end == VM_END_CRASHED ? vm_why(v->vm) : "reset");
	log_err("%s", text);
	tell_monitor(v, VMM_FAILED, EIO, text);
}

static int run(struct vmm *v)
{
	pthread_t thread;
	int r = jail(v);

	if (r >= 0)
		r = serve_all(v);
	if (r >= 0)
		r = tell_guest(v);
	v->ended_fd = eventfd(0, EFD_CLOEXEC);
	if (r >= 0 && v->ended_fd < 0)
		r = err_sys("eventfd");
	if (r >= 0)
		r = -pthread_create(&thread, NULL, run_machine, v);
	if (r < 0)
		return r;
	wait_for_end(v);
	pthread_join(thread, NULL);
	tell_end(v);
	return 0;
}

static void sync_files(struct vmm *v)
{
	vm_free(v->vm);
	for (size_t i = 0; i < v->nserved; i++) {
		ufs_conn_free(v->served[i].conn);
		ufs_free(v->served[i].u);
	}
}

int vmm_main(int argc, char **argv)
{
	struct vmm v = { .objects_lock = PTHREAD_MUTEX_INITIALIZER, .port_fd = -1, .ended_fd = -1 };
	int r;

	(void)argv;
	if (argc != 1 || fcntl(VMM_MORE - 1, F_GETFD) < 0) {
		fprintf(stderr, "strata-vmm is started by strata-monitor, not by hand\n");
		return 2;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	signal(SIGPIPE, SIG_IGN);
	log_setup("strata-vmm", VMM_LOG, LOG_INFO);
	r = load_spec(&v);
	if (r >= 0)
		r = open_control(&v);
	if (r >= 0)
		r = new_served(&v);
	if (r >= 0)
		r = new_machine(&v);
	if (r >= 0)
		r = run(&v);
	if (r < 0)
		tell_monitor(&v, VMM_FAILED, -r, err_take(r));
	sync_files(&v);
	return r < 0;
}
