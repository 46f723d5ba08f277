/* SPDX-License-Identifier: Apache-2.0 */
/* Each instruction that changes only the config. */
#include "base/err.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "builder/config.h"
#include "builder/path.h"
#include <ctype.h>

#define VARIABLES_MAX 4096u /* in Env, Labels and the like */

struct change {
	json_t *image;
	json_t *config; /* the inner object */
	const struct instruction *i;
	const struct words_scope *scope;
	bool *cmd_set;
};

static int set(json_t *o, const char *key, json_t *value)
{
	if (!value)
		return err(-EINVAL, "not valid UTF-8, or no memory");
	return json_object_set_new(o, key, value) < 0 ? -ENOMEM : 0;
}

/* ---- NAME=VALUE ---- */

typedef int pair_fn(struct change *c, const char *name, const char *value);

static int expand_pair(struct change *c, const char *raw_name, const char *raw_value, pair_fn *fn)
{
	_free_ char *name = NULL, *value = NULL;
	int r = words_expand(raw_name, c->scope, &name);

	if (r == 0)
		r = words_expand(raw_value, c->scope, &value);
	if (r == 0 && !*name)
		r = err(-EINVAL, "a name is missing before '='");
	return r < 0 ? r : fn(c, name, value);
}

/* "NAME rest of the line" */
static int apply_legacy_pair(struct change *c, pair_fn *fn)
{
	size_t len = strcspn(c->i->args, " \t");
	_free_ char *name = strndup(c->i->args, len);
	const char *rest = c->i->args + len;

	if (!name)
		return -ENOMEM;
	rest += strspn(rest, " \t");
	if (!*rest)
		return err(-EINVAL, "%s has no value", name);
	return expand_pair(c, name, rest, fn);
}

/* All words see the variables of before this instruction: the new ones go into a copy. */
static int apply_pairs(struct change *c, pair_fn *fn)
{
	_strv_free_ char **words = NULL;
	int r = words_split(c->i->args, c->scope->escape, &words);

	if (r == 0 && words && !strchr(words[0], '='))
		return apply_legacy_pair(c, fn);
	for (char **w = words; r == 0 && w && *w; w++) {
		char *equals = strchr(*w, '=');

		if (!equals)
			return err(-EINVAL, "'%s' is not NAME=VALUE", *w);
		*equals = '\0';
		r = expand_pair(c, *w, equals + 1, fn);
	}
	return r;
}

static int add_env(json_t *env, const char *name, const char *value)
{
	size_t len = strlen(name), at = 0, n = json_array_size(env);
	json_t *entry = json_sprintf("%s=%s", name, value);

	if (!entry)
		return err(-EINVAL, "%s: not valid UTF-8, or no memory", name);
	for (; at < n; at++) {
		const char *s = json_string_value(json_array_get(env, at));

		if (s && strncmp(s, name, len) == 0 && s[len] == '=')
			return json_array_set_new(env, at, entry) < 0 ? -ENOMEM : 0;
	}
	if (n >= VARIABLES_MAX) {
		json_decref(entry);
		return err(-E2BIG, "more than %u variables", VARIABLES_MAX);
	}
	return json_array_append_new(env, entry) < 0 ? -ENOMEM : 0;
}

static int set_env(struct change *c, const char *name, const char *value)
{
	return add_env(json_object_get(c->config, "NewEnv"), name, value);
}

static int apply_env(struct change *c)
{
	json_t *old = json_get_array(c->config, "Env");
	int r = set(c->config, "NewEnv", old ? json_deep_copy(old) : json_array());

	if (r == 0)
		r = apply_pairs(c, set_env);
	if (r == 0 && json_object_set(c->config, "Env", json_object_get(c->config, "NewEnv")) < 0)
		r = -ENOMEM;
	json_object_del(c->config, "NewEnv");
	return r;
}

static int set_label(struct change *c, const char *name, const char *value)
{
	json_t *labels = json_get_object(c->config, "Labels");

	if (!labels) {
		int r = set(c->config, "Labels", json_object());

		if (r < 0)
			return r;
		labels = json_object_get(c->config, "Labels");
	}
	if (json_object_size(labels) >= VARIABLES_MAX)
		return err(-E2BIG, "more than %u labels", VARIABLES_MAX);
	return set(labels, name, json_string(value));
}

/* ---- CMD, ENTRYPOINT, SHELL ---- */

static int set_argv(struct change *c, const char *key, char *const *argv)
{
	json_t *a = argv ? json_from_strv(argv) : json_array();

	return set(c->config, key, a);
}

static int apply_argv(struct change *c, const char *key)
{
	_strv_free_ char **argv = NULL;
	int r = words_json(c->i->args, &argv);

	if (r == 0)
		r = config_shell_argv(c->image, c->i->args, &argv);
	return r < 0 ? r : set_argv(c, key, argv);
}

static int apply_cmd(struct change *c)
{
	*c->cmd_set = true;
	return apply_argv(c, "Cmd");
}

static int apply_entrypoint(struct change *c)
{
	if (!*c->cmd_set)
		json_object_del(c->config, "Cmd");
	return apply_argv(c, "Entrypoint");
}

static int apply_shell(struct change *c)
{
	_strv_free_ char **argv = NULL;
	int r = words_json(c->i->args, &argv);

	if (r == 0 || (r > 0 && !argv))
		return err(-EINVAL, "SHELL takes the JSON form: [\"/bin/sh\", \"-c\"]");
	return r < 0 ? r : set_argv(c, "Shell", argv);
}

/* ---- sets: EXPOSE, VOLUME ---- */

static int add_member(struct change *c, const char *key, const char *member)
{
	json_t *o = json_get_object(c->config, key);

	if (!o) {
		int r = set(c->config, key, json_object());

		if (r < 0)
			return r;
		o = json_object_get(c->config, key);
	}
	if (json_object_size(o) >= VARIABLES_MAX)
		return err(-E2BIG, "more than %u of them", VARIABLES_MAX);
	return set(o, member, json_object());
}

/* One port of the two of A-B or one of A. */
static int parse_ports(const char *s, size_t len, uint64_t *ret_first, uint64_t *ret_last)
{
	_free_ char *text = strndup(s, len);
	char *dash = text ? strchr(text, '-') : NULL;
	uint64_t first, last;

	if (dash)
		*dash = '\0';
	if (!text || str_u64(text, 1, 65535, &first) < 0 ||
	    str_u64(dash ? dash + 1 : text, first, 65535, &last) < 0)
		return err(-EINVAL, "'%s' is no port", s);
	*ret_first = first;
	*ret_last = last;
	return 0;
}

static int expose(struct change *c, const char *word)
{
	size_t len = strcspn(word, "/");
	const char *proto = word[len] ? word + len + 1 : "tcp";
	char member[32];
	uint64_t first = 1, last = 0;
	int r = parse_ports(word, len, &first, &last);

	if (r == 0 && strcasecmp(proto, "tcp") != 0 && strcasecmp(proto, "udp") != 0 &&
	    strcasecmp(proto, "sctp") != 0)
		r = err(-EINVAL, "'%s': protocol %s is none of tcp, udp, sctp", word, proto);
	for (uint64_t port = first; r == 0 && port <= last; port++) {
		snprintf(member, sizeof(member), "%u/%s", (unsigned)port, proto);
		for (char *p = member; *p; p++)
			*p = tolower((unsigned char)*p);
		r = add_member(c, "ExposedPorts", member);
	}
	return r;
}

static int apply_expose(struct change *c)
{
	_strv_free_ char **words = NULL;
	int r = words_expand_all(c->i->args, c->scope, &words);

	for (char **w = words; r == 0 && w && *w; w++)
		r = expose(c, *w);
	return r;
}

static int apply_volume(struct change *c)
{
	_strv_free_ char **words = NULL;
	int r = words_json(c->i->args, &words);

	if (r == 0)
		r = words_expand_all(c->i->args, c->scope, &words);
	if (r >= 0 && !words)
		r = err(-EINVAL, "VOLUME needs a path");
	for (char **w = words; r >= 0 && w && *w; w++)
		r = **w ? add_member(c, "Volumes", *w) : err(-EINVAL, "VOLUME: an empty path");
	return r < 0 ? r : 0;
}

/* ---- one word ---- */

static int apply_text(struct change *c, const char *key)
{
	_free_ char *text = NULL;
	int r = words_expand(c->i->args, c->scope, &text);

	if (r == 0 && !*text)
		r = err(-EINVAL, "the value is empty");
	return r < 0 ? r : set(c->config, key, json_string(text));
}

static int apply_workdir(struct change *c)
{
	_free_ char *text = NULL, *path = NULL;
	int r = words_expand(c->i->args, c->scope, &text);

	if (r == 0 && !*text)
		r = err(-EINVAL, "the path is empty");
	if (r == 0)
		r = path_join(config_workdir(c->image), text, &path);
	return r < 0 ? r : set(c->config, "WorkingDir", json_sprintf("/%s", path));
}

int config_apply(json_t *image, const struct instruction *i, const struct words_scope *scope,
		 bool *cmd_set)
{
	struct change c = { image, json_get_object(image, "config"), i, scope, cmd_set };

	switch (i->op) {
	case OP_CMD:
		return apply_cmd(&c);
	case OP_ENTRYPOINT:
		return apply_entrypoint(&c);
	case OP_ENV:
		return apply_env(&c);
	case OP_EXPOSE:
		return apply_expose(&c);
	case OP_LABEL:
		return apply_pairs(&c, set_label);
	case OP_MAINTAINER:
		return set(image, "author", json_string(i->args));
	case OP_SHELL:
		return apply_shell(&c);
	case OP_STOPSIGNAL:
		return apply_text(&c, "StopSignal");
	case OP_USER:
		return apply_text(&c, "User");
	case OP_VOLUME:
		return apply_volume(&c);
	case OP_WORKDIR:
		return apply_workdir(&c);
	default:
		return err(-EINVAL, "%s does not change the config alone", op_name(i->op));
	}
}
