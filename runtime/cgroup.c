/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a group costs, measured on Linux 6.18 (wall): mkdir 0.02-0.1 ms, rmdir 0.02-0.06 ms, clone3
 * into it (CLONE_INTO_CGROUP) 0.08 ms; but the first write to any cgroup.procs after a quiet moment
 * 5 to 10 ms, since it waits for an RCU grace period (cgroup_threadgroup_rwsem), and that once for
 * all hierarchies. So without limits there is a group in the v2 hierarchy only, entered by clone3;
 * on a machine with v1 alone there is none: the pid namespace ends what is in it, and
 * inst_recover() knows its init. v1 is touched for a limit that only it has.
 */
#include "runtime/cgroup.h"

#include "base/err.h"
#include "base/fd.h"
#include "base/str.h"
#include <sys/stat.h>

int cgroup_set(const struct cgroup_dir *d, const char *file, const char *limit, const char *text)
{
	int r = file_write(d->fd, file, text);

	return r < 0 ? err(r, "limit of %s: cgroup: %s = %s: %s", limit, file, text, strerror(-r)) :
		       0;
}

int cgroup_set_number(const struct cgroup_dir *d, const char *file, const char *limit, uint64_t n)
{
	char text[24];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)n);
	return cgroup_set(d, file, limit, text);
}

int cgroup_limit(const struct cgroup_dir *d, const struct run_limits *l)
{
	int r = 0;

	if (d->controllers & CGROUP_MEMORY)
		r = d->v2 ? cgroup_v2_memory(d, l) : cgroup_v1_memory(d, l);
	if (r >= 0 && d->controllers & CGROUP_CPU)
		r = d->v2 ? cgroup_v2_cpu(d, l) : cgroup_v1_cpu(d, l);
	if (r >= 0 && d->controllers & CGROUP_PIDS)
		r = cgroup_set_number(d, "pids.max", "pids", l->pids);
	if (r >= 0 && d->controllers & CGROUP_IO)
		r = d->v2 ? cgroup_v2_io(d, l) : cgroup_v1_io(d, l);
	return r;
}

unsigned cgroup_controllers_of(const struct run_limits *l)
{
	unsigned bits = 0;

	if (l->memory)
		bits |= CGROUP_MEMORY;
	if (l->nano_cpus || l->cpu_weight)
		bits |= CGROUP_CPU;
	if (l->pids)
		bits |= CGROUP_PIDS;
	if (l->io_rate)
		bits |= CGROUP_IO;
	return bits;
}

int cgroup_folder_open(const struct cgroup_mount *m, bool make, int *ret_root)
{
	_close_ int root = open(m->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int fd;

	if (root < 0)
		return -errno;
	if (make && mkdirat(root, CGROUP_FOLDER, 0755) < 0 && errno != EEXIST)
		return -errno;
	fd = openat(root, CGROUP_FOLDER, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (ret_root)
		*ret_root = take_fd(root);
	return fd;
}

/* One of that id is a killed supervisor's: ids are not used again while they live. */
static int make_group(int folder, const char *id)
{
	if (mkdirat(folder, id, 0755) == 0)
		return 0;
	if (errno != EEXIST)
		return -errno;
	return cgroup_dir_remove(folder, id, CGROUP_FREE_MS) < 0 || mkdirat(folder, id, 0755) < 0 ?
		       -EBUSY :
		       0;
}

static int add_dir(struct cgroup *g, const struct cgroup_mount *m, unsigned controllers)
{
	struct cgroup_dir *d = &g->dirs[g->n];
	_close_ int root = -1, folder = -1;
	int r;

	folder = cgroup_folder_open(m, true, &root);
	if (folder < 0)
		return folder;
	if (m->v2) {
		r = cgroup_v2_enable(root, folder, controllers);
		if (r < 0)
			return r;
		cgroup_v2_count(folder);
	}
	r = make_group(folder, g->id);
	if (r < 0)
		return r;
	*d = (struct cgroup_dir){ .parent = take_fd(folder),
				  .v2 = m->v2,
				  .controllers = controllers };
	g->n++;
	d->fd = openat(d->parent, g->id, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return d->fd < 0 ? -errno : 0;
}

/* @wanted: the controllers whose limits this hierarchy is to keep. */
static int join_mount(struct cgroup *g, const struct cgroup_mount *m, unsigned wanted,
		      const struct run_limits *l)
{
	int r;

	if (!wanted && !m->v2)
		return 0;
	r = m->rdonly ? -EROFS : m->outside ? -EACCES : add_dir(g, m, wanted);
	if (r < 0 && !wanted) {
		/* Nobody asked for anything: an unprivileged caller, a read-only /sys. */
		err_clear();
		return 0;
	}
	if (r < 0)
		return err(r, "limit: no group of the cgroup controller %s can be made in %s: %s%s",
			   cgroup_controller_name(wanted), m->path, strerror(-r),
			   m->v2 && r == -EACCES ? "; `systemd-run --user --scope strata ...` has "
						   "a user's limits" :
						   "");
	return cgroup_limit(&g->dirs[g->n - 1], l);
}

static int join_all(struct cgroup *g, const struct cgroup_mounts *mounts,
		    const struct run_limits *l)
{
	unsigned missing = cgroup_controllers_of(l);
	int r;

	for (size_t i = 0; i < mounts->n; i++) {
		unsigned wanted = mounts->m[i].controllers & missing;

		r = join_mount(g, &mounts->m[i], wanted, l);
		if (r < 0)
			return r;
		missing &= ~wanted;
	}
	if (missing)
		return err(-EOPNOTSUPP, "limit: this machine has no cgroup controller %s",
			   cgroup_controller_name(missing));
	return 0;
}

int cgroup_new(const char *id, const struct run_limits *limits, struct cgroup **ret)
{
	static const struct run_limits none;
	struct cgroup_mounts mounts;
	struct cgroup *g;
	int r;

	r = cgroup_mounts_find(&mounts);
	if (r < 0)
		return r;
	g = new0(struct cgroup);
	r = g ? 0 : -ENOMEM;
	if (g) {
		g->id = strdup(id);
		r = g->id ? join_all(g, &mounts, limits ? limits : &none) : -ENOMEM;
	}
	cgroup_mounts_done(&mounts);
	if (r < 0) {
		cgroup_free(g);
		return r;
	}
	*ret = g;
	return 0;
}

int cgroup_fd(const struct cgroup *g)
{
	for (size_t i = 0; i < g->n; i++) {
		if (g->dirs[i].v2)
			return g->dirs[i].fd;
	}
	return -1;
}

int cgroup_enter(const struct cgroup *g, pid_t pid, bool v2)
{
	char text[16];
	int r;

	snprintf(text, sizeof(text), "%d", pid);
	for (size_t i = 0; i < g->n; i++) {
		if (!g->dirs[i].controllers || (g->dirs[i].v2 && !v2))
			continue;
		r = file_write(g->dirs[i].fd, "cgroup.procs", text);
		if (r < 0)
			return err(r, "cgroup of %s: process %d: %s",
				   cgroup_controller_name(g->dirs[i].controllers), pid,
				   strerror(-r));
	}
	return 0;
}

bool cgroup_oom_killed(const struct cgroup *g)
{
	for (size_t i = 0; i < g->n; i++) {
		const struct cgroup_dir *d = &g->dirs[i];

		if (d->controllers & CGROUP_MEMORY)
			return (d->v2 ? cgroup_v2_oom_kills(d) : cgroup_v1_oom_kills(d)) > 0;
	}
	return false;
}

/*
 * Every hierarchy that we made a group in holds the same processes: the first to do so ends them.
 */
int cgroup_kill(const struct cgroup *g)
{
	int r = 0;

	for (size_t i = 0; i < g->n; i++) {
		int e = cgroup_dir_kill(g->dirs[i].fd);

		r = e < 0 ? e : r;
	}
	return r;
}

void cgroup_free(struct cgroup *g)
{
	if (!g)
		return;
	while (g->n) {
		struct cgroup_dir *d = &g->dirs[--g->n];

		fd_close(d->fd);
		cgroup_dir_remove(d->parent, g->id, CGROUP_FREE_MS);
		fd_close(d->parent);
	}
	free(g->id);
	free(g);
}

static int purge_mount(const struct cgroup_mount *m, const char *id)
{
	_close_ int folder = -1, dir = -1;
	int r;

	folder = cgroup_folder_open(m, false, NULL);
	if (folder < 0)
		return folder == -ENOENT ? 0 : folder;
	dir = openat(folder, id, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return errno == ENOENT ? 0 : -errno;
	r = cgroup_dir_kill(dir);
	return r < 0 ? r : cgroup_dir_remove(folder, id, CGROUP_PURGE_MS);
}

int cgroup_purge(const char *id)
{
	struct cgroup_mounts mounts;
	int r, first = 0;

	if (!*id || strchr(id, '/') || streq(id, ".") || streq(id, ".."))
		return -EINVAL;
	r = cgroup_mounts_find(&mounts);
	if (r < 0)
		return r;
	for (size_t i = 0; i < mounts.n; i++) {
		r = purge_mount(&mounts.m[i], id);
		if (r < 0 && !first)
			first = err(r, "cgroup %s/" CGROUP_FOLDER "/%s: %s", mounts.m[i].path, id,
				    strerror(-r));
	}
	cgroup_mounts_done(&mounts);
	return first;
}
