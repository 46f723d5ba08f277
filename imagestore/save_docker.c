/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Archives of docker's old form, for what reads nothing else: manifest.json, each config as
 * <hex>.json and each layer as <diffID>.tar, plain (load_docker.c reads them). The configs stay
 * what they are, so an image keeps its ID; manifests are not in it.
 */
#include "imagestore/save.h"

#include "imagestore/frame.h"

struct docker {
	struct store *s;
	struct txn *t; /* NULL: nothing can be held */
	struct save_target *to;
	struct digest_set written; /* diffIDs and configs */
	json_t *list;		   /* of manifest.json */
};

/* ---- layers ---- */

static int count(void *ctx, const void *data, size_t len)
{
	uint64_t *sum = ctx;

	(void)data;
	*sum += len;
	return 0;
}

static int write_piece(void *ctx, const void *data, size_t len)
{
	return save_target_write(ctx, data, len);
}

/* Played twice: a tar says how long a file is before its bytes. */
static int put_layer(struct docker *v, const struct digest *diff_id)
{
	_free_ char *name = str_fmt("%s.tar", digest_hex(diff_id).s);
	uint64_t size = 0;
	int r = name ? digest_set_add(&v->written, diff_id) : -ENOMEM;

	if (r <= 0)
		return r;
	r = v->t ? txn_pin_layer(v->t, diff_id) : 0;
	if (r == -ENOENT)
		return err(r, "layer sha256:%s is not in the store", digest_hex(diff_id).s);
	if (r >= 0)
		r = frame_play(v->s, diff_id, count, &size);
	if (r >= 0)
		r = save_target_file(v->to, name, size);
	if (r >= 0)
		r = frame_play(v->s, diff_id, write_piece, v->to);
	return r < 0 ? r : save_target_file_end(v->to);
}

/* ---- documents ---- */

static int put_text(struct docker *v, const char *name, const char *text, size_t len)
{
	int r = save_target_file(v->to, name, len);

	if (r >= 0)
		r = save_target_write(v->to, text, len);
	return r < 0 ? r : save_target_file_end(v->to);
}

static int put_config(struct docker *v, const struct digest *d, const char *name)
{
	_close_ int fd = -1;
	_free_ char *text = NULL;
	struct digest got;
	size_t len = 0;
	int r = digest_set_add(&v->written, d);

	if (r <= 0)
		return r;
	fd = blob_open(v->s, d);
	r = fd < 0 ? fd : fd_read_all(fd, JSON_MAX, &text, &len);
	if (r < 0)
		return err(r, "config sha256:%s: %s", digest_hex(d).s, strerror(-r));
	got = sha256_of(text, len);
	if (!digest_eq(&got, d))
		return err(-EBADMSG, "config sha256:%s: digest mismatch: the file is damaged",
			   digest_hex(d).s);
	return put_text(v, name, text, len);
}

/* A further name of one that is listed: 1. */
static int add_tag(struct docker *v, const char *config, const char *tag)
{
	json_t *entry;
	size_t i;

	json_array_foreach(v->list, i, entry)
	{
		if (!streq(json_get_str(entry, "Config"), config))
			continue;
		if (tag &&
		    json_array_append_new(json_get_array(entry, "RepoTags"), json_string(tag)) < 0)
			return -ENOMEM;
		return 1;
	}
	return 0;
}

static int list(struct docker *v, const struct image *i, const char *config)
{
	json_t *layers = json_array(), *tags = json_array();
	int r = 0;

	for (size_t n = 0; r >= 0 && n < i->nlayers; n++)
		r = json_array_append_new(
			layers, json_sprintf("%s.tar", digest_hex(&i->layers[n].diff_id).s));
	if (r >= 0 && i->name)
		r = json_array_append_new(tags, json_string(i->name));
	if (r >= 0)
		r = json_array_append_new(v->list, json_pack("{s:s, s:O, s:O}", "Config", config,
							     "RepoTags", tags, "Layers", layers));
	json_decref(layers);
	json_decref(tags);
	return r < 0 ? -ENOMEM : 0;
}

static int put_image(struct docker *v, const struct image *i)
{
	_free_ char *config = str_fmt("%s.json", digest_hex(&i->config_digest).s);
	int r = config ? add_tag(v, config, i->name) : -ENOMEM;

	if (r)
		return MIN(r, 0);
	r = put_config(v, &i->config_digest, config);
	for (size_t n = 0; r >= 0 && n < i->nlayers; n++)
		r = put_layer(v, &i->layers[n].diff_id);
	return r < 0 ? r : list(v, i, config);
}

static int put_images(struct docker *v, char *const *refs)
{
	int r = 0;

	for (; r >= 0 && *refs; refs++) {
		struct image *i;

		r = image_open(v->s, *refs, &i);
		if (r < 0)
			return r;
		r = put_image(v, i);
		image_close(i);
	}
	return r;
}

int save_docker(struct store *s, struct txn *t, char *const *refs, struct save_target *to)
{
	struct docker v = { .s = s, .t = t, .to = to, .list = json_array() };
	_free_ char *text = NULL;
	size_t len = 0;
	int r = v.list ? put_images(&v, refs) : -ENOMEM;

	if (r >= 0) {
		text = json_text(v.list, &len);
		r = text ? put_text(&v, "manifest.json", text, len) : -ENOMEM;
	}
	digest_set_done(&v.written);
	json_decref(v.list);
	return r;
}
