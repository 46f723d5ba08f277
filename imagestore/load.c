/* SPDX-License-Identifier: Apache-2.0 */
/* Loading an OCI layout: which images it holds, and which of them are for this machine. */
#include "imagestore/load.h"

#include "imagestore/unpack.h"
#include <sys/stat.h>

#define NESTING_MAX	4   /* indexes in indexes */
#define MANIFESTS_MAX	256 /* entries of one index */
#define CONTAINERD_NAME "io.containerd.image.name"

bool load_is_manifest(const char *type)
{
	return streq(type, MEDIA_MANIFEST) || streq(type, MEDIA_DOCKER_MANIFEST);
}

bool load_is_index(const char *type)
{
	return streq(type, MEDIA_INDEX) || streq(type, MEDIA_DOCKER_LIST);
}

static int check_index(const json_t *index, const char *what)
{
	const json_t *manifests = json_get_array(index, "manifests");

	if (!manifests)
		return err(-EBADMSG, "%s: no OCI index: it has no list \"manifests\"", what);
	if (json_object_get(index, "layers") || json_object_get(index, "config"))
		return err(-EBADMSG, "%s: an index and an image manifest in one", what);
	if (json_array_size(manifests) > MANIFESTS_MAX)
		return err(-EBADMSG, "%s: %zu manifests; at most %d are read", what,
			   json_array_size(manifests), MANIFESTS_MAX);
	return 0;
}

static int load_entry(struct load *l, const json_t *desc, const char *name, int nesting);

/* Of an index that stands for one image on several platforms. */
static int load_nested(struct load *l, const json_t *desc, const char *name, int nesting)
{
	_json_ json_t *index = NULL;
	const json_t *entry, *list;
	struct digest d;
	int r;

	if (nesting >= NESTING_MAX)
		return err(-EBADMSG, "%s: over %d indexes in one another", l->path, NESTING_MAX);
	r = load_json(l, desc, "index", &d, &index);
	if (r >= 0)
		r = check_index(index, "a nested index");
	if (r < 0)
		return r;
	list = json_get_array(index, "manifests");
	entry = platform_choose(list, &l->platform);
	if (entry)
		return load_entry(l, entry, name, nesting + 1);
	return err(-ENOENT, "%s: %s has no image for %s; it offers %s", l->path,
		   name ? name : "an index", platform_text(&l->platform).s,
		   platform_offers(list).s);
}

static int load_entry(struct load *l, const json_t *desc, const char *name, int nesting)
{
	const char *type = json_get_str(desc, "mediaType");
	char shown[96];

	if (type && load_is_manifest(type))
		return load_image(l, desc, name);
	if (type && load_is_index(type))
		return load_nested(l, desc, name, nesting);
	str_printable(shown, sizeof(shown), type ? type : "");
	return err(-EBADMSG, "%s: the media type \"%s\" is not one of images", l->path, shown);
}

/*
 * containerd and docker keep the whole name in an annotation of theirs, where ref.name may be a tag
 * only. Theirs is spelled out ("docker.io/library/debian:12"): what a user would not type is left
 * away.
 */
static const char *entry_name(const json_t *desc)
{
	const json_t *notes = json_get_object(desc, "annotations");
	const char *whole = json_get_str(notes, CONTAINERD_NAME);
	const char *official = whole ? str_after(whole, "docker.io/library/") : NULL;

	if (official)
		return official;
	return whole ? whole : json_get_str(notes, REF_NAME);
}

static int load_all(struct load *l, const json_t *index)
{
	json_t *entry;
	size_t i, loaded = 0;
	int r = check_index(index, "index.json");

	if (r < 0)
		return r;
	json_array_foreach(json_get_array(index, "manifests"), i, entry)
	{
		if (!platform_entry_fits(entry, &l->platform))
			continue;
		r = load_entry(l, entry, entry_name(entry), 0);
		if (r < 0)
			return r;
		loaded++;
	}
	return loaded ? 0 :
			err(-ENOENT, "%s holds no image for %s; it offers %s", l->path,
			    platform_text(&l->platform).s,
			    platform_offers(json_get_array(index, "manifests")).s);
}

static int check_layout(struct load *l)
{
	_json_ json_t *layout = NULL;
	const char *version;
	int r;

	if (!l->layout.data || !l->index.data)
		return err(-EBADMSG, "%s is no OCI image layout: it has no %s", l->path,
			   l->layout.data ? "index.json" : "oci-layout");
	r = json_parse(l->layout.data, l->layout.len, "oci-layout", &layout);
	if (r < 0)
		return r;
	version = json_get_str(layout, "imageLayoutVersion");
	if (!version || !str_after(version, "1."))
		return err(-EBADMSG, "%s is an OCI image layout of another version than 1",
			   l->path);
	return 0;
}

/* Blobs of the archive that no image named would be garbage as soon as they are published. */
static int drop_unwanted(void *ctx, const char *name)
{
	struct load *l = ctx;
	struct digest d;

	if (digest_parse_hex(name, strlen(name), &d) == 0 && !digest_set_has(&l->wanted, &d))
		unlinkat(l->t->dirfd, txn_blob(&d).s, 0);
	return 0;
}

static int load_oci(struct load *l)
{
	_json_ json_t *index = NULL;
	int r = check_layout(l);

	if (r >= 0)
		r = json_parse(l->index.data, l->index.len, "index.json", &index);
	return r < 0 ? r : load_all(l, index);
}

static int load_layout(struct load *l)
{
	int r = load_is_docker(l) ? load_docker(l) : load_oci(l);

	if (r >= 0)
		r = folder_each(l->t->dirfd, "blobs", drop_unwanted, l);
	return r < 0 ? r : txn_commit(l->t);
}

/* ---- sources ---- */

static int read_small(struct load *l, const char *name, struct buf *ret)
{
	_close_ int fd = fd_open_beneath(l->dirfd, name, O_RDONLY | O_NONBLOCK, 0);
	_free_ char *data = NULL;
	size_t len;
	int r;

	if (fd == -ENOENT)
		return 0; /* check_layout() says so */
	r = fd < 0 ? fd : fd_read_all(fd, JSON_MAX, &data, &len);
	return r < 0 ? err(r, "%s/%s: %s", l->path, name, strerror(-r)) : buf_add(ret, data, len);
}

static int open_folder(struct load *l, int fd)
{
	int r;

	l->dirfd = fd;
	r = read_small(l, "oci-layout", &l->layout);
	return r < 0 ? r : read_small(l, "index.json", &l->index);
}

static int load_source(struct load *l, int fd)
{
	struct stat st;
	int r;

	if (fstat(fd, &st) < 0)
		return err_sys("%s", l->path);
	r = S_ISDIR(st.st_mode) ? open_folder(l, fd) : load_spool(l, fd);
	return r < 0 ? r : load_layout(l);
}

static void tell(const struct load *l, const struct load_options *o)
{
	for (size_t i = 0; o->loaded && i < l->t->nnames; i++)
		o->loaded(o->ctx, l->t->names[i].name, &l->t->names[i].manifest);
}

static void load_done(struct load *l)
{
	txn_abort(l->t);
	buf_done(&l->index);
	buf_done(&l->layout);
	for (size_t i = 0; i < l->nmembers; i++)
		free(l->members[i].path);
	free(l->members);
	digest_set_done(&l->wanted);
}

int store_load(struct store *s, const char *path, const struct load_options *o)
{
	static const struct load_options none;
	bool standard = streq(path, "-");
	_close_ int own = standard ? -1 : open(path, O_RDONLY | O_CLOEXEC);
	struct load l = { .s = s, .path = standard ? "standard input" : path, .dirfd = -1 };
	int r;

	if (!standard && own < 0)
		return err_sys("%s", path);
	o = o ? o : &none;
	l.bounds = store_bounds_of(s, o->bounds);
	l.platform = o->platform ? *o->platform : platform_of_host();
	r = txn_begin(s, &l.t);
	if (r < 0)
		return r;
	r = load_source(&l, standard ? STDIN_FILENO : own);
	if (r >= 0)
		tell(&l, o);
	load_done(&l);
	return r < 0 ? r : 0;
}
