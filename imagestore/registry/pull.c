/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pulling: manifest and config into a transaction, the layers that the store has not into partial/
 * by several threads and from there into the transaction, then what load does with an archive.
 * Locks of partial/ are taken in the order of the digests, so two pulls never wait for one another.
 */
#include "imagestore/load.h"
#include "imagestore/registry/registry.h"
#include "imagestore/unpack.h"
#include <pthread.h>
#include <sys/stat.h>

#define THREADS	      3
#define NESTING_MAX   4
#define MANIFESTS_MAX 256
static const char accept_types[] = MEDIA_MANIFEST ", " MEDIA_INDEX ", " MEDIA_DOCKER_MANIFEST
						  ", " MEDIA_DOCKER_LIST;

struct pull {
	struct store *s;
	struct registry_name name;
	struct registry *r;
	struct load l;
	const struct pull_options *o;
	struct partial *parts; /* in the order of their digests */
	size_t nparts;
	pthread_mutex_t lock; /* of what follows, and of the progress callback */
	size_t next;
	int failed;
	char why[ERR_TEXT_MAX];
};

/* ---- documents ---- */

static int put_document(struct pull *p, const struct buf *b, const struct digest *expect,
			struct digest *ret)
{
	struct digest d = sha256_of(b->data ? b->data : "", b->len);

	if (expect && !digest_eq(expect, &d))
		return err(-EBADMSG,
			   "%s: digest mismatch: sha256:%.12s was asked for, sha256:%.12s came",
			   p->l.path, digest_hex(expect).s, digest_hex(&d).s);
	return txn_put_blob(p->l.t, b->data ? b->data : "", b->len, ret);
}

static int get_document(struct pull *p, const char *kind, const char *ref,
			const struct digest *expect, struct buf *b, char **ret_type,
			struct digest *ret)
{
	_free_ char *url = str_fmt("%s/v2/%s/%s/%s", p->r->base, p->r->repo, kind, ref);
	int r = url ? registry_get(p->r, url, streq(kind, "manifests") ? accept_types : NULL, b,
				   ret_type) :
		      -ENOMEM;

	return r < 0 ? r : put_document(p, b, expect, ret);
}

static int get_by_digest(struct pull *p, const char *kind, const struct digest *d, struct buf *b,
			 char **ret_type)
{
	_free_ char *ref = str_fmt("sha256:%s", digest_hex(d).s);
	struct digest got;

	return ref ? get_document(p, kind, ref, d, b, ret_type, &got) : -ENOMEM;
}

/* The entry of an index that is for this machine; borrowed. */
static const json_t *choose(const json_t *index)
{
	const json_t *manifests = json_get_array(index, "manifests");

	for (size_t i = 0; i < json_array_size(manifests) && i < MANIFESTS_MAX; i++) {
		const json_t *entry = json_array_get(manifests, i);

		if (load_is_ours(entry))
			return entry;
	}
	return NULL;
}

/* What the document says that it is, else what the server says. */
static const char *type_of(const json_t *doc, const char *header)
{
	const char *own = json_get_str(doc, "mediaType");

	if (own)
		return own;
	if (json_get_array(doc, "manifests"))
		return MEDIA_INDEX;
	return header && load_is_manifest(header) ? header : MEDIA_MANIFEST;
}

struct found {
	json_t *doc; /* the manifest */
	json_t *desc;
};

static int find_manifest(struct pull *p, struct found *ret)
{
	_json_ json_t *doc = NULL;
	_buf_done_ struct buf b = { 0 };
	_free_ char *header = NULL;
	struct digest d = p->name.digest;
	uint64_t size;
	int r = p->name.tag ? get_document(p, "manifests", p->name.tag, NULL, &b, &header, &d) :
			      get_by_digest(p, "manifests", &d, &b, &header);

	for (int nesting = 0; r >= 0; nesting++) {
		const json_t *entry;
		const char *type;
		char shown[96];

		json_decref(take_ptr(doc));
		r = json_parse(b.data ? b.data : "", b.len, "manifest", &doc);
		if (r < 0)
			return r;
		type = type_of(doc, header);
		if (load_is_manifest(type)) {
			ret->desc = json_pack("{s:s, s:o, s:I}", "mediaType", type, "digest",
					      json_sprintf("sha256:%s", digest_hex(&d).s), "size",
					      (json_int_t)b.len);
			ret->doc = take_ptr(doc);
			return ret->desc ? 0 : -ENOMEM;
		}
		str_printable(shown, sizeof(shown), type);
		if (!load_is_index(type))
			return err(-EBADMSG, "%s: the media type \"%s\" is not one of images",
				   p->l.path, shown);
		if (nesting >= NESTING_MAX)
			return err(-EBADMSG, "%s: over %d indexes in one another", p->l.path,
				   NESTING_MAX);
		entry = choose(doc);
		if (!entry)
			return err(-ENOENT, "%s has no manifest for linux/amd64", p->l.path);
		r = descriptor_parse(entry, "manifest", &d, &size);
		buf_reset(&b);
		free(take_ptr(header));
		if (r >= 0)
			r = get_by_digest(p, "manifests", &d, &b, &header);
		if (r >= 0 && b.len != size)
			return err(
				-EBADMSG,
				"manifest sha256:%.12s: %zu bytes came, its descriptor says %llu",
				digest_hex(&d).s, b.len, (unsigned long long)size);
	}
	return r;
}

/* ---- layers ---- */

static bool here(struct pull *p, const struct image_layer *layer)
{
	return txn_pin_blob(p->l.t, &layer->blob) == 0 &&
	       txn_pin_layer(p->l.t, &layer->diff_id) == 0;
}

/* Opens and locks partial/<hex>; another's that has become a blob meanwhile is not it any more. */
static int partial_lock(struct pull *p, const struct image_layer *layer, struct partial *ret)
{
	char path[80];
	struct stat a, b;

	snprintf(path, sizeof(path), "partial/%s", digest_hex(&layer->blob).s);
	for (;;) {
		_close_ int fd = -1;
		int r;

		if (here(p, layer))
			return 0;
		fd = openat(p->s->dirfd, path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
		if (fd < 0)
			return err_sys("%s/%s", p->s->path, path);
		r = fd_lock(fd, true, true);
		if (r < 0)
			return r;
		if (fstat(fd, &a) == 0 && fstatat(p->s->dirfd, path, &b, 0) == 0 &&
		    a.st_ino == b.st_ino) {
			if (here(p, layer)) {
				unlinkat(p->s->dirfd, path, 0);
				return 0;
			}
			ret->fd = take_fd(fd);
			return 0;
		}
	}
}

static int by_digest(const void *a, const void *b)
{
	const struct image_layer *x = a, *y = b;

	return memcmp(x->blob.b, y->blob.b, sizeof(x->blob.b));
}

static int lock_layers(struct pull *p, const struct image *i)
{
	_free_ struct image_layer *sorted = mem_dup(i->layers, i->nlayers * sizeof(*sorted));
	int r = 0;

	p->parts = mem_new(i->nlayers, sizeof(*p->parts));
	if (!p->parts || (!sorted && i->nlayers))
		return -ENOMEM;
	if (sorted)
		qsort(sorted, i->nlayers, sizeof(*sorted), by_digest);
	for (size_t n = 0; r >= 0 && n < i->nlayers; n++) {
		struct partial *part = &p->parts[p->nparts];

		if (n && by_digest(&sorted[n - 1], &sorted[n]) == 0)
			continue;
		*part = (struct partial){ .digest = sorted[n].blob,
					  .size = sorted[n].blob_size,
					  .fd = -1 };
		p->nparts++;
		r = partial_lock(p, &sorted[n], part);
	}
	return r;
}

static void tell(struct pull *p, const struct partial *part)
{
	char line[128];

	if (!p->o || !p->o->progress)
		return;
	snprintf(line, sizeof(line), "%.12s: %s, %s", digest_hex(&part->digest).s,
		 part->fd < 0 ? "already there" : "downloaded", str_human(part->size).s);
	p->o->progress(p->o->ctx, line);
}

static void *worker(void *ctx)
{
	struct pull *p = ctx;
	struct registry *own = NULL;
	int r = registry_clone(p->r, &own);

	pthread_mutex_lock(&p->lock);
	while (r >= 0 && p->failed >= 0 && p->next < p->nparts) {
		struct partial *part = &p->parts[p->next++];

		pthread_mutex_unlock(&p->lock);
		if (part->fd >= 0)
			r = partial_fetch(own, p->s, part);
		pthread_mutex_lock(&p->lock);
		if (r >= 0)
			tell(p, part);
	}
	if (r < 0 && p->failed >= 0) {
		p->failed = r;
		snprintf(p->why, sizeof(p->why), "%s", err_take(r));
	}
	pthread_mutex_unlock(&p->lock);
	registry_close(own);
	return NULL;
}

static int fetch_layers(struct pull *p)
{
	pthread_t threads[THREADS];
	size_t n = 0;

	while (n < MIN((size_t)THREADS, p->nparts) &&
	       pthread_create(&threads[n], NULL, worker, p) == 0)
		n++;
	if (n == 0 && p->nparts)
		return err(-EAGAIN, "no thread could be started");
	while (n)
		pthread_join(threads[--n], NULL);
	return p->failed < 0 ? err(p->failed, "%s", p->why) : 0;
}

/* Whole and checked: a blob of the transaction from now on. */
static int adopt(struct pull *p, const struct partial *part)
{
	char path[80];

	if (part->fd < 0)
		return 0;
	snprintf(path, sizeof(path), "partial/%s", digest_hex(&part->digest).s);
	if (fchmod(part->fd, 0444) < 0 ||
	    renameat(p->s->dirfd, path, p->l.t->dirfd, txn_blob(&part->digest).s) < 0)
		return txn_write_err(p->l.t, -errno);
	p->l.t->nfiles++;
	return 0;
}

static int pull_layers(struct pull *p, const json_t *manifest, const struct digest *d)
{
	_buf_done_ struct buf b = { 0 };
	struct image *i = new0(struct image);
	uint64_t size = 0;
	int r = -ENOMEM;

	if (!i)
		return r;
	i->manifest = *d;
	r = manifest_parse(manifest, i);
	if (r >= 0)
		r = descriptor_parse(json_get_object(manifest, "config"), "config",
				     &i->config_digest, &size);
	if (r >= 0)
		r = get_by_digest(p, "blobs", &i->config_digest, &b, NULL);
	if (r >= 0)
		r = json_parse(b.data ? b.data : "", b.len, "config", &i->config);
	if (r >= 0)
		r = load_check_platform(&p->l, i->config);
	if (r >= 0)
		r = config_parse(i);
	if (r >= 0)
		r = lock_layers(p, i);
	if (r >= 0)
		r = fetch_layers(p);
	for (size_t n = 0; r >= 0 && n < p->nparts; n++)
		r = adopt(p, &p->parts[n]);
	image_close(i);
	return r;
}

/* ---- images ---- */

static int pull_image(struct pull *p, struct digest *ret)
{
	struct found f = { 0 };
	struct digest d;
	uint64_t size;
	int r = find_manifest(p, &f);

	if (r >= 0)
		r = descriptor_parse(f.desc, "manifest", &d, &size);
	if (r >= 0)
		r = pull_layers(p, f.doc, &d);
	if (r >= 0)
		r = load_image(&p->l, f.desc, p->name.stored);
	if (r >= 0)
		r = txn_commit(p->l.t);
	if (r >= 0)
		*ret = d;
	json_decref(f.doc);
	json_decref(f.desc);
	return r < 0 ? r : 0;
}

/* From one server: the registry itself or a mirror of it. */
static int pull_from(struct pull *p, const char *server, struct digest *ret)
{
	int r = registry_open(p->name.host, server, p->name.repo, &p->r);

	if (r >= 0)
		r = txn_begin(p->s, &p->l.t);
	if (r >= 0)
		r = pull_image(p, ret);
	txn_abort(take_ptr(p->l.t));
	registry_close(take_ptr(p->r));
	for (size_t i = 0; i < p->nparts; i++)
		fd_close(p->parts[i].fd);
	free(take_ptr(p->parts));
	p->nparts = p->next = 0;
	p->failed = 0;
	digest_set_done(&p->l.wanted);
	p->l.wanted = (struct digest_set){ 0 };
	return r;
}

int image_pull(struct store *s, const char *name, const struct store_bounds *b,
	       const struct pull_options *o, struct digest *ret_manifest)
{
	struct pull p = { .s = s, .o = o, .lock = PTHREAD_MUTEX_INITIALIZER };
	struct registry_config c = { 0 };
	int r = registry_name_parse(name, &p.name);

	if (r < 0)
		return r;
	p.l = (struct load){ .s = s, .path = name, .bounds = store_bounds_of(b), .dirfd = -1 };
	r = registry_config_read(p.name.host, &c);
	if (r >= 0) {
		r = -ENOENT;
		for (size_t i = 0; r < 0 && i < strv_len(c.mirrors); i++) {
			r = pull_from(&p, c.mirrors[i], ret_manifest);
			if (r < 0)
				err_clear();
		}
		if (r < 0)
			r = pull_from(&p, NULL, ret_manifest);
	}
	registry_config_done(&c);
	registry_name_done(&p.name);
	return r;
}
