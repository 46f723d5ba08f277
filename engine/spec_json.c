/* SPDX-License-Identifier: Apache-2.0 */
/* A spec as config.json. */
#include "engine/spec.h"
#include "engine/spec_disk.h"
#include "engine/spec_process.h"
#include "engine/spec_tmpfs.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include <signal.h>

static json_t *layers_to_json(const struct run_spec *s)
{
	json_t *a = json_array();

	for (size_t i = 0; i < s->nlayers; i++) {
		struct digest_hex hex = digest_hex(&s->layers[i]);

		json_array_append_new(a, json_sprintf("sha256:%s", hex.s));
	}
	return a;
}

static json_t *volumes_to_json(const struct run_spec *s)
{
	json_t *a = json_array();

	for (size_t i = 0; i < s->nvolumes; i++)
		json_array_append_new(
			a, json_pack("{s:s, s:s, s:b}", "source", s->volumes[i].source, "target",
				     s->volumes[i].target, "readOnly", s->volumes[i].rdonly));
	return a;
}

/* Address, gateway, resolver, each four numbers; then the prefix. */
#define ETH0_NUMBERS 13

static json_t *eth0_to_json(const struct run_spec *s)
{
	const uint8_t *const parts[] = { s->address, s->gateway, s->dns };
	json_t *a = json_array();

	for (size_t i = 0; i < ETH0_NUMBERS - 1; i++)
		json_array_append_new(a, json_integer(parts[i / 4][i % 4]));
	json_array_append_new(a, json_integer(s->prefix));
	return a;
}

static void eth0_from_json(const json_t *a, struct run_spec *s)
{
	uint8_t *const parts[] = { s->address, s->gateway, s->dns };

	if (json_array_size(a) != ETH0_NUMBERS)
		return;
	for (size_t i = 0; i < ETH0_NUMBERS - 1; i++)
		parts[i / 4][i % 4] = (uint8_t)json_integer_value(json_array_get(a, i));
	s->prefix = (unsigned)json_integer_value(json_array_get(a, ETH0_NUMBERS - 1));
}

static void network_to_json(const struct run_spec *s, json_t *j)
{
	if (s->prefix)
		json_object_set_new(j, "eth0", eth0_to_json(s));
	if (!spec_has_eth0(s))
		return;
	json_object_set_new(j, s->user_network ? "userNetwork" : "bridgeNetwork", json_true());
	json_object_set_new(j, "ports", json_from_strv(s->ports));
	json_object_set_new(j, "netRate", json_integer((json_int_t)s->net_rate));
}

/* ---- what is only there where it was said ---- */

static void strings_to_json(const struct run_spec *s, json_t *j)
{
	if (s->clone_of)
		json_object_set_new(j, "cloneOf", json_string(s->clone_of));
	if (s->modules)
		json_object_set_new(j, "modules", json_string(s->modules));
}

static void numbers_to_json(const struct run_spec *s, json_t *j)
{
	const struct {
		const char *key;
		uint64_t n;
	} numbers[] = {
		{ "timeout", s->timeout },  { "ids", s->ids },
		{ "dax", s->dax },	    { "topSize", s->top_size },
		{ "shmSize", s->shm_size }, { "entrypoint", s->entrypoint },
	};

	for (size_t i = 0; i < ARRAY_SIZE(numbers); i++)
		if (numbers[i].n)
			json_object_set_new(j, numbers[i].key,
					    json_integer((json_int_t)numbers[i].n));
}

static void flags_to_json(const struct run_spec *s, json_t *j)
{
	const struct {
		const char *key;
		bool flag;
	} flags[] = {
		{ "unprivileged", s->unprivileged },
		{ "acpi", s->acpi },
		{ "emulated", s->emulated },
		{ "cold", s->cold },
		{ "init", s->init },
		{ "balloon", s->balloon },
	};

	for (size_t i = 0; i < ARRAY_SIZE(flags); i++)
		if (flags[i].flag)
			json_object_set_new(j, flags[i].key, json_true());
}

static void lists_to_json(const struct run_spec *s, json_t *j)
{
	const struct {
		const char *key;
		char *const *list;
	} lists[] = {
		{ "dnsServers", s->dns_servers },
		{ "dnsSearch", s->dns_search },
		{ "dnsOptions", s->dns_options },
		{ "hosts", s->hosts },
	};

	for (size_t i = 0; i < ARRAY_SIZE(lists); i++)
		if (lists[i].list)
			json_object_set_new(j, lists[i].key, json_from_strv(lists[i].list));
}

json_t *spec_to_json(const struct run_spec *s)
{
	json_t *j = json_pack(
		"{s:s, s:s, s:s, s:s*, s:s, s:s, s:o, s:o, s:o, s:s, s:s, s:s*, s:s*, s:s*, s:o, "
		"s:{s:I, s:I, s:I, s:I}, s:i, s:i, s:b, s:b, s:b, s:b, s:b, s:b, s:b}",
		"kind", spec_kind_name(s->kind), "driver", spec_driver_name(s->driver), "name",
		s->name, "id", s->id, "image", s->image, "store", s->store, "layers",
		layers_to_json(s), "args", json_from_strv(s->argv), "env", json_from_strv(s->env),
		"cwd", s->cwd, "user", s->user, "hostname", s->hostname, "kernel", s->kernel,
		"mountpoint", s->mountpoint, "volumes", volumes_to_json(s), "limits", "memory",
		(json_int_t)s->limits.memory, "nanoCpus", (json_int_t)s->limits.nano_cpus, "pids",
		(json_int_t)s->limits.pids, "ioRate", (json_int_t)s->limits.io_rate, "vcpus",
		(int)s->vcpus, "stopSignal", s->stop_signal, "hostNetwork", s->host_network, "rm",
		s->rm, "terminal", s->tty, "interactive", s->interactive, "readOnly", s->read_only,
		"logged", s->logged, "trace", s->trace);

	if (!j)
		return NULL;
	if (s->labels)
		json_object_set(j, "labels", s->labels);
	if (s->no_verify)
		json_object_set_new(j, "verify", json_false());
	if (s->stop_timeout >= 0)
		json_object_set_new(j, "stopTimeout", json_integer(s->stop_timeout));
	if (s->ndisks)
		spec_disks_to_json(s, j);
	if (s->pages)
		json_object_set_new(j, "pages", json_string(spec_pages_name(s->pages)));
	network_to_json(s, j);
	strings_to_json(s, j);
	numbers_to_json(s, j);
	flags_to_json(s, j);
	lists_to_json(s, j);
	spec_tmpfs_to_json(s, j);
	spec_process_to_json(s, j);
	return j;
}

static int layers_from_json(const json_t *a, struct run_spec *s)
{
	s->layers = mem_new(json_array_size(a), sizeof(*s->layers));
	if (!s->layers)
		return -ENOMEM;
	for (size_t i = 0; i < json_array_size(a); i++) {
		const char *text = json_string_value(json_array_get(a, i));

		if (!text || digest_parse(text, &s->layers[i]) < 0)
			return -EBADMSG;
	}
	s->nlayers = json_array_size(a);
	return 0;
}

static int volumes_from_json(const json_t *a, struct run_spec *s)
{
	for (size_t i = 0; i < json_array_size(a); i++) {
		const json_t *v = json_array_get(a, i);
		const char *source = json_get_str(v, "source"), *target = json_get_str(v, "target");
		int r;

		if (!source || !target)
			return -EBADMSG;
		r = spec_add_volume(s, source, strlen(source), target, strlen(target),
				    json_get_bool(v, "readOnly", 0));
		if (r < 0)
			return r;
	}
	return 0;
}

static int kind_from_json(const json_t *j, struct run_spec *s)
{
	const char *kind = json_get_str(j, "kind"), *driver = json_get_str(j, "driver");
	const char *pages = json_get_str(j, "pages");

	if (!kind || spec_kind_parse(kind, &s->kind) < 0)
		return -EBADMSG;
	if (pages && spec_pages_parse(pages, &s->pages) < 0)
		return -EBADMSG;
	return driver ? spec_driver_parse(driver, &s->driver) : 0;
}

static int strings_from_json(const json_t *j, struct run_spec *s)
{
	const struct {
		const char *key;
		char **dst;
	} fields[] = {
		{ "id", &s->id },
		{ "name", &s->name },
		{ "image", &s->image },
		{ "store", &s->store },
		{ "cwd", &s->cwd },
		{ "user", &s->user },
		{ "kernel", &s->kernel },
		{ "modules", &s->modules },
		{ "hostname", &s->hostname },
		{ "mountpoint", &s->mountpoint },
		{ "cloneOf", &s->clone_of },
	};
	int r = 0;

	for (unsigned i = 0; r == 0 && i < ARRAY_SIZE(fields); i++)
		r = spec_set(fields[i].dst, json_get_str(j, fields[i].key));
	if (r == 0 && (!s->name || !s->image || !s->store || !s->cwd || !s->user))
		r = -EBADMSG;
	return r;
}

static int lists_from_json(const json_t *j, struct run_spec *s)
{
	const struct {
		const char *key;
		char ***dst;
	} lists[] = {
		{ "args", &s->argv },
		{ "env", &s->env },
		{ "ports", &s->ports },
		{ "dnsServers", &s->dns_servers },
		{ "dnsSearch", &s->dns_search },
		{ "dnsOptions", &s->dns_options },
		{ "hosts", &s->hosts },
	};
	int r = 0;

	for (size_t i = 0; r >= 0 && i < ARRAY_SIZE(lists); i++)
		r = json_to_strv(json_get_array(j, lists[i].key), lists[i].dst);
	return r;
}

/* After the lists: what is counted of one is in it. */
static void numbers_from_json(const json_t *j, struct run_spec *s)
{
	const json_t *limits = json_get_object(j, "limits");

	s->limits.memory = json_get_int(limits, "memory", 0);
	s->limits.nano_cpus = json_get_int(limits, "nanoCpus", 0);
	s->limits.pids = json_get_int(limits, "pids", 0);
	s->limits.io_rate = (uint64_t)json_get_int(limits, "ioRate", 0);
	s->vcpus = json_get_int(j, "vcpus", 1);
	s->stop_signal = json_get_int(j, "stopSignal", SIGTERM);
	s->stop_timeout = (int)json_get_int(j, "stopTimeout", -1);
	s->net_rate = json_get_int(j, "netRate", 0);
	s->timeout = (unsigned)json_get_int(j, "timeout", 0);
	s->dax = (uint64_t)json_get_int(j, "dax", 0);
	s->shm_size = (uint64_t)json_get_int(j, "shmSize", 0);
	s->top_size = (uint64_t)json_get_int(j, "topSize", 0);
	s->ids = (uint32_t)json_get_int(j, "ids", 0);
	s->entrypoint =
		MIN((unsigned)json_get_int(j, "entrypoint", 0), (unsigned)strv_len(s->argv));
	s->no_verify = !json_get_bool(j, "verify", 1);
}

static void flags_from_json(const json_t *j, struct run_spec *s)
{
	const struct {
		const char *key;
		bool *dst;
	} flags[] = {
		{ "hostNetwork", &s->host_network },
		{ "userNetwork", &s->user_network },
		{ "bridgeNetwork", &s->bridge_network },
		{ "rm", &s->rm },
		{ "terminal", &s->tty },
		{ "interactive", &s->interactive },
		{ "readOnly", &s->read_only },
		{ "logged", &s->logged },
		{ "trace", &s->trace },
		{ "emulated", &s->emulated },
		{ "acpi", &s->acpi },
		{ "cold", &s->cold },
		{ "init", &s->init },
		{ "balloon", &s->balloon },
		{ "unprivileged", &s->unprivileged },
	};

	for (size_t i = 0; i < ARRAY_SIZE(flags); i++)
		*flags[i].dst = json_get_bool(j, flags[i].key, 0);
}

int spec_from_json(const json_t *j, struct run_spec **ret)
{
	_cleanup_(spec_freep) struct run_spec *s = new0(struct run_spec);
	int r;

	if (!s)
		return -ENOMEM;
	r = kind_from_json(j, s);
	if (r >= 0)
		r = strings_from_json(j, s);
	if (r >= 0)
		r = layers_from_json(json_get_array(j, "layers"), s);
	if (r >= 0)
		r = volumes_from_json(json_get_array(j, "volumes"), s);
	if (r >= 0)
		r = spec_disks_from_json(j, s);
	if (r >= 0)
		r = spec_tmpfs_from_json(j, s);
	if (r >= 0)
		r = lists_from_json(j, s);
	if (r >= 0)
		r = spec_process_from_json(j, s);
	if (r < 0)
		return err(r, "config.json of the instance is damaged");
	numbers_from_json(j, s);
	eth0_from_json(json_get_array(j, "eth0"), s);
	flags_from_json(j, s);
	s->labels = json_incref(json_get_object(j, "labels"));
	*ret = take_ptr(s);
	return 0;
}

/* A flag that does not hold and a number of 0 are what one is taken for that is not there. */
static void drop_defaults(json_t *o)
{
	const char *key;
	json_t *v;
	void *next;

	json_object_foreach_safe(o, next, key, v)
	{
		if ((json_is_false(v) && !streq(key, "verify")) ||
		    (json_is_integer(v) && !json_integer_value(v)))
			json_object_del(o, key);
	}
}

static void empty(json_t *o, const char *key)
{
	if (json_object_get(o, key))
		json_object_set_new(o, key, json_string(""));
}

static void empty_sources(const json_t *a)
{
	json_t *o;
	size_t i;

	json_array_foreach(a, i, o)
	{
		empty(o, "source");
	}
}

/* Above all, where things are on the host. */
static void drop_what_is_not_the_vmms(json_t *j)
{
	static const char *const dropped[] = { "layers",     "driver",	    "kernel", "cloneOf",
					       "stopSignal", "stopTimeout", "ports",  "labels" };
	static const char *const emptied[] = { "image", "store", "modules" };

	for (unsigned i = 0; i < ARRAY_SIZE(dropped); i++)
		json_object_del(j, dropped[i]);
	for (unsigned i = 0; i < ARRAY_SIZE(emptied); i++)
		empty(j, emptied[i]);
	empty_sources(json_object_get(j, "volumes"));
	empty_sources(json_object_get(j, "disks"));
	drop_defaults(j);
	drop_defaults(json_object_get(j, "limits"));
}

int spec_memfd(const struct run_spec *spec)
{
	_json_ json_t *j = spec_to_json(spec);
	_free_ char *text = NULL;
	size_t len;

	if (j)
		drop_what_is_not_the_vmms(j);
	text = j ? json_text(j, &len) : NULL;
	return text ? fd_memfd("config", text, len) : -ENOMEM;
}
