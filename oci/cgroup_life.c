/* SPDX-License-Identifier: Apache-2.0 */
/* What is done to the control groups of a container that is there. */
#include "base/dir.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/str.h"
#include "oci/cgroup.h"
#include "runtime/runtime.h"
#include <limits.h>
#include <poll.h>
#include <signal.h>

#define PROCS_MAX   (8u << 20) /* bytes of cgroup.procs */
#define DEPTH_MAX   32
#define REMOVE_MS   512	 /* the longest pause: about a second together */
#define FREEZE_MS   2000 /* what waits in the kernel is held when that is over */
#define FREEZE_STEP 10

static int open_folder(const char *dir)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

int oci_cgroup_write(const struct cgroup_folder *f, const char *file, const char *text)
{
	char path[PATH_MAX];

	return snprintf(path, sizeof(path), "%s/%s", f->dir, file) < (int)sizeof(path) ?
		       file_write(AT_FDCWD, path, text) :
		       -ENAMETOOLONG;
}

int oci_cgroup_enter(const struct oci_cgroup *g, pid_t pid, bool v2)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", pid);
	for (size_t i = 0; i < g->n; i++) {
		int r;

		if (g->f[i].v2 && !v2)
			continue;
		r = oci_cgroup_write(&g->f[i], "cgroup.procs", text);
		if (r < 0)
			return err(r, "cannot enter the cgroup %s: %s", g->f[i].dir, strerror(-r));
	}
	return 0;
}

struct pids {
	pid_t *list;
	size_t n, cap;
};

static int add_listed(int dir, struct pids *p)
{
	_free_ char *text = NULL;
	int r = file_read_all(dir, "cgroup.procs", PROCS_MAX, &text, NULL);

	for (char *s = text, *end; r >= 0 && *s; s = end + (*end == '\n')) {
		long pid = strtol(s, &end, 10);

		if (end == s)
			break;
		if (pid <= 0)
			continue;
		if (mem_grow(&p->list, &p->cap, p->n + 1, sizeof(*p->list)) < 0)
			return -ENOMEM;
		p->list[p->n++] = (pid_t)pid;
	}
	/* Of a threaded group, whose parent lists them; of one that was removed meanwhile. */
	return r == -EOPNOTSUPP || r == -ENOENT || r == -ENODEV ? 0 : r;
}

static int walk(int dir, struct pids *p, int depth)
{
	_closedir_ DIR *d = dir_open(dir, ".");
	int r = add_listed(dir, p);

	for (struct dirent *e; d && r >= 0 && depth < DEPTH_MAX && (e = dir_next(d));) {
		_close_ int sub = -1;

		if (e->d_type != DT_DIR)
			continue;
		sub = openat(dir, e->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		r = sub < 0 ? 0 : walk(sub, p, depth + 1);
	}
	return r;
}

int oci_cgroup_held(int dir)
{
	struct pids p = { 0 };
	int r = walk(dir, &p, 0);

	free(p.list);
	return r < 0 ? r : p.n > 0;
}

int oci_cgroup_pids(const struct oci_cgroup *g, pid_t **ret, size_t *ret_n)
{
	struct pids p = { 0 };
	_close_ int fd = g->n ? open_folder(g->f[0].dir) : -ENOENT;
	int r = fd < 0 ? fd : walk(fd, &p, 0);

	if (r < 0) {
		free(p.list);
		return r;
	}
	*ret = p.list;
	*ret_n = p.n;
	return 0;
}

int oci_cgroup_signal(const struct oci_cgroup *g, int sig)
{
	_free_ pid_t *pids = NULL;
	size_t n = 0;
	int r = oci_cgroup_pids(g, &pids, &n);

	for (size_t i = 0; r >= 0 && i < n; i++)
		kill(pids[i], sig);
	return r;
}

/* All folders hold the same processes: v2's ends them at once, else the first does. */
int oci_cgroup_kill(const struct oci_cgroup *g)
{
	const struct cgroup_folder *f = oci_cgroup_of(g, NULL);
	_close_ int fd = g->n ? open_folder(f ? f->dir : g->f[0].dir) : -ENOENT;

	return fd == -ENOENT ? 0 : fd < 0 ? fd : cgroup_dir_kill(fd);
}

void oci_cgroup_remove(const struct oci_cgroup *g)
{
	for (size_t i = 0; i < g->n; i++) {
		const char *name = strrchr(g->f[i].dir, '/');
		_free_ char *parent = NULL;
		_close_ int fd = -1;

		if (!g->f[i].made || !name || !name[1])
			continue;
		parent = strndup(g->f[i].dir, (size_t)(name - g->f[i].dir));
		fd = parent ? open_folder(parent) : -1;
		if (fd >= 0)
			cgroup_dir_remove(fd, name + 1, REMOVE_MS);
	}
}

/* v2's freezer, which needs no controller, or v1's. */
struct freezer {
	const char *dir, *file, *on, *off;
	const char *state, *frozen; /* the file that tells, and what in it */
};

static int freezer_of(const struct oci_cgroup *g, struct freezer *ret)
{
	const struct cgroup_folder *f = oci_cgroup_of(g, NULL);

	if (f) {
		*ret = (struct freezer){ f->dir, "cgroup.freeze", "1",
					 "0",	 "cgroup.events", "frozen 1" };
		return 0;
	}
	f = oci_cgroup_of(g, "freezer");
	if (!f)
		return err(-EOPNOTSUPP, "the container has no cgroup to be paused in");
	*ret = (struct freezer){ f->dir,   "freezer.state", "FROZEN",
				 "THAWED", "freezer.state", "FROZEN" };
	return 0;
}

static bool frozen(int dir, const struct freezer *z)
{
	_free_ char *text = NULL;

	return file_read_all(dir, z->state, 4096, &text, NULL) >= 0 && strstr(text, z->frozen);
}

bool oci_cgroup_frozen(const struct oci_cgroup *g)
{
	struct freezer z;
	_close_ int dir = -1;

	if (freezer_of(g, &z) < 0) {
		err_clear();
		return false;
	}
	dir = open_folder(z.dir);
	return dir >= 0 && frozen(dir, &z);
}

int oci_cgroup_freeze(const struct oci_cgroup *g, bool freeze)
{
	struct freezer z;
	_close_ int dir = -1;
	int r = freezer_of(g, &z);

	if (r < 0)
		return r;
	dir = open_folder(z.dir);
	r = dir < 0 ? dir : file_write(dir, z.file, freeze ? z.on : z.off);
	for (int ms = 0; r >= 0 && frozen(dir, &z) != freeze; ms += FREEZE_STEP) {
		if (ms > FREEZE_MS) {
			file_write(dir, z.file, z.off);
			r = -ETIMEDOUT;
			break;
		}
		/* v1's asks again each time for what forked meanwhile. */
		poll(NULL, 0, FREEZE_STEP);
		if (freeze)
			file_write(dir, z.file, z.on);
	}
	return r < 0 ? err(r, "cannot %s: cgroup %s: %s", freeze ? "pause" : "resume", z.dir,
			   strerror(-r)) :
		       0;
}
