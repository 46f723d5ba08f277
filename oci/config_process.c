/* SPDX-License-Identifier: Apache-2.0 */
/* "process" of a config, and the document of `exec --process`. */
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "oci/config.h"

#define ID_MAX INT64_C(4294967294) /* (uid_t)-1 means "unchanged" to the kernel */

static const struct {
	const char *name;
	int resource;
} rlimits[] = {
	{ "RLIMIT_AS", RLIMIT_AS },
	{ "RLIMIT_CORE", RLIMIT_CORE },
	{ "RLIMIT_CPU", RLIMIT_CPU },
	{ "RLIMIT_DATA", RLIMIT_DATA },
	{ "RLIMIT_FSIZE", RLIMIT_FSIZE },
	{ "RLIMIT_LOCKS", RLIMIT_LOCKS },
	{ "RLIMIT_MEMLOCK", RLIMIT_MEMLOCK },
	{ "RLIMIT_MSGQUEUE", RLIMIT_MSGQUEUE },
	{ "RLIMIT_NICE", RLIMIT_NICE },
	{ "RLIMIT_NOFILE", RLIMIT_NOFILE },
	{ "RLIMIT_NPROC", RLIMIT_NPROC },
	{ "RLIMIT_RSS", RLIMIT_RSS },
	{ "RLIMIT_RTPRIO", RLIMIT_RTPRIO },
	{ "RLIMIT_RTTIME", RLIMIT_RTTIME },
	{ "RLIMIT_SIGPENDING", RLIMIT_SIGPENDING },
	{ "RLIMIT_STACK", RLIMIT_STACK },
};

/* -1 and what did not fit into a signed number are "unlimited". */
static rlim_t limit(int64_t n)
{
	return n < 0 || n == INT64_MAX ? RLIM_INFINITY : (rlim_t)n;
}

static int parse_rlimit(struct oci_config *c, const json_t *j)
{
	struct ctr_rlimit *l = &c->rlimits[c->spec.nrlimits];
	int64_t soft = 0, hard = 0;
	const char *type = "";
	int r = member_str(j, "type", &type);

	if (r >= 0)
		r = member_int(j, "soft", -1, INT64_MAX, &soft);
	if (r >= 0)
		r = member_int(j, "hard", -1, INT64_MAX, &hard);
	if (r < 0)
		return r;
	l->resource = -1;
	for (size_t i = 0; i < ARRAY_SIZE(rlimits); i++) {
		if (streq(rlimits[i].name, type))
			l->resource = rlimits[i].resource;
	}
	if (l->resource < 0)
		return err(-EINVAL, "config: unknown rlimit %s", type);
	for (size_t i = 0; i < c->spec.nrlimits; i++) {
		if (c->rlimits[i].resource == l->resource)
			return err(-EINVAL, "config: the rlimit %s is there twice", type);
	}
	l->limit = (struct rlimit){ limit(soft), limit(hard) };
	c->spec.nrlimits++;
	return 0;
}

static int parse_rlimits(struct oci_config *c, const json_t *process)
{
	const json_t *list = NULL;
	int r = member_array(process, "rlimits", &list);

	/* More than there are: one of them is there twice. */
	for (size_t i = 0; r >= 0 && i < MIN(json_array_size(list), (size_t)OCI_RLIMITS_MAX + 1);
	     i++)
		r = i < OCI_RLIMITS_MAX ? parse_rlimit(c, json_array_get(list, i)) :
					  err(-EINVAL, "config: an rlimit is there twice");
	return r;
}

uint64_t oci_cap(const char *name)
{
	const char *known;

	for (unsigned i = 0; (known = ctr_cap_name(i)); i++) {
		if (streq(known, name))
			return UINT64_C(1) << i;
	}
	return 0;
}

/* A name that this kernel's headers do not know is left out, as the spec's "SHOULD" has it. */
static int parse_caps(struct oci_config *c, const json_t *caps, const char *set, uint64_t *ret)
{
	char **names = NULL;
	int r = member_strv(&c->mem, caps, set, &names);

	for (; r >= 0 && names && *names; names++)
		*ret |= oci_cap(*names);
	return r;
}

static int parse_capabilities(struct oci_config *c, const json_t *process)
{
	const json_t *caps = NULL;
	struct ctr_caps *s = &c->given.caps;
	int r = member_object(process, "capabilities", &caps);

	if (r >= 0)
		r = parse_caps(c, caps, "bounding", &s->bounding);
	if (r >= 0)
		r = parse_caps(c, caps, "effective", &s->effective);
	if (r >= 0)
		r = parse_caps(c, caps, "inheritable", &s->inheritable);
	if (r >= 0)
		r = parse_caps(c, caps, "permitted", &s->permitted);
	return r < 0 ? r : parse_caps(c, caps, "ambient", &s->ambient);
}

static int parse_groups(struct oci_config *c, const json_t *user)
{
	const json_t *list = NULL;
	gid_t *groups;
	int r = member_array(user, "additionalGids", &list);

	if (r < 0)
		return r;
	groups = keep_new(&c->mem, json_array_size(list), sizeof(*groups));
	if (!groups)
		return -ENOMEM;
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *j = json_array_get(list, i);

		if (!json_is_integer(j) || json_integer_value(j) < 0 ||
		    json_integer_value(j) > ID_MAX)
			return err(-EINVAL, "config: additionalGids holds no group's number");
		groups[i] = (gid_t)json_integer_value(j);
	}
	c->given.groups = groups;
	c->given.ngroups = json_array_size(list);
	return 0;
}

static int parse_user(struct oci_config *c, const json_t *process)
{
	const json_t *user = NULL;
	int64_t uid = 0, gid = 0, mask = 022;
	int r = member_object(process, "user", &user);

	if (r >= 0)
		r = member_int(user, "uid", 0, ID_MAX, &uid);
	if (r >= 0)
		r = member_int(user, "gid", 0, ID_MAX, &gid);
	if (r >= 0)
		r = member_int(user, "umask", 0, 0777, &mask);
	if (r < 0)
		return r;
	c->given.uid = (uid_t)uid;
	c->given.gid = (gid_t)gid;
	c->given.umask = (mode_t)mask;
	return parse_groups(c, user);
}

static int parse_terminal(struct oci_config *c, const json_t *process)
{
	const json_t *size = NULL;
	int64_t rows = 0, cols = 0;
	int r = member_bool(process, "terminal", &c->spec.tty);

	if (r >= 0)
		r = member_object(process, "consoleSize", &size);
	if (r >= 0)
		r = member_int(size, "height", 0, UINT16_MAX, &rows);
	if (r >= 0)
		r = member_int(size, "width", 0, UINT16_MAX, &cols);
	c->spec.rows = (unsigned)rows;
	c->spec.cols = (unsigned)cols;
	return r;
}

static int parse_command(struct oci_config *c, const json_t *process)
{
	char **argv = NULL, **env = NULL;
	int r = member_strv(&c->mem, process, "args", &argv);

	if (r >= 0)
		r = member_strv(&c->mem, process, "env", &env);
	if (r >= 0)
		r = member_str(process, "cwd", &c->spec.cwd);
	if (r < 0)
		return r;
	if (!argv || !*argv)
		return err(-EINVAL, "config: process.args is empty");
	if (!c->spec.cwd || *c->spec.cwd != '/')
		return err(-EINVAL, "config: process.cwd is no absolute path");
	c->spec.argv = argv;
	c->spec.env = env;
	return 0;
}

static int parse_restrictions(struct oci_config *c, const json_t *process)
{
	static const char *const others[] = { "scheduler", "ioPriority", "execCPUAffinity", NULL };
	int64_t score = INT64_MAX;
	int r = member_refuse(process, others);

	if (r >= 0)
		r = member_bool(process, "noNewPrivileges", &c->spec.no_new_privs);
	if (r >= 0)
		r = member_int(process, "oomScoreAdj", -1000, 1000, &score);
	if (r >= 0)
		r = member_str(process, "apparmorProfile", &c->given.apparmor);
	if (r >= 0)
		r = member_str(process, "selinuxLabel", &c->given.selinux);
	c->has_oom = score != INT64_MAX;
	c->oom_score_adj = c->has_oom ? (int)score : 0;
	return r;
}

int config_process(struct oci_config *c, const json_t *process)
{
	int r = parse_command(c, process);

	if (r >= 0)
		r = parse_terminal(c, process);
	if (r >= 0)
		r = parse_user(c, process);
	if (r >= 0)
		r = parse_capabilities(c, process);
	if (r >= 0)
		r = parse_rlimits(c, process);
	return r < 0 ? r : parse_restrictions(c, process);
}
