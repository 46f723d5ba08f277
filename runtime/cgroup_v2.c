/* SPDX-License-Identifier: Apache-2.0 */
/* Limits as cgroup v2 has them (Documentation/admin-guide/cgroup-v2.rst). */
#include "runtime/cgroup.h"

#include "base/err.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/str.h"
#include <sys/sysmacros.h>

#define PERIOD_US    100000 /* of cpu.max: the kernel's default */
#define QUOTA_MIN_US 1000   /* the kernel takes no less */

int cgroup_v2_memory(const struct cgroup_dir *d, const struct run_limits *l)
{
	int r = cgroup_set_number(d, "memory.max", "memory", l->memory);

	/* A kernel without swap has no such file. */
	if (r < 0 || faccessat(d->fd, "memory.swap.max", F_OK, 0) < 0)
		return r;
	return cgroup_set(d, "memory.swap.max", "memory", "0");
}

int cgroup_v2_cpu(const struct cgroup_dir *d, const struct run_limits *l)
{
	int r = 0;

	if (l->nano_cpus) {
		uint64_t quota = l->nano_cpus / (1000000000 / PERIOD_US);
		char text[48];

		snprintf(text, sizeof(text), "%llu %d",
			 (unsigned long long)MAX(quota, (uint64_t)QUOTA_MIN_US), PERIOD_US);
		r = cgroup_set(d, "cpu.max", "cpus", text);
	}
	if (r >= 0 && l->cpu_weight)
		r = cgroup_set_number(d, "cpu.weight", "cpu weight", l->cpu_weight);
	return r;
}

int cgroup_v2_io(const struct cgroup_dir *d, const struct run_limits *l)
{
	const unsigned long long rate = l->io_rate;
	char text[96];

	snprintf(text, sizeof(text), "%u:%u rbps=%llu wbps=%llu", major(l->io_disk),
		 minor(l->io_disk), rate, rate);
	return cgroup_set(d, "io.max", "io", text);
}

/* Which of our controllers a file of @dir names. */
static unsigned named_in(int dir, const char *file)
{
	_free_ char *list = NULL;
	unsigned bits = 0;

	if (file_read_all(dir, file, 4096, &list, NULL) < 0)
		return 0;
	for (const char *s = list; *s;) {
		size_t len = strcspn(s, " \n");

		bits |= cgroup_controller_parse(s, len);
		s += len + !!s[len];
	}
	return bits;
}

/* Only what is missing: each such write stops every fork of the machine for a moment. */
static int enable(int dir, unsigned controllers)
{
	unsigned missing = controllers & ~named_in(dir, "cgroup.subtree_control");

	for (unsigned bit = 1; bit <= missing; bit <<= 1) {
		char text[16];
		int r;

		if (!(missing & bit))
			continue;
		snprintf(text, sizeof(text), "+%s", cgroup_controller_name(bit));
		r = file_write(dir, "cgroup.subtree_control", text);
		if (r < 0)
			return err(r, "cgroup controller %s: it cannot be given to groups: %s",
				   cgroup_controller_name(bit), strerror(-r));
	}
	return 0;
}

int cgroup_v2_enable(int root, int folder, unsigned controllers)
{
	int r;

	if (!controllers)
		return 0;
	/* What the page cache writes later is known for the group's by the two together. */
	if (controllers & CGROUP_IO)
		controllers |= CGROUP_MEMORY;
	r = enable(root, controllers);
	return r < 0 ? r : enable(folder, controllers);
}

void cgroup_v2_count(int folder)
{
	unsigned offered;

	if (named_in(folder, "cgroup.subtree_control") & CGROUP_IO)
		return;
	offered = named_in(folder, "cgroup.controllers");
	if (offered & CGROUP_IO)
		enable(folder, offered & (CGROUP_IO | CGROUP_MEMORY));
	err_clear();
}

uint64_t cgroup_v2_oom_kills(const struct cgroup_dir *d)
{
	return cgroup_dir_get(d->fd, "memory.events", "oom_kill");
}
