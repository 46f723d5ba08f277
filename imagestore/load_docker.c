/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Archives of docker's old form, as "docker save" wrote them before version 25 and "podman save"
 * does: manifest.json is a list of {"Config": path, "RepoTags": [name], "Layers": [path]}; the
 * layers are plain tars. The config stays as it is, so the image keeps its ID; the manifest is made
 * here, since there was none.
 */
#include "imagestore/load.h"

#define MANIFEST "manifest.json"

static const struct load_member *find_member(const struct load *l, const char *path)
{
	for (size_t i = 0; path && i < l->nmembers; i++) {
		if (streq(l->members[i].path, path))
			return &l->members[i];
	}
	return NULL;
}

bool load_is_docker(const struct load *l)
{
	return !l->layout.data && find_member(l, MANIFEST);
}

static int read_member(struct load *l, const struct load_member *m, json_t **ret)
{
	_close_ int fd = openat(l->t->dirfd, txn_blob(&m->digest).s, O_RDONLY | O_CLOEXEC);
	_free_ char *data = NULL;
	size_t len = 0;
	int r = fd < 0 ? -errno : fd_read_all(fd, JSON_MAX, &data, &len);

	return r < 0 ? err(r, "%s: %s: %s", l->path, m->path, strerror(-r)) :
		       json_parse(data, len, m->path, ret);
}

static int missing(struct load *l, const char *what, const char *path)
{
	char shown[128];

	str_printable(shown, sizeof(shown), path ? path : "");
	return err(-EBADMSG, "%s: %s: the %s \"%s\" is not in the archive", l->path, MANIFEST, what,
		   shown);
}

/* diff_ids come from the config: what the tars are is checked against them. */
static int import_layers(struct load *l, const json_t *paths, struct image *i)
{
	for (size_t n = 0; n < i->nlayers; n++) {
		const char *path = json_string_value(json_array_get(paths, n));
		const struct load_member *m = find_member(l, path);
		int r;

		if (!m)
			return missing(l, "layer", path);
		if (!digest_eq(&m->digest, &i->layers[n].diff_id))
			return err(-EBADMSG, "%s: layer %s: digest mismatch with its config",
				   l->path, m->path);
		r = import_tar_of_txn(l->t, &l->bounds, &m->digest, &i->layers[n]);
		if (r < 0)
			return r;
		if (digest_set_add(&l->wanted, &i->layers[n].blob) < 0)
			return -ENOMEM;
	}
	return 0;
}

static int merge(struct load *l, const struct image *i)
{
	_free_ struct digest *ids = mem_new(i->nlayers, sizeof(*ids));

	if (!ids)
		return -ENOMEM;
	for (size_t n = 0; n < i->nlayers; n++)
		ids[n] = i->layers[n].diff_id;
	return txn_merge(l->t, ids, i->nlayers);
}

/* Every tag is a name; an image without one is kept unnamed. */
static int add_names(struct load *l, const json_t *tags, const struct digest *manifest,
		     uint64_t size)
{
	size_t n = json_array_size(tags);
	int r = n ? 0 : txn_add_name(l->t, NULL, MEDIA_MANIFEST, manifest, size);

	for (size_t i = 0; r >= 0 && i < n; i++) {
		const char *tag = json_string_value(json_array_get(tags, i));
		_free_ char *name = NULL;

		r = image_name_canonical(tag ? tag : "", &name);
		if (r >= 0)
			r = txn_add_name(l->t, name, MEDIA_MANIFEST, manifest, size);
	}
	return r;
}

static int load_parts(struct load *l, const json_t *entry, const struct load_member *config,
		      struct image *i)
{
	const json_t *paths = json_get_array(entry, "Layers");
	struct digest manifest;
	uint64_t size;
	int r = read_member(l, config, &i->config);

	if (r >= 0)
		r = platform_check_config(&l->platform, i->config, l->path);
	if (r < 0)
		return r;
	if (json_array_size(paths) > LAYERS_MAX)
		return err(-E2BIG, "%s: over %u layers", l->path, LAYERS_MAX);
	i->nlayers = json_array_size(paths);
	i->layers = mem_new(i->nlayers, sizeof(*i->layers));
	if (!i->layers)
		return -ENOMEM;
	r = config_parse(i);
	if (r >= 0)
		r = import_layers(l, paths, i);
	if (r >= 0)
		r = merge(l, i);
	if (r >= 0)
		r = import_manifest(l->t, &config->digest, config->size, i->layers, i->nlayers,
				    &manifest, &size);
	if (r >= 0 && (digest_set_add(&l->wanted, &config->digest) < 0 ||
		       digest_set_add(&l->wanted, &manifest) < 0))
		r = -ENOMEM;
	return r < 0 ? r : add_names(l, json_get_array(entry, "RepoTags"), &manifest, size);
}

static int load_one(struct load *l, const json_t *entry)
{
	const char *path = json_get_str(entry, "Config");
	const struct load_member *config = find_member(l, path);
	struct image *i;
	int r;

	if (!config)
		return missing(l, "config", path);
	i = new0(struct image);
	if (!i)
		return -ENOMEM;
	i->config_digest = config->digest;
	r = load_parts(l, entry, config, i);
	image_close(i);
	return r;
}

int load_docker(struct load *l)
{
	const struct load_member *m = find_member(l, MANIFEST);
	_json_ json_t *list = NULL;
	json_t *entry;
	size_t i;
	int r = m ? read_member(l, m, &list) : missing(l, "list", MANIFEST);

	if (r < 0)
		return r;
	if (json_array_size(list) == 0)
		return err(-EBADMSG, "%s: %s: no list of images", l->path, MANIFEST);
	json_array_foreach(list, i, entry)
	{
		r = load_one(l, entry);
		if (r < 0)
			return r;
	}
	return 0;
}
