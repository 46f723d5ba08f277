/* SPDX-License-Identifier: Apache-2.0 */
/* From a reference to an image, and changing which names there are. */
#include "imagestore/arrival/folder.h"
#include "imagestore/digest_set.h"
#include "imagestore/store.h"

#include <ctype.h>

#define PREFIX_MIN 4 /* digits of an ID that must be given */

/* ---- finding ---- */

/* "sha256:<digits>" or "<digits>", or what follows '@': the digits, else NULL. */
static const char *id_digits(const char *ref)
{
	const char *at = strrchr(ref, '@'), *digits;
	size_t n;

	if (at)
		ref = at + 1;
	digits = str_after(ref, "sha256:");
	if (at && !digits)
		return NULL;
	if (!digits)
		digits = ref;
	for (n = 0; digits[n]; n++) {
		if (!strchr("0123456789abcdef", digits[n]))
			return NULL;
	}
	return n >= PREFIX_MIN && n <= 64 ? digits : NULL;
}

static bool starts_with(const struct digest *d, const char *digits)
{
	return strncmp(digest_hex(d).s, digits, strlen(digits)) == 0;
}

/* The config's digest of an entry; an image that cannot be read has none. */
static int config_digest(struct store *s, const struct digest *manifest, struct digest *ret)
{
	_json_ json_t *doc = NULL;
	uint64_t size;
	int r = blob_json(s, manifest, "manifest", &doc, NULL);

	if (r >= 0)
		r = descriptor_parse(json_get_object(doc, "config"), "config", ret, &size);
	if (r < 0)
		err_clear();
	return r;
}

static bool entry_has_id(struct store *s, const json_t *entry, const char *digits,
			 struct digest *ret)
{
	struct digest config;

	if (index_entry_digest(entry, ret) < 0) {
		err_clear();
		return false;
	}
	return starts_with(ret, digits) ||
	       (config_digest(s, ret, &config) == 0 && starts_with(&config, digits));
}

static int find_id(struct store *s, const json_t *index, const char *digits, json_t **ret)
{
	json_t *entry, *found = NULL;
	struct digest d, first = { 0 };
	size_t i;

	json_array_foreach(json_get_array(index, "manifests"), i, entry)
	{
		if (!entry_has_id(s, entry, digits, &d))
			continue;
		if (found && !digest_eq(&d, &first))
			return err(-EINVAL, "\"%s\" fits more than one image: give more digits",
				   digits);
		if (!found)
			first = d;
		found = entry;
	}
	if (!found)
		return -ENOENT;
	*ret = found;
	return 0;
}

/* The entry of index.json that @ref means; *@ret_by_id: not by its name. Borrowed from @index. */
static int find_entry(struct store *s, const json_t *index, const char *ref, json_t **ret,
		      bool *ret_by_id)
{
	const char *digits = id_digits(ref);
	_free_ char *name = NULL;
	char shown[128];
	int r;

	*ret_by_id = false;
	if (image_name_canonical(ref, &name) == 0) {
		*ret = index_find_name(index, name);
		if (*ret)
			return 0;
	}
	if (digits) {
		err_clear();
		*ret_by_id = true;
		r = find_id(s, index, digits, ret);
		if (r != -ENOENT)
			return r;
	}
	if (!name && !digits)
		return -EINVAL; /* with the text of image_name_canonical() */
	str_printable(shown, sizeof(shown), name ? name : ref);
	return err(
		-ENOENT,
		"no image \"%s\" in %s: `strata images` lists them, `strata import` or `strata "
		"load` makes one",
		shown, s->path);
}

/* What is not there yet is not absent: a line that says what to do. */
static int or_arriving(struct store *s, const char *ref, int r)
{
	_free_ char *why = NULL;
	struct image *i;

	if (r != -ENOENT)
		return r;
	why = strdup(err_take(r));
	if (arriving_open(s, ref, &i) < 0) {
		err_clear();
		return err(r, "%s", why ? why : strerror(-r));
	}
	image_close(i);
	return err(-EBUSY, "%s is still arriving: `strata pull %s` brings the rest", ref, ref);
}

int image_open(struct store *s, const char *ref, struct image **ret)
{
	_json_ json_t *index = NULL;
	struct digest manifest;
	json_t *entry = NULL;
	bool by_id;
	int r = index_read(s, &index);

	if (r >= 0)
		r = find_entry(s, index, ref, &entry, &by_id);
	r = or_arriving(s, ref, r);
	if (r >= 0)
		r = index_entry_digest(entry, &manifest);
	return r < 0 ? r : image_read(s, index_entry_name(entry), &manifest, ret);
}

/* One that is damaged does not hide the others: it is the result when all have been given. */
int image_each(struct store *s, int (*fn)(void *ctx, struct image *i), void *ctx)
{
	_json_ json_t *index = NULL;
	json_t *entry;
	size_t i;
	int failed = 0, r = index_read(s, &index);

	if (r < 0)
		return r;
	json_array_foreach(json_get_array(index, "manifests"), i, entry)
	{
		struct digest manifest;
		struct image *image;

		r = index_entry_digest(entry, &manifest);
		if (r >= 0)
			r = image_read(s, index_entry_name(entry), &manifest, &image);
		if (r < 0) {
			failed = failed ? failed : r;
			continue;
		}
		r = fn(ctx, image);
		image_close(image);
		if (r)
			return r;
	}
	return failed;
}

/* ---- changing ---- */

int image_tag(struct store *s, const char *ref, const char *new_name)
{
	_json_ json_t *index = NULL;
	_free_ char *name = NULL, *type = NULL, *source = NULL;
	_close_ int lock = -1;
	struct digest manifest;
	json_t *entry = NULL;
	bool by_id;
	int r = image_name_canonical(new_name, &name);

	if (r >= 0)
		r = store_lock(s, true, &lock);
	if (r >= 0)
		r = index_read(s, &index);
	if (r >= 0)
		r = find_entry(s, index, ref, &entry, &by_id);
	if (r >= 0)
		r = index_entry_digest(entry, &manifest);
	r = or_arriving(s, ref, r);
	if (r < 0)
		return r;
	type = strdup(json_get_str(entry, "mediaType") ?: MEDIA_MANIFEST);
	if (index_entry_source(entry))
		source = strdup(index_entry_source(entry));
	r = type ? index_set(index, name, type, &manifest, (uint64_t)json_get_int(entry, "size", 0),
			     source) :
		   -ENOMEM;
	return r < 0 ? r : index_write(s, index);
}

/*
 * How many entries name @manifest, and takes out those that are @entry (its name), or all when by
 * ID and only one.
 */
static int take_entry(json_t *index, const json_t *entry, bool by_id, const struct digest *manifest)
{
	json_t *other, *manifests = json_get_array(index, "manifests");
	size_t i, uses = 0, at = 0;
	struct digest d;

	json_array_foreach(manifests, i, other)
	{
		if (other == entry)
			at = i;
		if (index_entry_digest(other, &d) == 0 && digest_eq(&d, manifest))
			uses++;
	}
	err_clear();
	if (by_id && uses > 1)
		return err(-EBUSY, "image %.12s has %zu names: remove them by name",
			   digest_hex(manifest).s, uses);
	return json_array_remove(manifests, at) < 0 ? -ENOMEM : 0;
}

/* Takes out every entry that names @manifest. */
static int take_all(json_t *index, const struct digest *manifest)
{
	json_t *manifests = json_get_array(index, "manifests");
	struct digest d;

	for (size_t i = json_array_size(manifests); i-- > 0;)
		if (index_entry_digest(json_array_get(manifests, i), &d) == 0 &&
		    digest_eq(&d, manifest) && json_array_remove(manifests, i) < 0)
			return -ENOMEM;
	err_clear();
	return 0;
}

/* All that an image refers to; what cannot be read is left for a full gc. */
static int image_refers(struct store *s, const struct image *i, struct digest_set *ret)
{
	int r = digest_set_add(ret, &i->manifest);

	if (r >= 0)
		r = digest_set_add(ret, &i->config_digest);
	for (size_t l = 0; r >= 0 && l < i->nlayers; l++) {
		_free_ struct digest *objects = NULL;
		size_t n = 0;

		r = digest_set_add(ret, &i->layers[l].blob);
		if (r >= 0)
			r = digest_set_add(ret, &i->layers[l].diff_id);
		if (r >= 0 &&
		    layer_objects(s->dirfd, layer_file(&i->layers[l].diff_id, "objects").s,
				  &objects, &n) >= 0)
			r = digest_set_add_all(ret, objects, n);
	}
	return r;
}

static int add_chain(const struct image *i, struct digest_set *ret)
{
	_free_ struct digest *ids = mem_new(i->nlayers, sizeof(*ids));
	struct digest chain;

	if (!ids)
		return -ENOMEM;
	for (size_t l = 0; l < i->nlayers; l++)
		ids[l] = i->layers[l].diff_id;
	chain = image_chain_id(ids, i->nlayers);
	return digest_set_add(ret, &chain);
}

static int remove_name(struct store *s, const char *ref, bool all, struct digest *ret_manifest)
{
	_json_ json_t *index = NULL;
	_close_ int lock = -1;
	json_t *entry = NULL;
	bool by_id;
	int r = store_lock(s, true, &lock);

	if (r >= 0)
		r = index_read(s, &index);
	if (r >= 0)
		r = find_entry(s, index, ref, &entry, &by_id);
	if (r >= 0)
		r = index_entry_digest(entry, ret_manifest);
	if (r >= 0)
		r = all && by_id ? take_all(index, ret_manifest) :
				   take_entry(index, entry, by_id, ret_manifest);
	return r < 0 ? r : index_write(s, index);
}

static int remove_image(struct store *s, const char *ref, bool all)
{
	_cleanup_(digest_set_done) struct digest_set only = { 0 };
	struct gc_result result = { 0 };
	struct image *image = NULL;
	struct digest manifest;
	int arrived = arrival_remove(s, ref);
	int r = arrived < 0 && arrived != -ENOENT ? arrived : remove_name(s, ref, all, &manifest);

	if (r == -ENOENT && arrived >= 0) {
		err_clear(); /* it had not come so far */
		return 0;
	}
	if (r < 0)
		return r;
	if (image_read(s, NULL, &manifest, &image) < 0) {
		/*
		 * Damaged: its name can go all the same, and what it needs is found by a full gc.
		 */
		err_clear();
		return 0;
	}
	r = image_refers(s, image, &only);
	if (r >= 0)
		r = add_chain(image, &only);
	image_close(image);
	if (r >= 0)
		r = gc_run(s, &(struct gc_scope){ .only = &only }, &result);
	if (r < 0 && r != -ENOMEM) {
		err_clear(); /* another image is damaged, as fsck tells: the name is gone */
		r = 0;
	}
	return r;
}

int image_remove(struct store *s, const char *ref)
{
	return remove_image(s, ref, false);
}

int image_remove_all(struct store *s, const char *ref)
{
	return remove_image(s, ref, true);
}
