/* SPDX-License-Identifier: Apache-2.0 */
/*
 * index.json: the only place where names live. Read without a lock, written under the exclusive
 * one.
 */
#include "imagestore/store.h"

int index_read(struct store *s, json_t **ret)
{
	_json_ json_t *index = NULL;
	_free_ char *what = str_fmt("%s/index.json", s->path);
	int r = what ? json_parse_file(s->dirfd, "index.json", what, &index) : -ENOMEM;

	if (r < 0)
		return r;
	if (!json_get_array(index, "manifests"))
		return err(-EBADMSG, "%s: no OCI index: it has no list \"manifests\"", what);
	*ret = take_ptr(index);
	return 0;
}

int index_write(struct store *s, const json_t *index)
{
	size_t len, old_len;
	_free_ char *text = json_text(index, &len), *old = NULL;
	int r = text ? file_read_all(s->dirfd, "index.json", JSON_MAX, &old, &old_len) : -ENOMEM;

	if (r >= 0 && len > JSON_MAX)
		r = -EFBIG;
	if (r < 0)
		return err(r, "%s/index.json: %s", s->path, strerror(-r));
	r = file_replace(s->dirfd, "index.json", text, len, 0644, true);
	if (r >= 0)
		return 0;
	/*
	 * It may stand there and only its sync have failed: a change that is not acknowledged is
	 * taken back.
	 */
	file_replace(s->dirfd, "index.json", old, old_len, 0644, false);
	return err(r, "%s/index.json: cannot be written: %s", s->path, strerror(-r));
}

const char *index_entry_name(const json_t *entry)
{
	return json_get_str(json_get_object(entry, "annotations"), REF_NAME);
}

const char *index_entry_source(const json_t *entry)
{
	return json_get_str(json_get_object(entry, "annotations"), SOURCE_NOTE);
}

int index_entry_digest(const json_t *entry, struct digest *ret)
{
	const char *text = json_get_str(entry, "digest");

	if (!text || digest_parse(text, ret) < 0)
		return err(-EBADMSG, "index.json: an entry without a digest \"sha256:...\"");
	return 0;
}

/* What others wrote into index.json may be a long form of @name, which is canonical. */
static bool is_name(const char *has, const char *name)
{
	_free_ char *full = NULL;

	if (streq(has, name))
		return true;
	if (image_name_canonical(has, &full) < 0) {
		err_clear();
		return false;
	}
	return streq(full, name);
}

json_t *index_find_name(const json_t *index, const char *name)
{
	json_t *entry;
	size_t i;

	json_array_foreach(json_get_array(index, "manifests"), i, entry)
	{
		const char *has = index_entry_name(entry);

		if (has && is_name(has, name))
			return entry;
	}
	return NULL;
}

static bool has_manifest(const json_t *index, const struct digest *manifest)
{
	json_t *entry;
	struct digest d;
	size_t i;

	json_array_foreach(json_get_array(index, "manifests"), i, entry)
	{
		if (index_entry_digest(entry, &d) == 0 && digest_eq(&d, manifest))
			return true;
	}
	return false;
}

/* Takes out the entry that has @name, and the one of @manifest that has none: it has a name now. */
static void take_out(json_t *index, const char *name, const struct digest *manifest)
{
	json_t *manifests = json_get_array(index, "manifests");

	for (size_t i = json_array_size(manifests); i-- > 0;) {
		const json_t *entry = json_array_get(manifests, i);
		const char *has = index_entry_name(entry);
		struct digest d;

		if (has ? name && is_name(has, name) :
			  index_entry_digest(entry, &d) == 0 && digest_eq(&d, manifest))
			json_array_remove(manifests, i);
	}
}

/* NULL without memory. */
static json_t *make_entry(const char *name, const char *media_type, const struct digest *manifest,
			  uint64_t size, const char *source)
{
	json_t *entry = json_pack("{s:s, s:o, s:I}", "mediaType", media_type, "digest",
				  json_sprintf("sha256:%s", digest_hex(manifest).s), "size",
				  (json_int_t)size);
	json_t *notes = name || source ? json_object() : NULL;
	bool good =
		entry && (notes || !(name || source)) &&
		(!name || json_object_set_new(notes, REF_NAME, json_string(name)) == 0) &&
		(!source || json_object_set_new(notes, SOURCE_NOTE, json_string(source)) == 0) &&
		(!notes || json_object_set(entry, "annotations", notes) == 0);

	json_decref(notes);
	if (good)
		return entry;
	json_decref(entry);
	return NULL;
}

int index_set(json_t *index, const char *name, const char *media_type,
	      const struct digest *manifest, uint64_t size, const char *source)
{
	json_t *entry, *manifests = json_get_array(index, "manifests");

	if (!name && has_manifest(index, manifest))
		return 0;
	entry = make_entry(name, media_type, manifest, size, source);
	if (!entry)
		return -ENOMEM;
	take_out(index, name, manifest);
	return json_array_append_new(manifests, entry) < 0 ? -ENOMEM : 0;
}
