/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Resources into the control groups of a container. On a hybrid host a controller is v1's where v1
 * has it mounted, else v2's.
 */
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "oci/cgroup.h"
#include "oci/config.h"

/* The controller a file is of: what stands before its first dot. */
static void controller_of(const char *file, char name[32])
{
	snprintf(name, 32, "%.*s", (int)MIN(strcspn(file, "."), (size_t)31), file);
}

/* A disk's weight is bfq's where the kernel has only that. */
static const char *other_name(const char *file)
{
	return streq(file, "blkio.weight") ? "blkio.bfq.weight" :
	       streq(file, "io.weight")	   ? "io.bfq.weight" :
					     NULL;
}

static int write_setting(const struct cgroup_folder *f, const struct setting *s)
{
	int r = oci_cgroup_write(f, s->file, s->value);

	return r == -ENOENT && other_name(s->file) ?
		       oci_cgroup_write(f, other_name(s->file), s->value) :
		       r;
}

static int fail(const struct cgroup_folder *f, const struct setting *s, int r)
{
	return err(r, "cannot set %s to %s in the cgroup %s: %s", s->file, s->value, f->dir,
		   strerror(-r));
}

/*
 * Two limits may only be changed in one order, which depends on what they were (memory, and memory
 * with swap): what is refused is tried again after the others.
 */
static int write_all(const struct oci_cgroup *g, const struct settings *s, bool v2)
{
	const struct setting *again[16];
	size_t nagain = 0;

	for (size_t pass = 0, n = s->n; pass < 2; pass++, n = nagain) {
		for (size_t i = 0; i < n; i++) {
			const struct setting *one = pass ? again[i] : &s->s[i];
			const struct cgroup_folder *f;
			char name[32];
			int r;

			controller_of(one->file, name);
			f = oci_cgroup_of(g, streq(name, "io") ? "blkio" : name);
			if (v2 == (f != NULL))
				continue; /* the other version's to set */
			if (v2)
				f = oci_cgroup_of(g, NULL);
			if (!f)
				return err(-EOPNOTSUPP,
					   "resources: %s: there is no cgroup controller %s for it",
					   one->file, name);
			r = write_setting(f, one);
			if (r < 0 && !pass && nagain < ARRAY_SIZE(again))
				again[nagain++] = one;
			else if (r < 0)
				return fail(f, one, r);
		}
	}
	return 0;
}

/* Where no group could be made, nobody who could make a device is. */
static int apply_devices(const struct oci_cgroup *g, const json_t *resources, const json_t *devices)
{
	const struct cgroup_folder *f = oci_cgroup_of(g, "devices");
	struct device_rules rules;
	int r = device_rules_parse(resources, devices, &rules);

	if (r < 0)
		return r;
	if (f)
		r = device_rules_write(&rules, f->dir);
	else if (oci_cgroup_of(g, NULL))
		r = device_rules_attach(&rules, oci_cgroup_of(g, NULL)->dir);
	device_rules_done(&rules);
	return r;
}

int oci_cgroup_apply(const struct oci_cgroup *g, const json_t *resources, const json_t *devices,
		     bool update)
{
	int r = 0;

	for (int v2 = 0; r >= 0 && v2 < 2; v2++) {
		_cleanup_(settings_done) struct settings s = { 0 };

		r = settings_parse(resources, v2, &s);
		if (r >= 0)
			r = write_all(g, &s, v2);
	}
	if (r >= 0 && (!update || json_object_get(resources, "devices")))
		r = apply_devices(g, resources, devices);
	return r;
}
