/* SPDX-License-Identifier: Apache-2.0 */
/* What a container uses, in the form that runc's `events --stats` has. */
#include "base/err.h"
#include "base/fd.h"
#include "base/str.h"
#include "oci/folder.h"
#include "runtime/runtime.h"

static json_int_t number(const struct cgroup_folder *f, const char *file)
{
	_free_ char *text = NULL;
	_close_ int dir = f ? open(f->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;

	if (dir < 0 || file_read_all(dir, file, 64, &text, NULL) < 0)
		return 0;
	/* "max" and v1's "no limit" are no limit: 0. */
	return (json_int_t)MIN(strtoull(text, NULL, 10), (unsigned long long)INT64_MAX);
}

static json_int_t keyed(const struct cgroup_folder *f, const char *file, const char *key)
{
	_close_ int dir = f ? open(f->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;

	return dir < 0 ? 0 : (json_int_t)cgroup_dir_get(dir, file, key);
}

static json_t *cpu(const struct oci_cgroup *g)
{
	const struct cgroup_folder *v2 = oci_cgroup_of(g, NULL);
	const struct cgroup_folder *v1 = oci_cgroup_of(g, "cpuacct"),
				   *time = oci_cgroup_of(g, "cpu");
	json_int_t user, system;

	user = v1 ? keyed(v1, "cpuacct.stat", "user") * 10000000 :
		    keyed(v2, "cpu.stat", "user_usec") * 1000;
	system = v1 ? keyed(v1, "cpuacct.stat", "system") * 10000000 :
		      keyed(v2, "cpu.stat", "system_usec") * 1000;
	time = time ?: v2;
	return json_pack("{s:{s:I,s:I,s:I},s:{s:I,s:I,s:I}}", "usage", "total",
			 v1 ? number(v1, "cpuacct.usage") :
			      keyed(v2, "cpu.stat", "usage_usec") * 1000,
			 "kernel", system, "user", user, "throttling", "periods",
			 keyed(time, "cpu.stat", "nr_periods"), "throttledPeriods",
			 keyed(time, "cpu.stat", "nr_throttled"), "throttledTime",
			 time && time->v2 ? keyed(time, "cpu.stat", "throttled_usec") * 1000 :
					    keyed(time, "cpu.stat", "throttled_time"));
}

static json_t *memory(const struct oci_cgroup *g)
{
	const struct cgroup_folder *v1 = oci_cgroup_of(g, "memory"), *f = v1;

	f = f ?: oci_cgroup_of(g, NULL);
	return json_pack("{s:I,s:{s:I,s:I,s:I,s:I}}", "cache",
			 keyed(f, "memory.stat", v1 ? "cache" : "file"), "usage", "usage",
			 number(f, v1 ? "memory.usage_in_bytes" : "memory.current"), "limit",
			 number(f, v1 ? "memory.limit_in_bytes" : "memory.max"), "max",
			 number(f, v1 ? "memory.max_usage_in_bytes" : "memory.peak"), "failcnt",
			 v1 ? number(f, "memory.failcnt") : keyed(f, "memory.events", "max"));
}

int oci_stats(const struct oci_options *o, const char *id, json_t **ret)
{
	_cleanup_(folder_done) struct folder f = FOLDER_NONE;
	const struct cgroup_folder *p;
	int r = folder_open(o, id, false, &f);

	if (r >= 0 && folder_status(&f) == OCI_STOPPED)
		r = err(-ESRCH, "container not running");
	if (r < 0)
		return r;
	p = oci_cgroup_of(&f.cgroup, "pids") ?: oci_cgroup_of(&f.cgroup, NULL);
	*ret = json_pack("{s:s,s:s,s:{s:o,s:o,s:{s:I,s:I}}}", "type", "stats", "id", id, "data",
			 "cpu", cpu(&f.cgroup), "memory", memory(&f.cgroup), "pids", "current",
			 number(p, "pids.current"), "limit", number(p, "pids.max"));
	return *ret ? 0 : -ENOMEM;
}
