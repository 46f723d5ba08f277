/* SPDX-License-Identifier: Apache-2.0 */
/* A container as an isolation: the root by a driver, the cgroup, the process. */
#include "base/err.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/proc.h"
#include "base/str.h"
#include "container/container.h"
#include "engine/bridge.h"
#include "engine/etc_files.h"
#include "engine/iso.h"
#include "engine/net_note.h"
#include "engine/passt.h"
#include "engine/pasta.h"
#include "engine/resolv.h"
#include "engine/spec_process.h"
#include "engine/spec_tmpfs.h"
#include <inttypes.h>
#include <sys/epoll.h>

struct iso_container {
	struct iso_context c;
	struct rootfs root;
	struct cgroup *cgroup;
	struct ctr *ctr;
	struct ctr_mount *mounts;
	size_t nmounts;
	struct pasta pasta;
	struct bridge_end bridge;
	struct etc_files etc;
	int reaper; /* with --init, else 0 */
	struct loop *loop;
};

void *iso_container_new(const struct iso_context *c)
{
	struct iso_container *i = new0(struct iso_container);

	if (!i)
		return NULL;
	i->c = *c;
	i->root = ROOTFS_NONE;
	i->pasta = PASTA_NONE;
	i->bridge = BRIDGE_END_NONE;
	return i;
}

static int enter_cgroup(void *ctx, pid_t pid)
{
	return cgroup_enter(ctx, pid, false);
}

static struct ctr_mount bind_of(const struct run_volume *v)
{
	return (struct ctr_mount){ .source = v->source, .target = v->target, .rdonly = v->rdonly };
}

static struct ctr_mount tmpfs_of(const struct run_tmpfs *t)
{
	return (struct ctr_mount){ .target = t->target,
				   .rdonly = t->rdonly,
				   .size = t->size,
				   .mode = t->mode,
				   .exec = t->exec,
				   .suid = t->suid };
}

/* A container has no disks. */
static struct ctr_mount mount_of(const struct run_spec *s, const struct place *p)
{
	return p->kind == PLACE_TMPFS ? tmpfs_of(&s->tmpfs[p->i]) : bind_of(&s->volumes[p->i]);
}

static int fill_mounts(struct iso_container *i)
{
	_free_ struct place *places = NULL;
	ssize_t n = spec_places(i->c.spec, &places);

	i->mounts = n < 0 ? NULL : mem_new((size_t)n, sizeof(*i->mounts));
	if (!i->mounts)
		return -ENOMEM;
	for (; i->nmounts < (size_t)n; i->nmounts++)
		i->mounts[i->nmounts] = mount_of(i->c.spec, &places[i->nmounts]);
	return 0;
}

/* clone3 puts the process into the v2 tree; entering more by its pid costs a handshake with it. */
static bool needs_entering(const struct iso_container *i)
{
	const struct run_limits *l = &i->c.spec->limits;

	return l->memory || l->nano_cpus || l->pids || l->cpu_weight || l->io_rate ||
	       cgroup_fd(i->cgroup) < 0;
}

static int make_user_network(struct iso_container *i)
{
	static const uint8_t address[] = PASST_ADDRESS, gateway[] = PASST_GATEWAY,
			     dns[] = PASST_DNS;
	const struct net_note note = NET_NOTE_USER;
	char text[64];
	int r = pasta_start(i->c.spec, i->c.log_fd, &i->pasta);

	snprintf(text, sizeof(text), "nameserver %u.%u.%u.%u\n", dns[0], dns[1], dns[2], dns[3]);
	if (r >= 0)
		r = etc_files_make(i->c.spec, text, address, gateway, &i->etc);
	return r < 0 ? r : net_note_write(i->c.dir, i->c.spec->id, &note);
}

static int make_bridge_network(struct iso_container *i)
{
	_free_ char *text = NULL;
	struct net_note note;
	uint8_t first[4];
	int r = bridge_open(i->c.runroot, i->c.spec, i->c.log_fd, &i->bridge);

	if (r >= 0)
		r = resolv_read(&text, first);
	if (r >= 0)
		r = etc_files_make(i->c.spec, text, i->bridge.address, i->bridge.gateway, &i->etc);
	note = net_note_bridge(&i->bridge);
	return r < 0 ? r : net_note_write(i->c.dir, i->c.spec->id, &note);
}

static int make_network(struct iso_container *i)
{
	const struct run_spec *s = i->c.spec;

	return s->user_network	 ? make_user_network(i) :
	       s->bridge_network ? make_bridge_network(i) :
				   etc_files_make(s, NULL, NULL, NULL, &i->etc);
}

static enum ctr_network network_of(const struct run_spec *s)
{
	return s->host_network			    ? CTR_NETWORK_HOST :
	       s->user_network || s->bridge_network ? CTR_NETWORK_JOIN :
						      CTR_NETWORK_NONE;
}

/* The host's own file, where there is none of the instance's in its place. */
static const char *host_file(const struct iso_container *i, const char *path)
{
	for (size_t n = 0; n < i->etc.n; n++)
		if (streq(i->etc.files[n].path, path))
			return NULL;
	return i->c.spec->host_network ? path : NULL;
}

static int create_process(struct iso_container *i, const int stdio[3])
{
	const struct run_spec *spec = i->c.spec;
	struct ctr_rlimit rlimits[SPEC_RLIMITS_MAX];
	struct ctr_file files[ETC_FILES_MAX];
	char host[SPEC_HOSTNAME_ROOM], shm[24];
	struct ctr_spec s = {
		.root_mount = i->root.mount_fd,
		.root_rdonly = spec->read_only,
		.argv = spec->argv,
		.env = spec->env,
		.cwd = spec->cwd,
		.user = spec->user,
		.hostname = spec_hostname(spec, host),
		.network = network_of(spec),
		.netns = i->pasta.netns >= 0 ? i->pasta.netns : i->bridge.device,
		.tty = spec->tty,
		.stdio = { stdio[0], stdio[1], stdio[2] },
		.mounts = i->mounts,
		.nmounts = i->nmounts,
		.files = files,
		.nfiles = i->etc.n,
		.rlimits = rlimits,
		.nrlimits = spec_ctr_rlimits(spec, rlimits),
		.caps = spec_caps(spec, CTR_CAPS_DEFAULT),
		.seccomp = true,
		.reaper = i->reaper,
		.cgroup_fd = cgroup_fd(i->cgroup),
		.enter = needs_entering(i) ? enter_cgroup : NULL,
		.enter_ctx = i->cgroup,
		.resolv_conf = host_file(i, "/etc/resolv.conf"),
		.hosts = host_file(i, "/etc/hosts"),
	};

	if (spec->shm_size) {
		snprintf(shm, sizeof(shm), "%" PRIu64,
			 spec->shm_size == SPEC_SHM_ANY ? 0 : spec->shm_size);
		s.shm_size = shm;
	}
	for (size_t n = 0; n < i->etc.n; n++)
		files[n] = (struct ctr_file){ i->etc.files[n].path, i->etc.files[n].text };
	return ctr_create(&s, &i->ctr);
}

/* Its root is read and written by its own processes, or there would be nothing to hold back. */
static int new_cgroup(struct iso_container *i)
{
	struct run_limits limits;
	int r = spec_limits(i->c.spec, i->c.store, &limits);

	if (r >= 0 && limits.io_rate && i->root.driver != RUN_DRIVER_OVERLAY)
		return err(-EOPNOTSUPP,
			   "a rate of I/O is for microVMs and for containers by the driver "
			   "overlay: by fuse a server of their own reads and writes for them");
	return r < 0 ? r : cgroup_new(i->c.spec->id, &limits, &i->cgroup);
}

static int open_reaper(struct iso_container *i)
{
	_free_ char *path = NULL;
	int r = i->c.spec->init ? proc_sibling("strata-reap", &path) : 0;

	if (r < 0 || !i->c.spec->init)
		return r;
	r = ctr_program_open(path);
	i->reaper = MAX(r, 0);
	return r;
}

static int create(void *ctx, const int stdio[3], struct run_process *ret)
{
	struct iso_container *i = ctx;
	int r;

	i->root.images = i->c.images;
	r = rootfs_open(i->c.store, i->c.spec, i->c.log_fd, &i->root);
	if (r >= 0)
		r = new_cgroup(i);
	if (r >= 0)
		r = fill_mounts(i);
	if (r >= 0)
		r = open_reaper(i);
	if (r >= 0)
		r = make_network(i);
	if (r >= 0)
		r = create_process(i, stdio);
	if (i->root.driver != RUN_DRIVER_FUSE)
		rootfs_leave_unions();
	/* ENOENT and EACCES of start() speak of the command (exit codes 127 and 126); what fails
	 * here is another thing. */
	if (r == -ENOENT || r == -EACCES)
		return err(-EIO, "%s", strerror(-r));
	if (r < 0)
		return r;
	ret->pid = ctr_pid(i->ctr);
	ret->pidfd = ctr_pidfd(i->ctr);
	ret->console = ctr_console(i->ctr);
	log_debug("%s: process %d", i->c.spec->id, (int)ret->pid);
	return 0;
}

static int start(void *ctx)
{
	struct iso_container *i = ctx;

	return ctr_start(i->ctr);
}

static int kill_process(void *ctx, int sig)
{
	struct iso_container *i = ctx;

	return proc_pidfd_kill(ctr_pidfd(i->ctr), sig);
}

static bool oom_killed(void *ctx)
{
	struct iso_container *i = ctx;

	return i->cgroup && cgroup_oom_killed(i->cgroup);
}

static int pause_all(void *ctx, bool paused)
{
	struct iso_container *i = ctx;

	return cgroup_freeze(i->cgroup, paused);
}

/* The file server is gone before its mount: the kernel has ended the connection, and the container
 * sees errors. */
static int lost_server(void *ctx, int fd, _unused_ uint32_t events)
{
	struct iso_container *i = ctx;

	log_err("the file server of %s was killed", i->c.spec->id);
	loop_remove(i->loop, fd);
	return 0;
}

/* Its namespace stays: the container has a device at which nothing arrives. */
static int lost_network(void *ctx, int fd, _unused_ uint32_t events)
{
	struct iso_container *i = ctx;

	log_err("the network of %s ended: pasta was killed", i->c.spec->id);
	loop_remove(i->loop, fd);
	return 0;
}

static int attach(void *ctx, struct loop *loop)
{
	struct iso_container *i = ctx;
	int r = 0;

	i->loop = loop;
	if (i->root.server_pidfd >= 0)
		r = loop_add(loop, i->root.server_pidfd, EPOLLIN, lost_server, i);
	if (r >= 0 && i->pasta.pidfd >= 0)
		r = loop_add(loop, i->pasta.pidfd, EPOLLIN, lost_network, i);
	return r;
}

static void cleanup(void *ctx)
{
	struct iso_container *i = ctx;

	ctr_free(i->ctr);
	pasta_end(&i->pasta);
	bridge_close(i->c.runroot, i->c.spec->id, &i->bridge);
	rootfs_close(&i->root);
	if (i->cgroup)
		cgroup_free(i->cgroup);
	free(i->mounts);
	etc_files_done(&i->etc);
	if (i->reaper)
		fd_close(i->reaper);
	free(i);
}

const struct isolation iso_container = {
	.create = create,
	.start = start,
	.kill = kill_process,
	.oom_killed = oom_killed,
	.pause = pause_all,
	.attach = attach,
	.cleanup = cleanup,
};
