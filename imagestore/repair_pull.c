/* SPDX-License-Identifier: Apache-2.0 */
/* Damage that the registry mends from which the image was pulled, as index.json remembers it. */
#include "imagestore/repair.h"

#include "imagestore/registry/refetch.h"

/* ---- fetching ---- */

static bool is_deaf(const struct repair *p, const char *source)
{
	for (size_t i = 0; i < strv_len(p->deaf); i++) {
		if (streq(p->deaf[i], source))
			return true;
	}
	return false;
}

static int fetch(struct repair *p, const char *source, bool manifest, const struct digest *d,
		 uint64_t size)
{
	struct txn *t = NULL;
	int r = txn_begin(p->s, &t);

	if (r >= 0)
		r = refetch(t, source, manifest, d, size);
	if (r >= 0)
		r = txn_commit(t);
	txn_abort(t);
	return r;
}

/* 1: it is in the store now. */
static int pull(struct repair *p, const char *what, const char *source, bool manifest,
		const struct digest *d, uint64_t size)
{
	char why[256];
	int r;

	if (is_deaf(p, source))
		return 0;
	r = fetch(p, source, manifest, d, size);
	if (r == -ENOSPC || r == -EDQUOT || r == -ENOMEM)
		return r;
	if (r >= 0) {
		repair_tell(p, what, d, "pulled again from %s", source);
		return 1;
	}
	str_printable(why, sizeof(why), err_take(r));
	repair_tell(p, what, d, "not to be had from %s: %s", source, why);
	return r == -ENOENT || r == -EBADMSG ? 0 : strv_add(&p->deaf, source);
}

/* ---- documents ---- */

static int pull_config(struct repair *p, const struct digest *manifest, const char *source)
{
	_json_ json_t *doc = NULL;
	struct digest d;
	uint64_t size;
	int r = blob_json(p->s, manifest, "manifest", &doc, NULL);

	if (r >= 0)
		r = descriptor_parse(json_get_object(doc, "config"), "config", &d, &size);
	if (r < 0) {
		err_clear();
		return r == -ENOMEM ? r : 0;
	}
	return store_has(p->s, blob_file(&d).s) ? 0 : pull(p, "blob", source, false, &d, size);
}

static int pull_entry(struct repair *p, const json_t *entry)
{
	const char *source = index_entry_source(entry);
	struct digest d;
	int r = index_entry_digest(entry, &d), config;

	if (r < 0 || !source) {
		err_clear();
		return 0;
	}
	r = store_has(p->s, blob_file(&d).s) ?
		    0 :
		    pull(p, "manifest", source, true, &d,
			 (uint64_t)MAX(json_get_int(entry, "size", 0), (int64_t)0));
	if (r < 0)
		return r;
	config = pull_config(p, &d, source);
	return config < 0 ? config : r | config;
}

int repair_pull_documents(struct repair *p)
{
	_json_ json_t *index = NULL;
	json_t *entry;
	size_t i;
	int any = 0, r = index_read(p->s, &index);

	if (r < 0) {
		err_clear(); /* fsck tells */
		return r == -ENOMEM ? r : 0;
	}
	json_array_foreach(json_get_array(index, "manifests"), i, entry)
	{
		r = pull_entry(p, entry);
		if (r < 0)
			return r;
		any |= r;
	}
	return any;
}

/* ---- layers' blobs ---- */

/* Exactly one of them is given. */
struct wanted {
	const struct digest *blob, *diff_id;
};

static bool is_wanted(const struct wanted *w, const struct image_layer *l)
{
	return w->blob ? digest_eq(w->blob, &l->blob) : digest_eq(w->diff_id, &l->diff_id);
}

static int pull_of_image(struct repair *p, const struct image *i, const char *source,
			 const struct wanted *w, struct digest *ret)
{
	int r = 0;

	for (size_t n = 0; r == 0 && n < i->nlayers; n++) {
		if (!is_wanted(w, &i->layers[n]))
			continue;
		r = pull(p, "blob", source, false, &i->layers[n].blob, i->layers[n].blob_size);
		*ret = i->layers[n].blob;
	}
	return r;
}

static int pull_layer_blob(struct repair *p, const struct wanted *w, struct digest *ret)
{
	_json_ json_t *index = NULL;
	json_t *entry;
	size_t at;
	int r = index_read(p->s, &index);

	if (r < 0) {
		err_clear();
		return r == -ENOMEM ? r : 0;
	}
	json_array_foreach(json_get_array(index, "manifests"), at, entry)
	{
		const char *source = index_entry_source(entry);
		struct image *i = NULL;
		struct digest d;

		if (!source || index_entry_digest(entry, &d) < 0 ||
		    image_read(p->s, NULL, &d, &i) < 0) {
			err_clear();
			continue;
		}
		r = pull_of_image(p, i, source, w, ret);
		image_close(i);
		if (r)
			return r;
	}
	return 0;
}

int repair_pull_blob(struct repair *p, const struct digest *blob)
{
	struct digest got;

	return pull_layer_blob(p, &(struct wanted){ .blob = blob }, &got);
}

int repair_pull_layer(struct repair *p, const struct digest *diff_id, struct digest *ret)
{
	return pull_layer_blob(p, &(struct wanted){ .diff_id = diff_id }, ret);
}
