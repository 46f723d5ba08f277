/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/spec_process.h"

#include "base/err.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "container/container.h"
#include <strings.h>
#include <sys/resource.h>

#define CAPS_ALL UINT64_MAX

/* ---- limits ---- */

static const struct {
	const char *name; /* docker's; RLIMIT_ of it in capitals is OCI's */
	unsigned resource;
} limits[] = {
	{ "core", RLIMIT_CORE },	 { "cpu", RLIMIT_CPU },
	{ "data", RLIMIT_DATA },	 { "fsize", RLIMIT_FSIZE },
	{ "locks", RLIMIT_LOCKS },	 { "memlock", RLIMIT_MEMLOCK },
	{ "msgqueue", RLIMIT_MSGQUEUE }, { "nice", RLIMIT_NICE },
	{ "nofile", RLIMIT_NOFILE },	 { "nproc", RLIMIT_NPROC },
	{ "rss", RLIMIT_RSS },		 { "rtprio", RLIMIT_RTPRIO },
	{ "rttime", RLIMIT_RTTIME },	 { "sigpending", RLIMIT_SIGPENDING },
	{ "stack", RLIMIT_STACK },	 { "as", RLIMIT_AS },
};
_Static_assert(ARRAY_SIZE(limits) == SPEC_RLIMITS_MAX, "each has a place");

static int find_limit(const char *name, size_t len, unsigned *ret)
{
	for (size_t i = 0; i < ARRAY_SIZE(limits); i++) {
		if (strlen(limits[i].name) == len && strncasecmp(limits[i].name, name, len) == 0) {
			*ret = limits[i].resource;
			return 0;
		}
	}
	return -EINVAL;
}

static const char *limit_name(unsigned resource)
{
	for (size_t i = 0; i < ARRAY_SIZE(limits); i++)
		if (limits[i].resource == resource)
			return limits[i].name;
	return NULL;
}

static void set_limit(struct run_spec *s, const struct spec_rlimit *l)
{
	size_t i = 0;

	while (i < s->nrlimits && s->rlimits[i].resource != l->resource)
		i++;
	s->rlimits[i] = *l;
	s->nrlimits = MAX(s->nrlimits, i + 1);
}

static int parse_value(const char *text, uint64_t *ret)
{
	if (streq(text, "-1") || streq(text, "unlimited")) {
		*ret = RLIM_INFINITY;
		return 0;
	}
	return str_u64(text, 0, INT64_MAX, ret);
}

int spec_add_rlimit(struct run_spec *s, const char *text)
{
	size_t len = strcspn(text, "=");
	struct spec_rlimit l = { 0 };
	_free_ char *soft = text[len] ? strdup(text + len + 1) : strdup("");
	char *hard = soft ? strchr(soft, ':') : NULL;

	if (!soft)
		return -ENOMEM;
	if (find_limit(text, len, &l.resource) < 0)
		return err(-EINVAL, "ulimit '%s': no limit is called %.*s", text, (int)len, text);
	if (hard)
		*hard++ = '\0';
	if (parse_value(soft, &l.soft) < 0 || parse_value(hard ? hard : soft, &l.hard) < 0)
		return err(-EINVAL, "ulimit '%s': must be NAME=SOFT[:HARD]", text);
	if (l.soft > l.hard)
		return err(-EINVAL, "ulimit '%s': the soft limit is above the hard one", text);
	set_limit(s, &l);
	return 0;
}

size_t spec_ctr_rlimits(const struct run_spec *s, struct ctr_rlimit *ret)
{
	for (size_t i = 0; i < s->nrlimits; i++)
		ret[i] = (struct ctr_rlimit){ (int)s->rlimits[i].resource,
					      { s->rlimits[i].soft, s->rlimits[i].hard } };
	return s->nrlimits;
}

static json_t *limits_to_json(const struct run_spec *s)
{
	json_t *a = json_array();

	for (size_t i = 0; i < s->nrlimits; i++) {
		const struct spec_rlimit *l = &s->rlimits[i];

		json_array_append_new(
			a, json_pack("{s:s, s:I, s:I}", "name", limit_name(l->resource), "soft",
				     (json_int_t)l->soft, "hard", (json_int_t)l->hard));
	}
	return a;
}

static int limits_from_json(const json_t *a, struct run_spec *s)
{
	for (size_t i = 0; i < json_array_size(a); i++) {
		const json_t *j = json_array_get(a, i);
		const char *name = json_get_str(j, "name");
		struct spec_rlimit l = { .soft = (uint64_t)json_get_int(j, "soft", -1),
					 .hard = (uint64_t)json_get_int(j, "hard", -1) };

		if (!name || find_limit(name, strlen(name), &l.resource) < 0)
			return -EBADMSG;
		set_limit(s, &l);
	}
	return 0;
}

/* ---- capabilities ---- */

/* Without "CAP_"; NULL behind the last. */
static const char *cap_name(unsigned n)
{
	const char *name = ctr_cap_name(n);

	return name ? name + strlen("CAP_") : NULL;
}

static int find_cap(const char *word, uint64_t *ret)
{
	const char *name = strncasecmp(word, "CAP_", 4) == 0 ? word + 4 : word, *known;

	if (strcasecmp(word, "ALL") == 0) {
		*ret = CAPS_ALL;
		return 0;
	}
	for (unsigned i = 0; (known = cap_name(i)); i++) {
		if (strcasecmp(name, known) == 0) {
			*ret = UINT64_C(1) << i;
			return 0;
		}
	}
	return -EINVAL;
}

/* One bit, or all. */
static int take_caps(char *const *words, uint64_t *ret)
{
	for (; words && *words; words++) {
		uint64_t mask;

		if (find_cap(*words, &mask) < 0)
			return err(-EINVAL, "capability '%s': there is none of that name", *words);
		*ret |= mask;
	}
	return 0;
}

int spec_join_caps(struct run_spec *s, char *const *add, char *const *drop)
{
	uint64_t both;
	int r = take_caps(add, &s->caps_add);

	if (r == 0)
		r = take_caps(drop, &s->caps_drop);
	both = s->caps_add == CAPS_ALL || s->caps_drop == CAPS_ALL ? 0 : s->caps_add & s->caps_drop;
	if (s->caps_add == CAPS_ALL && s->caps_drop == CAPS_ALL)
		return err(-EINVAL, "capability 'ALL': it is added and dropped");
	if (r == 0 && both)
		return err(-EINVAL, "capability '%s': it is added and dropped",
			   cap_name((unsigned)__builtin_ctzll(both)));
	return r;
}

uint64_t spec_caps(const struct run_spec *s, uint64_t base)
{
	return s->caps_add == CAPS_ALL ? ~s->caps_drop : (base & ~s->caps_drop) | s->caps_add;
}

static json_t *caps_to_json(uint64_t mask)
{
	json_t *a = json_array();

	if (mask == CAPS_ALL) {
		json_array_append_new(a, json_string("ALL"));
		return a;
	}
	for (unsigned i = 0; cap_name(i); i++)
		if (mask >> i & 1)
			json_array_append_new(a, json_string(cap_name(i)));
	return a;
}

static int caps_from_json(const json_t *a, uint64_t *ret)
{
	_strv_free_ char **words = NULL;
	int r = json_to_strv(a, &words);

	return r < 0 || take_caps(words, ret) < 0 ? -EBADMSG : 0;
}

void spec_process_to_json(const struct run_spec *s, json_t *j)
{
	if (s->nrlimits)
		json_object_set_new(j, "ulimits", limits_to_json(s));
	if (s->caps_add)
		json_object_set_new(j, "capAdd", caps_to_json(s->caps_add));
	if (s->caps_drop)
		json_object_set_new(j, "capDrop", caps_to_json(s->caps_drop));
}

int spec_process_from_json(const json_t *j, struct run_spec *s)
{
	int r = limits_from_json(json_get_array(j, "ulimits"), s);

	if (r == 0)
		r = caps_from_json(json_get_array(j, "capAdd"), &s->caps_add);
	return r == 0 ? caps_from_json(json_get_array(j, "capDrop"), &s->caps_drop) : r;
}
