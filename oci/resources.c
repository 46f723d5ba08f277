/* SPDX-License-Identifier: Apache-2.0 */
/*
 * "linux.resources" (config-linux.md, "Control groups") as writes to files of v1
 * (Documentation/admin-guide/cgroup-v1) or of v2 (cgroup-v2.rst). 0 is "not said", as in what an
 * engine's `update` sends; -1 takes a limit away. Numbers of v1's scale are converted as systemd
 * and runc do.
 */
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "oci/cgroup.h"
#include "oci/config.h"

#define ANY INT64_MIN, INT64_MAX

void settings_done(struct settings *s)
{
	free(s->s);
	keep_done(&s->mem);
	*s = (struct settings){ 0 };
}

static int add(struct settings *s, const char *file, const char *value)
{
	if (!file || !value || mem_grow(&s->s, &s->cap, s->n + 1, sizeof(*s->s)) < 0)
		return -ENOMEM;
	s->s[s->n++] = (struct setting){ file, value };
	return 0;
}

static int add_number(struct settings *s, const char *file, int64_t n)
{
	return add(s, file, keep_fmt(&s->mem, "%lld", (long long)n));
}

/* v2 writes "max" for what v1 says as -1. */
static int add_limit(struct settings *s, bool v2, const char *file, int64_t n)
{
	return v2 && n < 0 ? add(s, file, "max") : add_number(s, file, n);
}

/* The rows of a controller that need no thought. */
struct row {
	const char *key, *v1, *v2; /* NULL: that version has no such thing */
};

static int add_rows(struct settings *s, const json_t *o, bool v2, const struct row *rows, size_t n)
{
	int r = 0;

	for (size_t i = 0; r >= 0 && i < n; i++) {
		const char *file = v2 ? rows[i].v2 : rows[i].v1;
		int64_t value = 0;

		r = member_int(o, rows[i].key, ANY, &value);
		if (r >= 0 && value && file)
			r = add_limit(s, v2, file, value);
	}
	return r;
}

/* v1's is memory and swap together, v2's swap alone. */
static int add_swap(struct settings *s, const json_t *o, bool v2)
{
	int64_t swap = 0, limit = 0;
	int r = member_int(o, "swap", ANY, &swap);

	if (r >= 0)
		r = member_int(o, "limit", ANY, &limit);
	if (r < 0 || !swap)
		return r;
	if (!v2)
		return add_number(s, "memory.memsw.limit_in_bytes", swap);
	if (swap > 0 && limit <= 0)
		return err(-EINVAL, "resources: memory.swap without memory.limit");
	if (swap > 0 && swap < limit)
		return err(-EINVAL, "resources: memory.swap is below memory.limit");
	return add_limit(s, v2, "memory.swap.max", swap < 0 ? -1 : swap - limit);
}

static int parse_memory(struct settings *s, const json_t *o, bool v2)
{
	static const struct row rows[] = {
		{ "limit", "memory.limit_in_bytes", "memory.max" },
		{ "reservation", "memory.soft_limit_in_bytes", "memory.low" },
		{ "kernelTCP", "memory.kmem.tcp.limit_in_bytes", NULL },
	};
	int64_t swappiness = -1;
	bool no_oom = false;
	int r = add_rows(s, o, v2, rows, ARRAY_SIZE(rows));

	if (r >= 0)
		r = add_swap(s, o, v2);
	if (r >= 0)
		r = member_int(o, "swappiness", -1, 100, &swappiness);
	if (r >= 0)
		r = member_bool(o, "disableOOMKiller", &no_oom);
	if (r >= 0 && !v2 && swappiness >= 0)
		r = add_number(s, "memory.swappiness", swappiness);
	return r >= 0 && !v2 && no_oom ? add(s, "memory.oom_control", "1") : r;
}

/* The kernel's own span of shares, 2..262144, on that of weights, 1..10000. */
static int64_t weight_of(int64_t shares)
{
	shares = shares < 2 ? 2 : shares > 262144 ? 262144 : shares;
	return 1 + (shares - 2) * 9999 / 262142;
}

static int parse_quota(struct settings *s, const json_t *o, bool v2)
{
	int64_t quota = 0, period = 0;
	int r = member_int(o, "quota", ANY, &quota);

	if (r >= 0)
		r = member_int(o, "period", 0, INT64_MAX, &period);
	if (r < 0)
		return r;
	if (v2) {
		const char *max = quota > 0 ? keep_fmt(&s->mem, "%lld", (long long)quota) : "max";

		if (!quota && !period)
			return 0;
		return add(s, "cpu.max",
			   max && period ? keep_fmt(&s->mem, "%s %lld", max, (long long)period) :
					   max);
	}
	if (period)
		r = add_number(s, "cpu.cfs_period_us", period);
	return r >= 0 && quota ? add_number(s, "cpu.cfs_quota_us", quota) : r;
}

static int parse_cpu(struct settings *s, const json_t *o, bool v2)
{
	static const struct row rows[] = {
		{ "burst", "cpu.cfs_burst_us", "cpu.max.burst" },
		{ "realtimePeriod", "cpu.rt_period_us", NULL },
		{ "realtimeRuntime", "cpu.rt_runtime_us", NULL },
		{ "idle", "cpu.idle", "cpu.idle" },
	};
	const char *cpus = "", *mems = "";
	int64_t shares = 0;
	int r = member_int(o, "shares", 0, INT64_MAX, &shares);

	if (r >= 0 && shares)
		r = add_number(s, v2 ? "cpu.weight" : "cpu.shares",
			       v2 ? weight_of(shares) : shares);
	if (r >= 0)
		r = parse_quota(s, o, v2);
	if (r >= 0)
		r = add_rows(s, o, v2, rows, ARRAY_SIZE(rows));
	if (r >= 0)
		r = member_str(o, "cpus", &cpus);
	if (r >= 0)
		r = member_str(o, "mems", &mems);
	if (r >= 0 && *cpus)
		r = add(s, "cpuset.cpus", cpus);
	return r >= 0 && *mems ? add(s, "cpuset.mems", mems) : r;
}

static int parse_pids(struct settings *s, const json_t *o, bool v2 _unused_)
{
	int64_t limit = 0;
	int r = member_int(o, "limit", ANY, &limit);

	return r < 0 || !limit ? r : add_limit(s, true, "pids.max", limit);
}

/* "8:0 1048576", or v2's "8:0 rbps=1048576". */
static int add_rates(struct settings *s, const json_t *o, const char *key, const char *file,
		     const char *word)
{
	const json_t *list = NULL;
	int r = member_array(o, key, &list);

	for (size_t i = 0; r >= 0 && i < json_array_size(list); i++) {
		const json_t *d = json_array_get(list, i);
		int64_t major = 0, minor = 0, rate = 0;

		r = member_int(d, "major", 0, INT32_MAX, &major);
		if (r >= 0)
			r = member_int(d, "minor", 0, INT32_MAX, &minor);
		if (r >= 0)
			r = member_int(d, "rate", 0, INT64_MAX, &rate);
		if (r >= 0)
			r = add(s, file,
				keep_fmt(&s->mem, "%lld:%lld %s%lld", (long long)major,
					 (long long)minor, word, (long long)rate));
	}
	return r;
}

static int parse_block(struct settings *s, const json_t *o, bool v2)
{
	static const struct {
		const char *key, *v1, *v2;
	} rates[] = {
		{ "throttleReadBpsDevice", "blkio.throttle.read_bps_device", "rbps=" },
		{ "throttleWriteBpsDevice", "blkio.throttle.write_bps_device", "wbps=" },
		{ "throttleReadIOPSDevice", "blkio.throttle.read_iops_device", "riops=" },
		{ "throttleWriteIOPSDevice", "blkio.throttle.write_iops_device", "wiops=" },
	};
	int64_t weight = 0;
	int r = member_int(o, "weight", 0, 1000, &weight);

	if (r >= 0 && weight && v2)
		r = add_number(s, "io.weight", 1 + (weight < 10 ? 0 : weight - 10) * 9999 / 990);
	else if (r >= 0 && weight)
		r = add_number(s, "blkio.weight", weight);
	for (size_t i = 0; r >= 0 && i < ARRAY_SIZE(rates); i++)
		r = add_rates(s, o, rates[i].key, v2 ? "io.max" : rates[i].v1,
			      v2 ? rates[i].v2 : "");
	if (r >= 0 && json_array_size(json_get_array(o, "weightDevice")))
		r = err(-EINVAL, "resources: blockIO.weightDevice is not supported");
	return r;
}

static int parse_pages(struct settings *s, const json_t *resources, bool v2)
{
	const json_t *list = NULL;
	int r = member_array(resources, "hugepageLimits", &list);

	for (size_t i = 0; r >= 0 && i < json_array_size(list); i++) {
		const json_t *o = json_array_get(list, i);
		const char *size = "";
		int64_t limit = 0;

		r = member_str(o, "pageSize", &size);
		if (r >= 0)
			r = member_int(o, "limit", ANY, &limit);
		if (r >= 0 && (!*size || strlen(size) > 16 || strpbrk(size, "/.")))
			r = err(-EINVAL, "resources: \"%s\" is no size of pages", size);
		if (r >= 0)
			r = add_limit(s, v2,
				      keep_fmt(&s->mem, "hugetlb.%s.%s", size,
					       v2 ? "max" : "limit_in_bytes"),
				      limit);
	}
	return r;
}

static int parse_network(struct settings *s, const json_t *o, bool v2)
{
	const json_t *list = NULL;
	int64_t class = 0;
	int r = member_int(o, "classID", 0, UINT32_MAX, &class);

	if (r >= 0 && class && !v2)
		r = add_number(s, "net_cls.classid", class);
	if (r >= 0)
		r = member_array(o, "priorities", &list);
	for (size_t i = 0; r >= 0 && !v2 && i < json_array_size(list); i++) {
		const json_t *p = json_array_get(list, i);
		const char *name = "";
		int64_t n = 0;

		r = member_str(p, "name", &name);
		if (r >= 0)
			r = member_int(p, "priority", 0, UINT32_MAX, &n);
		if (r >= 0)
			r = add(s, "net_prio.ifpriomap",
				keep_fmt(&s->mem, "%s %lld", name, (long long)n));
	}
	return r;
}

static int parse_unified(struct settings *s, const json_t *resources, bool v2)
{
	const json_t *o = NULL, *value;
	const char *file;
	int r = member_object(resources, "unified", &o);

	if (r < 0 || !v2)
		return r;
	json_object_foreach((json_t *)o, file, value)
	{
		if (strchr(file, '/') || !strchr(file, '.') || str_after(file, "cgroup.") ||
		    !json_is_string(value))
			return err(-EINVAL, "resources: unified: %s is no setting", file);
		r = add(s, file, json_string_value(value));
		if (r < 0)
			return r;
	}
	return 0;
}

int settings_parse(const json_t *resources, bool v2, struct settings *ret)
{
	static const struct {
		const char *key;
		int (*fn)(struct settings *, const json_t *, bool);
	} parts[] = {
		{ "memory", parse_memory }, { "cpu", parse_cpu },	  { "pids", parse_pids },
		{ "blockIO", parse_block }, { "network", parse_network },
	};
	static const char *const others[] = { "rdma", "vtpms", NULL };
	int r = member_refuse(resources, others);

	*ret = (struct settings){ 0 };
	for (size_t i = 0; r >= 0 && i < ARRAY_SIZE(parts); i++) {
		const json_t *o = NULL;

		r = member_object(resources, parts[i].key, &o);
		if (r >= 0 && o)
			r = parts[i].fn(ret, o, v2);
	}
	if (r >= 0)
		r = parse_pages(ret, resources, v2);
	if (r >= 0)
		r = parse_unified(ret, resources, v2);
	if (r < 0)
		settings_done(ret);
	return r;
}
