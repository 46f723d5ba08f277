/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/spec.h"
#include "engine/spec_disk.h"
#include "engine/spec_tmpfs.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"

static const char *const driver_names[] = {
	[RUN_DRIVER_AUTO] = "auto",
	[RUN_DRIVER_FUSE] = "fuse",
	[RUN_DRIVER_OVERLAY] = "overlay",
};
static const char *const kind_names[] = {
	[RUN_CONTAINER] = "container",
	[RUN_VM] = "vm",
	[RUN_MOUNT] = "mount",
};

const char *spec_driver_name(enum run_driver d)
{
	return driver_names[d];
}

int spec_driver_parse(const char *name, enum run_driver *ret)
{
	for (unsigned i = 0; i < ARRAY_SIZE(driver_names); i++) {
		if (streq(name, driver_names[i])) {
			*ret = i;
			return 0;
		}
	}
	return err(-EINVAL, "driver '%s': must be auto, fuse or overlay", name);
}

static const char *const pages_names[] = { "small", "thp", "hugetlb" };

const char *spec_pages_name(enum vm_pages p)
{
	return pages_names[p];
}

int spec_pages_parse(const char *name, enum vm_pages *ret)
{
	for (unsigned i = 0; i < ARRAY_SIZE(pages_names); i++) {
		if (streq(name, pages_names[i])) {
			*ret = i;
			return 0;
		}
	}
	return err(-EINVAL, "huge pages '%s': must be thp or hugetlb", name);
}

int spec_limits(const struct run_spec *s, const struct store *store, struct run_limits *ret)
{
	*ret = s->limits;
	return ret->io_rate ? limits_disk(store_dirfd(store), &ret->io_disk) : 0;
}

int spec_verify_parse(const char *word, bool *ret_no_verify)
{
	const char *from = word ? "verify" : "STRATA_VERIFY";

	word = word ? word : getenv("STRATA_VERIFY");
	if (word && *word && !streq(word, "open") && !streq(word, "never"))
		return err(-EINVAL, "%s '%s': must be open or never", from, word);
	*ret_no_verify = word && streq(word, "never");
	return 0;
}

const char *spec_kind_name(enum run_kind k)
{
	return kind_names[k];
}

int spec_kind_parse(const char *name, enum run_kind *ret)
{
	for (unsigned i = 0; i < ARRAY_SIZE(kind_names); i++) {
		if (streq(name, kind_names[i])) {
			*ret = i;
			return 0;
		}
	}
	return -EINVAL;
}

void spec_free(struct run_spec *s)
{
	if (!s)
		return;
	free(s->id);
	free(s->name);
	free(s->image);
	free(s->store);
	free(s->layers);
	strv_free(s->argv);
	strv_free(s->env);
	strv_free(s->ports);
	strv_free(s->dns_servers);
	strv_free(s->dns_search);
	strv_free(s->dns_options);
	strv_free(s->hosts);
	json_decref(s->labels);
	free(s->cwd);
	free(s->user);
	free(s->hostname);
	free(s->kernel);
	free(s->modules);
	free(s->mountpoint);
	free(s->clone_of);
	for (size_t i = 0; i < s->nvolumes; i++) {
		free(s->volumes[i].source);
		free(s->volumes[i].target);
	}
	free(s->volumes);
	spec_disks_free(s);
	spec_tmpfs_free(s);
	free(s);
}

const char *spec_hostname(const struct run_spec *s, char room[SPEC_HOSTNAME_ROOM])
{
	if (s->hostname)
		return s->hostname;
	snprintf(room, SPEC_HOSTNAME_ROOM, "%.*s", SPEC_HOSTNAME_ROOM - 1, s->id);
	return room;
}

int spec_set(char **dst, const char *src)
{
	if (!src)
		return 0;
	free(*dst);
	*dst = strdup(src);
	return *dst ? 0 : -ENOMEM;
}

int spec_add_volume(struct run_spec *s, const char *source, size_t source_len, const char *target,
		    size_t target_len, bool rdonly)
{
	size_t cap = s->nvolumes;
	struct run_volume v = { .rdonly = rdonly };
	int r = mem_grow(&s->volumes, &cap, s->nvolumes + 1, sizeof(v));

	if (r < 0)
		return r;
	v.source = strndup(source, source_len);
	v.target = strndup(target, target_len);
	if (!v.source || !v.target) {
		free(v.source);
		free(v.target);
		return -ENOMEM;
	}
	s->volumes[s->nvolumes++] = v;
	return 0;
}
