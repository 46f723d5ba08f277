/* SPDX-License-Identifier: Apache-2.0 */
/* `commit`: an image of what an instance ran on and what it changed. */
#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/str.h"
#include "builder/builder.h"
#include "engine/commit.h"
#include "engine/engine_.h"
#include "engine/instance_top.h"

static void txn_abortp(struct txn **t)
{
	txn_abort(*t);
}

static bool same_layers(const struct image *i, const struct run_spec *s)
{
	if (i->nlayers != s->nlayers)
		return false;
	for (size_t n = 0; n < s->nlayers; n++)
		if (!digest_eq(&i->layers[n].diff_id, &s->layers[n]))
			return false;
	return true;
}

/* The image's, unless its name means another by now. */
static json_t *base_config(struct engine *e, const struct run_spec *s)
{
	_cleanup_(image_closep) struct image *i = NULL;

	if (image_open(e->store, s->image, &i) == 0 && same_layers(i, s))
		return json_deep_copy(i->config);
	err_clear();
	return json_pack("{s:s, s:s}", "architecture", "amd64", "os", "linux");
}

/* No member at all where there is nothing to say, as in images that were built. */
static int set_strings(json_t *config, const char *key, char *const *list)
{
	if (list && *list)
		return json_object_set_new(config, key, json_from_strv(list));
	json_object_del(config, key);
	return 0;
}

static int set_text(json_t *config, const char *key, const char *text)
{
	if (text && *text)
		return json_object_set_new(config, key, json_string(text));
	json_object_del(config, key);
	return 0;
}

/* What the instance runs, and how, as docker's and podman's commit say it: the image's with what
 * was asked for. */
static int add_process(json_t *config, const struct run_spec *s)
{
	json_t *c = json_object_get(config, "config");
	_strv_free_ char **entrypoint = NULL;
	int r = 0;

	if (!json_is_object(c)) {
		c = json_object();
		if (json_object_set_new(config, "config", c) < 0)
			return -ENOMEM;
	}
	for (unsigned i = 0; r == 0 && i < s->entrypoint; i++)
		r = strv_add(&entrypoint, s->argv[i]);
	if (r < 0 || set_strings(c, "Entrypoint", entrypoint) < 0 ||
	    set_strings(c, "Cmd", s->argv ? s->argv + s->entrypoint : NULL) < 0 ||
	    set_strings(c, "Env", s->env) < 0 || set_text(c, "WorkingDir", s->cwd) < 0 ||
	    set_text(c, "User", s->user) < 0)
		return -ENOMEM;
	return s->labels && json_object_set(c, "Labels", s->labels) < 0 ? -ENOMEM : 0;
}

/* OCI image-spec config.md: one history line, and the diffIDs. */
static int add_layer(json_t *config, const struct run_spec *s, const struct image_layer *layers,
		     size_t n, const struct commit_options *o)
{
	struct clock_text now = clock_now_text();
	_json_ json_t *ids = json_array();
	json_t *history = json_object_get(config, "history"), *line;

	if (!json_is_array(history)) {
		history = json_array();
		json_object_set_new(config, "history", history);
	}
	line = json_pack("{s:s, s:o, s:s*, s:s*}", "created", now.s, "created_by",
			 json_sprintf("strata commit %s", s->id), "comment", o->message, "author",
			 o->author);
	if (line && n == s->nlayers)
		json_object_set_new(line, "empty_layer", json_true());
	if (!ids || !history || !line || json_array_append_new(history, line) < 0)
		return -ENOMEM;
	for (size_t i = 0; i < n; i++)
		json_array_append_new(ids,
				      json_sprintf("sha256:%s", digest_hex(&layers[i].diff_id).s));
	json_object_set_new(config, "rootfs",
			    json_pack("{s:s, s:O}", "type", "layers", "diff_ids", ids));
	json_object_set_new(config, "created", json_string(now.s));
	if (o->author)
		json_object_set_new(config, "author", json_string(o->author));
	return 0;
}

static int name_image(struct engine *e, struct txn *t, const struct run_spec *s,
		      const struct image_layer *layers, size_t n, const struct commit_options *o,
		      struct digest *ret_manifest)
{
	_json_ json_t *config = base_config(e, s);
	_free_ char *name = NULL;
	int r = config ? add_layer(config, s, layers, n, o) : -ENOMEM;

	if (r >= 0)
		r = add_process(config, s);
	if (r >= 0 && o->name)
		r = image_name_canonical(o->name, &name);
	for (size_t i = 0; r >= 0 && i < strv_len(o->changes); i++)
		r = build_change(config, o->changes[i]);
	return r < 0 ? r : txn_image(t, name, config, layers, n, ret_manifest);
}

int engine_commit(struct engine *e, const char *id_or_name, const struct commit_options *o,
		  struct digest *ret_manifest)
{
	_cleanup_(instance_top_done) struct instance_top top = INSTANCE_TOP_NONE;
	_cleanup_(txn_abortp) struct txn *t = NULL;
	_free_ struct image_layer *layers = NULL;
	bool empty = false;
	size_t n;
	int r = instance_top_open(e, id_or_name, "commit", &top);

	if (r >= 0)
		r = txn_begin(e->store, &t);
	if (r < 0)
		return r;
	n = top.spec->nlayers;
	layers = mem_new(n + 1, sizeof(*layers));
	if (!layers)
		return -ENOMEM;
	for (size_t i = 0; r >= 0 && i < n; i++) {
		r = txn_hold(t, &top.spec->layers[i]);
		if (r >= 0)
			r = layer_find(e->store, &top.spec->layers[i], &layers[i]);
	}
	if (r >= 0)
		r = commit_layer(e->store, t, &top.root, top.spec, &layers[n], &empty);
	if (r >= 0)
		r = name_image(e, t, top.spec, layers, n + !empty, o, ret_manifest);
	return r < 0 ? r : txn_commit(t);
}
