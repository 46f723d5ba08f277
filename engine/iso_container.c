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
#include "engine/iso.h"
#include "engine/net_note.h"
#include "engine/passt.h"
#include "engine/pasta.h"
#include "engine/resolv.h"
#include "engine/spec_process.h"
#include <sys/epoll.h>

struct iso_container {
	struct iso_context c;
	struct rootfs root;
	struct cgroup *cgroup;
	struct ctr *ctr;
	struct ctr_mount *mounts;
	struct pasta pasta;
	struct bridge_end bridge;
	char *resolv_conf; /* of a network of its own, in the instance's folder */
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

static int fill_mounts(struct iso_container *i)
{
	const struct run_spec *spec = i->c.spec;

	i->mounts = mem_new(spec->nvolumes, sizeof(*i->mounts));
	if (!i->mounts)
		return -ENOMEM;
	for (size_t n = 0; n < spec->nvolumes; n++) {
		i->mounts[n].source = spec->volumes[n].source;
		i->mounts[n].target = spec->volumes[n].target;
		i->mounts[n].rdonly = spec->volumes[n].rdonly;
	}
	return 0;
}

/* clone3 puts the process into the v2 tree; entering more by its pid costs a handshake with it. */
static bool needs_entering(const struct iso_container *i)
{
	const struct run_limits *l = &i->c.spec->limits;

	return l->memory || l->nano_cpus || l->pids || l->cpu_weight || l->io_rate ||
	       cgroup_fd(i->cgroup) < 0;
}

/* By its name in our mount namespace, which is another one than that of the folder's descriptor. */
static int write_resolv_conf(struct iso_container *i, const char *text)
{
	char dir[4096];
	ssize_t n = readlink(fd_path(i->c.dir).s, dir, sizeof(dir) - 1);
	int r;

	if (n < 0)
		return err_sys("the instance's folder");
	dir[n] = '\0';
	i->resolv_conf = str_fmt("%s/resolv.conf", dir);
	if (!i->resolv_conf)
		return -ENOMEM;
	r = file_replace(i->c.dir, "resolv.conf", text, strlen(text), 0644, false);
	return r < 0 ? err(r, "%s: %s", i->resolv_conf, strerror(-r)) : 0;
}

static int make_user_network(struct iso_container *i)
{
	const struct net_note note = NET_NOTE_USER;
	const uint8_t dns[] = PASST_DNS;
	char text[64];
	int r = pasta_start(i->c.spec, i->c.log_fd, &i->pasta);

	snprintf(text, sizeof(text), "nameserver %u.%u.%u.%u\n", dns[0], dns[1], dns[2], dns[3]);
	if (r >= 0)
		r = write_resolv_conf(i, text);
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
		r = write_resolv_conf(i, text);
	note = net_note_bridge(&i->bridge);
	return r < 0 ? r : net_note_write(i->c.dir, i->c.spec->id, &note);
}

static int make_network(struct iso_container *i)
{
	const struct run_spec *s = i->c.spec;

	return s->user_network	 ? make_user_network(i) :
	       s->bridge_network ? make_bridge_network(i) :
				   0;
}

static enum ctr_network network_of(const struct run_spec *s)
{
	return s->host_network			    ? CTR_NETWORK_HOST :
	       s->user_network || s->bridge_network ? CTR_NETWORK_JOIN :
						      CTR_NETWORK_NONE;
}

static int create_process(struct iso_container *i, const int stdio[3])
{
	const struct run_spec *spec = i->c.spec;
	struct ctr_rlimit rlimits[SPEC_RLIMITS_MAX];
	char host[13];
	struct ctr_spec s = {
		.root_mount = i->root.mount_fd,
		.root_rdonly = spec->read_only,
		.argv = spec->argv,
		.env = spec->env,
		.cwd = spec->cwd,
		.user = spec->user,
		.hostname = spec->hostname,
		.network = network_of(spec),
		.netns = i->pasta.netns >= 0 ? i->pasta.netns : i->bridge.device,
		.tty = spec->tty,
		.stdio = { stdio[0], stdio[1], stdio[2] },
		.mounts = i->mounts,
		.nmounts = spec->nvolumes,
		.rlimits = rlimits,
		.nrlimits = spec_ctr_rlimits(spec, rlimits),
		.caps = spec_caps(spec, CTR_CAPS_DEFAULT),
		.seccomp = true,
		.cgroup_fd = cgroup_fd(i->cgroup),
		.enter = needs_entering(i) ? enter_cgroup : NULL,
		.enter_ctx = i->cgroup,
		.resolv_conf = spec->host_network ? "/etc/resolv.conf" : i->resolv_conf,
		.hosts = spec->host_network ? "/etc/hosts" : NULL,
	};

	if (!s.hostname) {
		snprintf(host, sizeof(host), "%.12s", spec->id);
		s.hostname = host;
	}
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
		r = make_network(i);
	if (r >= 0)
		r = create_process(i, stdio);
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
	free(i->resolv_conf);
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
