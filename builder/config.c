/* SPDX-License-Identifier: Apache-2.0 */
#include "builder/config.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"

json_t *config_new(void)
{
	return json_pack("{s:s, s:s, s:{}, s:{s:s, s:[]}, s:[]}", "architecture", "amd64", "os",
			 "linux", "config", "rootfs", "type", "layers", "diff_ids", "history");
}

/* Go writes null for what it never made. */
static int need_member(json_t *o, const char *key, json_t *dflt)
{
	json_t *there = json_object_get(o, key);
	_json_ json_t *owned = dflt;

	if (!owned)
		return -ENOMEM;
	if (there && !json_is_null(there))
		return json_typeof(there) == json_typeof(dflt) ?
			       0 :
			       err(-EBADMSG, "image config: %s is damaged", key);
	return json_object_set(o, key, owned) < 0 ? -ENOMEM : 0;
}

static int check_platform(const json_t *image)
{
	const char *os = json_get_str(image, "os"), *arch = json_get_str(image, "architecture");

	if (os && arch && streq(os, "linux") && streq(arch, "amd64"))
		return 0;
	return err(-ENOEXEC, "the image is for %s/%s, not linux/amd64", os ? os : "?",
		   arch ? arch : "?");
}

int config_adopt(json_t *image)
{
	/* Of docker's own making, and about another image. */
	static const char *const stale[] = { "container", "container_config", "docker_version",
					     "id", "parent" };
	json_t *rootfs;
	int r = json_is_object(image) ? 0 : err(-EBADMSG, "image config: no object");

	if (r == 0)
		r = need_member(image, "os", json_string("linux"));
	if (r == 0)
		r = need_member(image, "architecture", json_string("amd64"));
	if (r == 0)
		r = check_platform(image);
	if (r == 0)
		r = need_member(image, "config", json_object());
	if (r == 0)
		r = need_member(image, "history", json_array());
	if (r == 0)
		r = need_member(image, "rootfs", json_object());
	rootfs = r < 0 ? NULL : json_get_object(image, "rootfs");
	if (r == 0)
		r = need_member(rootfs, "type", json_string("layers"));
	if (r == 0)
		r = need_member(rootfs, "diff_ids", json_array());
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(stale); i++)
		json_object_del(image, stale[i]);
	return r;
}

/* ---- reading ---- */

static json_t *inner(const json_t *image)
{
	return json_get_object(image, "config");
}

const char *config_str(const json_t *image, const char *key)
{
	return json_get_str(inner(image), key);
}

int config_strv(const json_t *image, const char *key, char ***ret)
{
	*ret = NULL;
	if (json_to_strv(json_object_get(inner(image), key), ret) == -EBADMSG)
		return err(-EBADMSG, "image config: %s is damaged", key);
	return 0;
}

const char *config_env(const json_t *image, const char *name)
{
	const json_t *env = json_get_array(inner(image), "Env");
	size_t len = strlen(name);

	for (size_t i = 0; i < json_array_size(env); i++) {
		const char *s = json_string_value(json_array_get(env, i));

		if (s && strncmp(s, name, len) == 0 && s[len] == '=')
			return s + len + 1;
	}
	return NULL;
}

const char *config_workdir(const json_t *image)
{
	const char *dir = config_str(image, "WorkingDir");

	return dir && *dir ? dir : "/";
}

int config_shell_argv(const json_t *image, const char *text, char ***ret)
{
	_strv_free_ char **argv = NULL;
	int r = config_strv(image, "Shell", &argv);

	if (r == 0 && !argv) {
		r = strv_add(&argv, "/bin/sh");
		if (r == 0)
			r = strv_add(&argv, "-c");
	}
	if (r == 0)
		r = strv_add(&argv, text);
	if (r == 0)
		*ret = take_ptr(argv);
	return r;
}

/* ---- history ---- */

static int add_diff_id(json_t *image, const struct digest *diff_id)
{
	json_t *ids = json_get_array(json_get_object(image, "rootfs"), "diff_ids");

	return json_array_append_new(ids, json_sprintf("sha256:%s", digest_hex(diff_id).s)) < 0 ?
		       -ENOMEM :
		       0;
}

int config_add_history(json_t *image, const char *created_by, int64_t created,
		       const struct digest *diff_id)
{
	struct clock_text when = clock_text((struct timespec){ .tv_sec = created });
	_json_ json_t *entry = json_pack("{s:s, s:s}", "created", when.s, "created_by", created_by);
	json_t *history = json_get_array(image, "history");

	if (!entry) /* or created_by is no UTF-8 */
		return err(-EINVAL, "not valid UTF-8, or no memory");
	if (!diff_id && json_object_set_new(entry, "empty_layer", json_true()) < 0)
		return -ENOMEM;
	if (json_array_append(history, entry) < 0 ||
	    json_object_set_new(image, "created", json_string(when.s)) < 0)
		return -ENOMEM;
	return diff_id ? add_diff_id(image, diff_id) : 0;
}
