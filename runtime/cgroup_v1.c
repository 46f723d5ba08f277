/* SPDX-License-Identifier: Apache-2.0 */
/* Limits as cgroup v1 has them (Documentation/admin-guide/cgroup-v1). */
#include "runtime/cgroup.h"

#include "base/err.h"
#include "base/fd.h"
#include "base/mem.h"
#include <sys/sysmacros.h>

#define PERIOD_US    100000 /* cpu.cfs_period_us: the kernel's default */
#define QUOTA_MIN_US 1000   /* the kernel takes no less */
#define SHARES_MIN   2 /* cpu.shares: what the kernel takes; 1024 is what weight 100 is in v2 */
#define SHARES_MAX   262144

int cgroup_v1_memory(const struct cgroup_dir *d, const struct run_limits *l)
{
	/*
	 * Memory and swap together no more than memory alone: no swap. Without swap accounting
	 * there is no such file.
	 */
	bool both = faccessat(d->fd, "memory.memsw.limit_in_bytes", F_OK, 0) == 0;
	int r;

	/* It is never below the other: raised first, where there was a smaller one. */
	if (both && cgroup_set_number(d, "memory.memsw.limit_in_bytes", "memory", l->memory) < 0)
		err_clear();
	r = cgroup_set_number(d, "memory.limit_in_bytes", "memory", l->memory);
	if (r < 0)
		return r;
	if (!both)
		return cgroup_set_number(d, "memory.swappiness", "memory", 0);
	return cgroup_set_number(d, "memory.memsw.limit_in_bytes", "memory", l->memory);
}

int cgroup_v1_cpu(const struct cgroup_dir *d, const struct run_limits *l)
{
	int r = 0;

	if (l->nano_cpus) {
		uint64_t quota = l->nano_cpus / (1000000000 / PERIOD_US);

		r = cgroup_set_number(d, "cpu.cfs_period_us", "cpus", PERIOD_US);
		if (r >= 0)
			r = cgroup_set_number(d, "cpu.cfs_quota_us", "cpus",
					      MAX(quota, (uint64_t)QUOTA_MIN_US));
	}
	if (r >= 0 && l->cpu_weight) {
		uint64_t shares = l->cpu_weight * 1024 / 100;

		shares = MAX(shares, (uint64_t)SHARES_MIN);
		shares = MIN(shares, (uint64_t)SHARES_MAX);
		r = cgroup_set_number(d, "cpu.shares", "cpu weight", shares);
	}
	return r;
}

int cgroup_v1_io(const struct cgroup_dir *d, const struct run_limits *l)
{
	char text[64];
	int r;

	snprintf(text, sizeof(text), "%u:%u %llu", major(l->io_disk), minor(l->io_disk),
		 (unsigned long long)l->io_rate);
	r = cgroup_set(d, "blkio.throttle.read_bps_device", "io", text);
	return r < 0 ? r : cgroup_set(d, "blkio.throttle.write_bps_device", "io", text);
}

uint64_t cgroup_v1_oom_kills(const struct cgroup_dir *d)
{
	return cgroup_dir_get(d->fd, "memory.oom_control", "oom_kill");
}
