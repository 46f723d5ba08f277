/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a group uses, by the files that are there: v2's cpu.stat always (cgroup-v2.rst: "exists
 * whether the controller is enabled or not"), memory and pids where a controller counts; else they
 * are counted here from the group's processes.
 */
#include "runtime/cgroup.h"

#include "base/err.h"
#include "base/fd.h"
#include "base/str.h"
#include <unistd.h>

#define PROCS_MAX  (8u << 20)	       /* bytes of cgroup.procs */
#define LIMIT_NONE (UINT64_C(1) << 62) /* v1's "no limit" is about 2^63 */

/* The first number in a file of @d: 0 or -errno; "max" is 0. */
static int read_number(const struct cgroup_dir *d, const char *file, uint64_t *ret)
{
	_free_ char *text = NULL;
	int r = file_read_all(d->fd, file, 64, &text, NULL);

	if (r >= 0)
		*ret = strtoull(text, NULL, 10);
	return r;
}

/* Bytes: the second number of proc(5)'s statm, which are pages. */
static uint64_t resident(long pid)
{
	char path[48];
	_free_ char *text = NULL;

	snprintf(path, sizeof(path), "/proc/%ld/statm", pid);
	if (file_read_all(AT_FDCWD, path, 256, &text, NULL) < 0)
		return 0;
	return strtoull(str_word(text, 1), NULL, 10) * (uint64_t)sysconf(_SC_PAGESIZE);
}

static int count_processes(const struct cgroup_dir *d, uint64_t *ret_pids, uint64_t *ret_memory)
{
	_free_ char *list = NULL;
	int r = file_read_all(d->fd, "cgroup.procs", PROCS_MAX, &list, NULL);

	for (char *s = list, *end; r >= 0 && *s; s = end) {
		long pid = strtol(s, &end, 10);

		if (end == s)
			break;
		*ret_pids += 1;
		*ret_memory += resident(pid);
		end += *end == '\n';
	}
	return r;
}

#define IO_MAX (64u << 10) /* bytes of io.stat: a line for each disk */

/* Of v2's io.stat: "8:0 rbytes=1 wbytes=2 ...". */
static void add_io_v2(const char *line, struct cgroup_usage *u)
{
	const char *r = strstr(line, " rbytes="), *w = strstr(line, " wbytes=");

	u->io_read += r ? strtoull(r + strlen(" rbytes="), NULL, 10) : 0;
	u->io_written += w ? strtoull(w + strlen(" wbytes="), NULL, 10) : 0;
}

/* Of v1's blkio: "8:0 Read 1". */
static void add_io_v1(const char *line, struct cgroup_usage *u)
{
	const char *what = str_word(line, 1), *r = str_after(what, "Read "),
		   *w = str_after(what, "Write ");

	u->io_read += r ? strtoull(r, NULL, 10) : 0;
	u->io_written += w ? strtoull(w, NULL, 10) : 0;
}

static void read_io(const struct cgroup_dir *d, struct cgroup_usage *u)
{
	_free_ char *text = NULL;
	char *line, *at;

	if (file_read_all(d->fd, d->v2 ? "io.stat" : "blkio.throttle.io_service_bytes_recursive",
			  IO_MAX, &text, NULL) < 0)
		return;
	u->has_io = true;
	for (line = strtok_r(text, "\n", &at); line; line = strtok_r(NULL, "\n", &at)) {
		if (d->v2)
			add_io_v2(line, u);
		else
			add_io_v1(line, u);
	}
}

static void read_controllers(const struct cgroup_dir *d, struct cgroup_usage *u, bool *memory,
			     bool *pids)
{
	if (d->v2)
		u->cpu_ns = cgroup_dir_get(d->fd, "cpu.stat", "usage_usec") * 1000;
	if (read_number(d, d->v2 ? "memory.current" : "memory.usage_in_bytes", &u->memory) >= 0) {
		*memory = true;
		read_number(d, d->v2 ? "memory.max" : "memory.limit_in_bytes", &u->memory_limit);
	}
	if (read_number(d, "pids.current", &u->pids) >= 0)
		*pids = true;
	read_io(d, u);
}

int cgroup_usage(const struct cgroup *g, struct cgroup_usage *ret)
{
	struct cgroup_usage u = { 0 };
	uint64_t pids = 0, memory = 0;
	bool has_memory = false, has_pids = false;
	int r;

	if (!g->n)
		return -ENOENT;
	for (size_t i = 0; i < g->n; i++)
		read_controllers(&g->dirs[i], &u, &has_memory, &has_pids);
	r = has_memory && has_pids ? 0 : count_processes(&g->dirs[0], &pids, &memory);
	if (r < 0)
		return r;
	if (!has_memory)
		u.memory = memory;
	if (!has_pids)
		u.pids = pids;
	if (u.memory_limit >= LIMIT_NONE)
		u.memory_limit = 0;
	*ret = u;
	return 0;
}
