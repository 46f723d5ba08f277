/* SPDX-License-Identifier: Apache-2.0 */
/* Which devices a container may use: the rules of its config in order, then what all may. */
#include "base/err.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/str.h"
#include "oci/cgroup.h"
#include "oci/config.h"
#include <linux/bpf.h>

#define MKNOD BPF_DEVCG_ACC_MKNOD
#define ALL   (BPF_DEVCG_ACC_MKNOD | BPF_DEVCG_ACC_READ | BPF_DEVCG_ACC_WRITE)

static const struct device_rule defaults[] = {
	{ true, 'c', -1, -1, MKNOD },
	{ true, 'b', -1, -1, MKNOD },
	{ true, 'c', 1, 3, ALL },
	{ true, 'c', 1, 5, ALL },
	{ true, 'c', 1, 7, ALL },
	{ true, 'c', 1, 8, ALL },
	{ true, 'c', 1, 9, ALL },
	{ true, 'c', 5, 0, ALL }, /* tty */
	{ true, 'c', 5, 1, ALL } /* console */,
	{ true, 'c', 5, 2, ALL },    /* ptmx */
	{ true, 'c', 136, -1, ALL }, /* pts */
};

static int add(struct device_rules *r, const struct device_rule *rule)
{
	if (mem_grow(&r->r, &r->cap, r->n + 1, sizeof(*r->r)) < 0)
		return -ENOMEM;
	r->r[r->n++] = *rule;
	return 0;
}

void device_rules_done(struct device_rules *r)
{
	free(r->r);
	*r = (struct device_rules){ 0 };
}

static int parse_access(const char *s, unsigned *ret)
{
	for (; *s; s++) {
		unsigned bit = *s == 'r' ? BPF_DEVCG_ACC_READ :
			       *s == 'w' ? BPF_DEVCG_ACC_WRITE :
			       *s == 'm' ? BPF_DEVCG_ACC_MKNOD :
					   0;

		if (!bit)
			return err(-EINVAL, "resources: devices: unknown access \"%c\"", *s);
		*ret |= bit;
	}
	return 0;
}

static int parse_rule(const json_t *j, struct device_rule *d)
{
	const char *type = "a", *access = "rwm";
	int r = member_bool(j, "allow", &d->allow);

	if (r >= 0)
		r = member_str(j, "type", &type);
	if (r >= 0)
		r = member_str(j, "access", &access);
	if (r >= 0)
		r = member_int(j, "major", -1, UINT32_MAX, &d->major);
	if (r >= 0)
		r = member_int(j, "minor", -1, UINT32_MAX, &d->minor);
	if (r < 0)
		return r;
	d->type = *type ? *type : 'a';
	if (d->type == 'u')
		d->type = 'c';
	if (!strchr("abc", d->type) || (*type && type[1]))
		return err(-EINVAL, "resources: devices: unknown type \"%s\"", type);
	return parse_access(access, &d->access);
}

static bool is_all(const struct device_rule *d)
{
	return d->type == 'a' && d->major < 0 && d->minor < 0 && d->access == ALL;
}

/* v1 takes "a" for everything, whatever numbers and access stand behind it: both types are said. */
static int add_both(struct device_rules *r, struct device_rule d)
{
	int e;

	if (d.type != 'a' || is_all(&d))
		return add(r, &d);
	d.type = 'b';
	e = add(r, &d);
	d.type = 'c';
	return e < 0 ? e : add(r, &d);
}

static int add_config(const json_t *list, struct device_rules *ret)
{
	const struct device_rule none = { false, 'a', -1, -1, ALL };
	int r = 0;

	for (size_t i = 0; r >= 0 && i < json_array_size(list); i++) {
		struct device_rule d = { .major = -1, .minor = -1 };

		r = parse_rule(json_array_get(list, i), &d);
		if (r >= 0 && !i && !is_all(&d))
			r = add(ret, &none);
		if (r >= 0)
			r = add_both(ret, d);
	}
	return r >= 0 && !ret->n ? add(ret, &none) : r;
}

/* A device of the container's own is for its use. */
static int add_own(const json_t *devices, struct device_rules *ret)
{
	int r = 0;

	for (size_t i = 0; r >= 0 && i < json_array_size(devices); i++) {
		const json_t *j = json_array_get(devices, i);
		const char *type = json_get_str(j, "type");
		struct device_rule d = { true, type && *type == 'b' ? 'b' : 'c',
					 json_get_int(j, "major", 0), json_get_int(j, "minor", 0),
					 ALL };

		if (type && *type != 'p')
			r = add(ret, &d);
	}
	return r;
}

int device_rules_parse(const json_t *resources, const json_t *devices, struct device_rules *ret)
{
	const json_t *list = NULL;
	struct device_rules rules = { 0 };
	int r = member_array(resources, "devices", &list);

	if (r >= 0)
		r = add_config(list, &rules);
	if (r >= 0 && !json_array_size(list))
		r = add_own(devices, &rules);
	for (size_t i = 0; r >= 0 && i < ARRAY_SIZE(defaults); i++)
		r = add(&rules, &defaults[i]);
	if (r < 0) {
		device_rules_done(&rules);
		return r;
	}
	*ret = rules;
	return 0;
}

/* "c 1:3 rwm", "a" (Documentation/admin-guide/cgroup-v1/devices.rst) */
static void text_of(const struct device_rule *d, char *text, size_t size)
{
	char major[24] = "*", minor[24] = "*";

	if (d->type == 'a') {
		str_copy(text, size, "a");
		return;
	}
	if (d->major >= 0)
		snprintf(major, sizeof(major), "%lld", (long long)d->major);
	if (d->minor >= 0)
		snprintf(minor, sizeof(minor), "%lld", (long long)d->minor);
	snprintf(text, size, "%c %s:%s %s%s%s", d->type, major, minor,
		 d->access & BPF_DEVCG_ACC_READ ? "r" : "",
		 d->access & BPF_DEVCG_ACC_WRITE ? "w" : "",
		 d->access & BPF_DEVCG_ACC_MKNOD ? "m" : "");
}

int device_rules_write(const struct device_rules *r, const char *dir)
{
	_close_ int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return err_sys("cgroup %s", dir);
	for (size_t i = 0; i < r->n; i++) {
		char text[80];
		int e;

		text_of(&r->r[i], text, sizeof(text));
		e = file_write(fd, r->r[i].allow ? "devices.allow" : "devices.deny", text);
		if (e < 0)
			return err(e, "cgroup %s: devices \"%s\": %s", dir, text, strerror(-e));
	}
	return 0;
}
