/* SPDX-License-Identifier: Apache-2.0 */
/* From a name to a manifest: documents by tag and digest, indexes, the platform's entry. */
#include "imagestore/registry/pull.h"

#define NESTING_MAX   4
#define MANIFESTS_MAX 256
static const char accept_types[] = MEDIA_MANIFEST ", " MEDIA_INDEX ", " MEDIA_DOCKER_MANIFEST
						  ", " MEDIA_DOCKER_LIST;

void found_done(struct found *f)
{
	json_decref(f->doc);
	json_decref(f->desc);
	*f = (struct found){ 0 };
}

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

int pull_json(struct pull *p, const char *what, const struct digest *d, json_t **ret)
{
	_buf_done_ struct buf b = { 0 };
	int r = get_by_digest(p, "blobs", d, &b, NULL);

	return r < 0 ? r : json_parse(b.data ? b.data : "", b.len, what, ret);
}

/* ---- what a name stands for ---- */

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

/* The entry of an index that is for the platform wanted; borrowed, NULL with a text. */
static const json_t *choose(const struct pull *p, const json_t *index)
{
	const json_t *list = json_get_array(index, "manifests"), *entry;

	if (json_array_size(list) > MANIFESTS_MAX) {
		err_attach("%s: an index of %zu manifests; at most %d are read", p->l.path,
			   json_array_size(list), MANIFESTS_MAX);
		return NULL;
	}
	entry = platform_choose(list, &p->l.platform);
	if (!entry)
		err_attach("%s has no image for %s; it offers %s", p->l.path,
			   platform_text(&p->l.platform).s, platform_offers(list).s);
	return entry;
}

/* A document on the way to the manifest. */
struct step {
	struct buf text;
	char *header; /* its Content-Type */
	struct digest digest;
	json_t *doc;
};

static void step_done(struct step *t)
{
	buf_done(&t->text);
	free(t->header);
	json_decref(t->doc);
}

static int step_parse(struct step *t)
{
	return json_parse(t->text.data ? t->text.data : "", t->text.len, "manifest", &t->doc);
}

/* From an index to the entry chosen. */
static int step_down(struct pull *p, struct step *t)
{
	const json_t *entry = choose(p, t->doc);
	struct digest d;
	uint64_t size;
	int r = entry ? descriptor_parse(entry, "manifest", &d, &size) : -ENOENT;

	if (r < 0)
		return r;
	json_decref(take_ptr(t->doc));
	free(take_ptr(t->header));
	buf_reset(&t->text);
	r = get_by_digest(p, "manifests", &d, &t->text, &t->header);
	if (r >= 0 && t->text.len != size)
		return err(-EBADMSG,
			   "manifest sha256:%.12s: %zu bytes came, its descriptor says %llu",
			   digest_hex(&d).s, t->text.len, (unsigned long long)size);
	t->digest = d;
	return r < 0 ? r : step_parse(t);
}

static int take_manifest(struct step *t, const char *type, struct found *ret)
{
	ret->desc = json_pack("{s:s, s:o, s:I}", "mediaType", type, "digest",
			      json_sprintf("sha256:%s", digest_hex(&t->digest).s), "size",
			      (json_int_t)t->text.len);
	ret->doc = take_ptr(t->doc);
	return ret->desc ? 0 : -ENOMEM;
}

static int walk(struct pull *p, struct step *t, struct found *ret)
{
	for (int nesting = 0;; nesting++) {
		const char *type = type_of(t->doc, t->header);
		char shown[96];
		int r;

		if (load_is_manifest(type))
			return take_manifest(t, type, ret);
		str_printable(shown, sizeof(shown), type);
		if (!load_is_index(type))
			return err(-EBADMSG, "%s: the media type \"%s\" is not one of images",
				   p->l.path, shown);
		if (nesting >= NESTING_MAX)
			return err(-EBADMSG, "%s: over %d indexes in one another", p->l.path,
				   NESTING_MAX);
		r = step_down(p, t);
		if (r < 0)
			return r;
	}
}

int pull_find_manifest(struct pull *p, struct found *ret)
{
	_cleanup_(step_done) struct step t = { .digest = p->name.digest };
	struct found found = { 0 };
	const struct pull_rest *rest = p->o->rest;
	int r;

	if (rest)
		t.digest = rest->manifest;
	if (p->name.tag && !rest)
		r = get_document(p, "manifests", p->name.tag, NULL, &t.text, &t.header, &t.digest);
	else
		r = get_by_digest(p, "manifests", &t.digest, &t.text, &t.header);

	if (r >= 0)
		r = step_parse(&t);
	found.asked = rest ? rest->asked : t.digest;
	if (r >= 0)
		r = walk(p, &t, &found);
	if (r < 0) {
		found_done(&found);
		return r;
	}
	*ret = found;
	return 0;
}
