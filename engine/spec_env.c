/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/spec_env.h"

#include "base/err.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "engine/pairs.h"

#define DEFAULT_PATH "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/* ---- the environment ---- */

/* All of ours whose names begin so. */
static int add_ours(char ***env, const char *beginning, size_t len)
{
	int r = 0;

	for (char **e = environ; r == 0 && *e; e++)
		if (strncmp(*e, beginning, len) == 0 && strcspn(*e, "=") >= len && **e != '=' &&
		    strchr(*e, '='))
			r = strv_setenv(env, *e);
	return r;
}

static int add_env(void *ctx, const char *assignment)
{
	char ***env = ctx;
	const char *value;
	_free_ char *text = NULL;

	if (assignment[0] == '\0' || assignment[0] == '=')
		return err(-EINVAL, "environment '%s': must be NAME=VALUE or NAME", assignment);
	if (strchr(assignment, '='))
		return strv_setenv(env, assignment);
	if (str_ends(assignment, "*"))
		return add_ours(env, assignment, strlen(assignment) - 1);
	value = getenv(assignment);
	if (!value)
		return 0;
	text = str_fmt("%s=%s", assignment, value);
	return text ? strv_setenv(env, text) : -ENOMEM;
}

static int add_all(int (*add)(void *ctx, const char *pair), void *ctx, char *const *files,
		   char *const *pairs)
{
	int r = 0;

	for (size_t i = 0; r >= 0 && i < strv_len(files); i++)
		r = pairs_read(files[i], add, ctx);
	for (size_t i = 0; r >= 0 && i < strv_len(pairs); i++)
		r = add(ctx, pairs[i]);
	return r;
}

int spec_add_env(char ***env, char *const *files, char *const *pairs)
{
	return add_all(add_env, env, files, pairs);
}

int spec_join_env(struct run_spec *s, const struct run_options *o, const json_t *config)
{
	_strv_free_ char **image_env = NULL;
	int r = json_to_strv(json_get_array(config, "Env"), &image_env);

	if (r < 0)
		return err(r, "image %s: config.Env is no list of strings", s->image);
	for (size_t i = 0; i < strv_len(image_env); i++) {
		r = strv_setenv(&s->env, image_env[i]);
		if (r < 0)
			return r;
	}
	if (!strv_getenv(s->env, "PATH") && (r = strv_setenv(&s->env, DEFAULT_PATH)) < 0)
		return r;
	if (o->tty && !strv_getenv(s->env, "TERM") && (r = strv_setenv(&s->env, "TERM=xterm")) < 0)
		return r;
	return spec_add_env(&s->env, o->env_files, o->env);
}

/* ---- labels ---- */

static int set_label(struct run_spec *s, const char *name, const char *value)
{
	_json_ json_t *utf8 = json_string(value);

	s->labels = s->labels ? s->labels : json_object();
	if (!s->labels)
		return -ENOMEM;
	return utf8 ? json_object_set(s->labels, name, utf8) : -EILSEQ;
}

static int add_label(void *ctx, const char *pair)
{
	size_t len = strcspn(pair, "=");
	_free_ char *name = strndup(pair, len);

	if (!name)
		return -ENOMEM;
	if (!len)
		return err(-EINVAL, "label '%s': must be NAME=VALUE or NAME", pair);
	return set_label(ctx, name, pair[len] ? pair + len + 1 : "") == 0 ?
		       0 :
		       err(-EILSEQ, "label '%s': must be UTF-8", pair);
}

static int image_labels(struct run_spec *s, const json_t *config)
{
	json_t *labels = json_object_get(config, "Labels"), *value;
	const char *name;

	if (!labels || json_is_null(labels))
		return 0;
	if (!json_is_object(labels))
		return err(-EBADMSG, "image %s: config.Labels is no object", s->image);
	json_object_foreach(labels, name, value)
	{
		if (!json_is_string(value) || set_label(s, name, json_string_value(value)) < 0)
			return err(-EBADMSG, "image %s: label '%s' is no string", s->image, name);
	}
	return 0;
}

int spec_join_labels(struct run_spec *s, const struct run_options *o, const json_t *config)
{
	int r = image_labels(s, config);

	return r < 0 ? r : add_all(add_label, s, o->label_files, o->labels);
}
