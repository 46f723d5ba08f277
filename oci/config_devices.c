/* SPDX-License-Identifier: Apache-2.0 */
/*
 * "linux.devices", the devices that every container has (config-linux.md, "Default Devices"), and
 * the links of /dev.
 */
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "oci/parts.h"
#include <sys/stat.h>
#include <sys/sysmacros.h>

static const struct {
	const char *path;
	unsigned int major, minor;
} defaults[] = {
	{ "/dev/null", 1, 3 },	 { "/dev/zero", 1, 5 },	   { "/dev/full", 1, 7 },
	{ "/dev/random", 1, 8 }, { "/dev/urandom", 1, 9 }, { "/dev/tty", 5, 0 },
};

static const struct ctr_link links[] = {
	{ "/dev/fd", "/proc/self/fd" },	      { "/dev/stdin", "/proc/self/fd/0" },
	{ "/dev/stdout", "/proc/self/fd/1" }, { "/dev/stderr", "/proc/self/fd/2" },
	{ "/dev/ptmx", "pts/ptmx" },
};

static mode_t type_of(const char *type)
{
	return streq(type, "c") || streq(type, "u") ? S_IFCHR :
	       streq(type, "b")			    ? S_IFBLK :
	       streq(type, "p")			    ? S_IFIFO :
						      0;
}

static int parse_device(const json_t *j, struct ctr_device *d)
{
	int64_t major = 0, minor = 0, mode = 0666, uid = 0, gid = 0;
	const char *type = "";
	int r = member_str(j, "path", &d->path);

	if (r >= 0)
		r = member_str(j, "type", &type);
	if (r >= 0)
		r = member_int(j, "major", 0, 0xfff, &major);
	if (r >= 0)
		r = member_int(j, "minor", 0, 0xfffff, &minor);
	if (r >= 0)
		r = member_int(j, "fileMode", 0, UINT32_MAX, &mode);
	if (r >= 0)
		r = member_int(j, "uid", 0, UINT32_MAX - 1, &uid);
	if (r >= 0)
		r = member_int(j, "gid", 0, UINT32_MAX - 1, &gid);
	if (r < 0)
		return r;
	if (!d->path || *d->path != '/' || str_ends(d->path, "/"))
		return err(-EINVAL, "config: a device without an absolute path");
	if (!type_of(type))
		return err(-EINVAL, "config: %s: unknown type of device \"%s\"", d->path, type);
	d->mode = type_of(type) | (mode_t)(mode & 07777);
	d->rdev = makedev((unsigned)major, (unsigned)minor);
	d->uid = (uid_t)uid;
	d->gid = (gid_t)gid;
	return 0;
}

/* Those of the config stand before the defaults, which give way. */
static bool is_there(const struct ctr_device *d, size_t n, const char *path)
{
	for (size_t i = 0; i < n; i++) {
		if (streq(d[i].path, path))
			return true;
	}
	return false;
}

int config_devices(struct oci_config *c, const json_t *l)
{
	struct ctr_device *d;
	int r = member_array(l, "devices", &c->devices);
	size_t n = json_array_size(c->devices), given = n;

	if (r < 0)
		return r;
	d = keep_new(&c->mem, n + ARRAY_SIZE(defaults), sizeof(*d));
	if (!d)
		return -ENOMEM;
	for (size_t i = 0; r >= 0 && i < n; i++)
		r = parse_device(json_array_get(c->devices, i), &d[i]);
	for (size_t i = 0; r >= 0 && i < ARRAY_SIZE(defaults); i++) {
		if (!is_there(d, given, defaults[i].path))
			d[n++] = (struct ctr_device){
				.path = defaults[i].path,
				.mode = S_IFCHR | 0666,
				.rdev = makedev(defaults[i].major, defaults[i].minor),
			};
	}
	c->given.devices = d;
	c->given.ndevices = n;
	c->given.links = links;
	c->given.nlinks = ARRAY_SIZE(links);
	return r;
}
