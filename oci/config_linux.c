/* SPDX-License-Identifier: Apache-2.0 */
/* "linux" of a config: namespaces, ids, paths of /proc. Devices: config_devices.c. */
#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "oci/config.h"
#include "oci/parts.h"
#include <sched.h>
#include <sys/mount.h>
#include <sys/personality.h>

#define MAPPINGS_MAX 340 /* lines of a uid_map (user_namespaces(7)) */

static const struct {
	const char *name;
	int flag;
} namespaces[] = {
	{ "user", CLONE_NEWUSER }, { "mount", CLONE_NEWNS },	  { "pid", CLONE_NEWPID },
	{ "ipc", CLONE_NEWIPC },   { "uts", CLONE_NEWUTS },	  { "network", CLONE_NEWNET },
	{ "time", CLONE_NEWTIME }, { "cgroup", CLONE_NEWCGROUP },
};

bool config_has_namespace(const struct oci_config *c, int flag, bool new)
{
	for (size_t i = 0; i < c->given.nnamespaces; i++) {
		if (c->namespaces[i].flag == flag)
			return !new || !c->paths[i];
	}
	return false;
}

static int parse_namespace(struct oci_config *c, const json_t *j)
{
	size_t n = c->given.nnamespaces;
	const char *type = "";
	int flag = 0, r = member_str(j, "type", &type);

	for (size_t i = 0; i < ARRAY_SIZE(namespaces); i++) {
		if (streq(namespaces[i].name, type))
			flag = namespaces[i].flag;
	}
	if (r >= 0 && !flag)
		r = err(-EINVAL, "config: unknown namespace %s", type);
	if (r >= 0 && config_has_namespace(c, flag, false))
		r = err(-EINVAL, "config: the namespace %s is there twice", type);
	if (r >= 0)
		r = member_str(j, "path", &c->paths[n]);
	if (r < 0)
		return r;
	if (c->paths[n] && !*c->paths[n])
		c->paths[n] = NULL;
	if (c->paths[n] && *c->paths[n] != '/')
		return err(-EINVAL, "config: the path of the namespace %s is not absolute", type);
	c->namespaces[n] = (struct ctr_namespace){ flag, -1 };
	c->given.nnamespaces++;
	return 0;
}

static int parse_namespaces(struct oci_config *c, const json_t *l)
{
	const json_t *list = NULL;
	int r = member_array(l, "namespaces", &list);

	/* None is there twice, so there are no more than there are kinds. */
	for (size_t i = 0; r >= 0 && i < json_array_size(list); i++)
		r = parse_namespace(c, json_array_get(list, i));
	if (r >= 0 && !config_has_namespace(c, CLONE_NEWNS, true))
		r = err(-EINVAL, "config: a container needs a mount namespace of its own");
	return r;
}

static int parse_mapping(const json_t *j, struct ctr_idmap *m)
{
	int64_t inside = -1, outside = -1, size = -1;
	int r = member_int(j, "containerID", 0, UINT32_MAX, &inside);

	if (r >= 0)
		r = member_int(j, "hostID", 0, UINT32_MAX, &outside);
	if (r >= 0)
		r = member_int(j, "size", 1, UINT32_MAX, &size);
	if (r >= 0 && (inside < 0 || outside < 0 || size < 0))
		r = err(-EINVAL, "config: a mapping of ids without containerID, hostID or size");
	*m = (struct ctr_idmap){ (uint32_t)inside, (uint32_t)outside, (uint32_t)size };
	return r;
}

static int parse_mappings(struct oci_config *c, const json_t *l, const char *key,
			  const struct ctr_idmap **ret, size_t *ret_n)
{
	const json_t *list = NULL;
	struct ctr_idmap *m;
	int r = member_array(l, key, &list);
	size_t n = json_array_size(list);

	if (r >= 0 && n > MAPPINGS_MAX)
		r = err(-EINVAL, "config: %s has more than %d entries", key, MAPPINGS_MAX);
	if (r < 0 || !n)
		return r;
	if (!config_has_namespace(c, CLONE_NEWUSER, true))
		return config_has_namespace(c, CLONE_NEWUSER, false) ?
			       0 :
			       err(-EINVAL, "config: %s without a user namespace", key);
	m = keep_new(&c->mem, n, sizeof(*m));
	if (!m)
		return -ENOMEM;
	for (size_t i = 0; r >= 0 && i < n; i++)
		r = parse_mapping(json_array_get(list, i), &m[i]);
	*ret = m;
	*ret_n = n;
	return r;
}

static int parse_ids(struct oci_config *c, const json_t *l)
{
	struct ctr_given *g = &c->given;
	int r = parse_mappings(c, l, "uidMappings", &g->uids, &g->nuids);

	if (r >= 0)
		r = parse_mappings(c, l, "gidMappings", &g->gids, &g->ngids);
	if (r >= 0 && config_has_namespace(c, CLONE_NEWUSER, true) && (!g->nuids || !g->ngids))
		r = err(-EINVAL, "config: a user namespace without mappings of ids");
	return r;
}

static int parse_offset(const json_t *offsets, const char *clock, struct buf *text)
{
	const json_t *o = NULL;
	int64_t secs = 0, nanosecs = 0;
	int r = member_object(offsets, clock, &o);

	if (r >= 0)
		r = member_int(o, "secs", INT64_MIN, INT64_MAX, &secs);
	if (r >= 0)
		r = member_int(o, "nanosecs", 0, 999999999, &nanosecs);
	if (r >= 0 && o)
		buf_addf(text, "%s %lld %lld\n", clock, (long long)secs, (long long)nanosecs);
	return r;
}

static int parse_time(struct oci_config *c, const json_t *l)
{
	_buf_done_ struct buf text = { 0 };
	const json_t *o = NULL;
	int r = member_object(l, "timeOffsets", &o);

	if (r >= 0)
		r = parse_offset(o, "monotonic", &text);
	if (r >= 0)
		r = parse_offset(o, "boottime", &text);
	if (r < 0 || !text.len)
		return r;
	if (!config_has_namespace(c, CLONE_NEWTIME, true))
		return err(-EINVAL, "config: timeOffsets without a time namespace of its own");
	c->given.time_offsets = keep_fmt(&c->mem, "%s", text.data);
	return c->given.time_offsets ? 0 : -ENOMEM;
}

static bool is_one_of(const char *s, const char *const *names)
{
	for (; *names; names++) {
		if (streq(s, *names))
			return true;
	}
	return false;
}

/* Only what belongs to a namespace of the container's: else it would be the host's. */
static int check_sysctl(struct oci_config *c, const char *name)
{
	static const char *const ipc[] = { "kernel.msgmax",
					   "kernel.msgmnb",
					   "kernel.msgmni",
					   "kernel.sem",
					   "kernel.shmall",
					   "kernel.shmmax",
					   "kernel.shmmni",
					   "kernel.shm_rmid_forced",
					   "kernel.msg_next_id",
					   "kernel.sem_next_id",
					   "kernel.shm_next_id",
					   "kernel.auto_msgmni",
					   NULL };
	static const char *const uts[] = { "kernel.domainname", "kernel.hostname", NULL };
	int flag = 0;

	if (strstr(name, "..") || strchr(name, '/') == name || strlen(name) > 200)
		return err(-EINVAL, "config: %s is no sysctl", name);
	if (is_one_of(name, ipc) || str_after(name, "fs.mqueue."))
		flag = CLONE_NEWIPC;
	else if (is_one_of(name, uts))
		flag = CLONE_NEWUTS;
	else if (str_after(name, "net."))
		flag = CLONE_NEWNET;
	c->written |= flag;
	if (!flag || !config_has_namespace(c, flag, false))
		return err(-EINVAL, "config: the sysctl %s is in no namespace of the container's",
			   name);
	return 0;
}

/* A slash in a name is what a dot is in a path (sysctl(8)); there is neither in what we take. */
static int parse_sysctl(struct oci_config *c, const json_t *l)
{
	const json_t *o = NULL, *value;
	const char *name;
	int r = member_object(l, "sysctl", &o);
	char **out;

	if (r < 0 || !json_object_size(o))
		return r;
	out = keep_new(&c->mem, 2 * json_object_size(o) + 1, sizeof(*out));
	if (!out)
		return -ENOMEM;
	c->given.sysctls = out;
	json_object_foreach((json_t *)o, name, value)
	{
		char *path = keep_fmt(&c->mem, "%s", name);

		r = check_sysctl(c, name);
		if (r < 0)
			return r;
		if (!json_is_string(value))
			return err(-EINVAL, "config: sysctl %s is not a string", name);
		if (!path)
			return -ENOMEM;
		for (char *dot = strchr(path, '.'); dot; dot = strchr(dot, '.'))
			*dot = '/';
		*out++ = path;
		*out++ = (char *)json_string_value(value);
	}
	return 0;
}

static int parse_paths(struct oci_config *c, const json_t *l)
{
	char **masked = NULL, **rdonly = NULL;
	int r = member_strv(&c->mem, l, "maskedPaths", &masked);

	if (r >= 0)
		r = member_strv(&c->mem, l, "readonlyPaths", &rdonly);
	c->given.masked = masked;
	c->given.rdonly = rdonly;
	return r;
}

static int parse_propagation(struct oci_config *c, const json_t *l)
{
	static const struct {
		const char *name;
		unsigned long flag;
	} words[] = {
		{ "shared", MS_SHARED },
		{ "slave", MS_SLAVE },
		{ "private", MS_PRIVATE },
		{ "unbindable", MS_UNBINDABLE },
	};
	const char *word = "";
	int r = member_str(l, "rootfsPropagation", &word);

	if (r < 0 || !*word)
		return r;
	for (size_t i = 0; i < ARRAY_SIZE(words); i++) {
		if (streq(words[i].name, word))
			c->given.root_propagation = words[i].flag;
		else if (*word == 'r' && streq(words[i].name, word + 1))
			c->given.root_propagation = words[i].flag | MS_REC;
	}
	return c->given.root_propagation ?
		       0 :
		       err(-EINVAL, "config: unknown rootfsPropagation %s", word);
}

static int parse_personality(struct oci_config *c, const json_t *l)
{
	const json_t *o = NULL, *flags = NULL;
	const char *domain = "LINUX";
	int r = member_object(l, "personality", &o);

	if (r >= 0)
		r = member_str(o, "domain", &domain);
	if (r >= 0)
		r = member_array(o, "flags", &flags);
	if (r < 0)
		return r;
	if (json_array_size(flags))
		return err(-EINVAL, "config: flags of a personality are not supported");
	if (streq(domain, "LINUX32"))
		c->given.personality = PER_LINUX32;
	else if (!streq(domain, "LINUX"))
		return err(-EINVAL, "config: unknown personality %s", domain);
	return 0;
}

static int parse_groups(struct oci_config *c, const json_t *l)
{
	static const char *const others[] = { "intelRdt", "netDevices", "memoryPolicy", NULL };
	int r = member_object(l, "resources", &c->resources);

	if (r >= 0)
		r = member_str(l, "cgroupsPath", &c->cgroups_path);
	if (r >= 0)
		r = member_object(l, "seccomp", &c->seccomp);
	return r < 0 ? r : member_refuse(l, others);
}

int config_linux(struct oci_config *c, const json_t *l)
{
	static int (*const parts[])(struct oci_config *, const json_t *) = {
		parse_namespaces,  parse_ids,	      parse_time,   parse_sysctl,   parse_paths,
		parse_propagation, parse_personality, parse_groups, config_devices,
	};

	for (size_t i = 0; i < ARRAY_SIZE(parts); i++) {
		int r = parts[i](c, l);

		if (r < 0)
			return r;
	}
	return 0;
}
