/* SPDX-License-Identifier: Apache-2.0 */
/* Pushing: the blobs that the registry has not, then the manifest as it stands in the store. */
#include "imagestore/chunked.h"
#include "imagestore/registry/registry.h"
#include "imagestore/txn.h"
#include <sys/stat.h>

struct push {
	struct txn *t; /* holds what is pushed */
	struct registry *r;
	const struct pull_options *o;
	size_t count; /* of blobs */
};

static void tell(struct push *p, const struct digest *d, enum transfer_state state, uint64_t done,
		 uint64_t size)
{
	struct transfer t = {
		.blob = *d, .state = state, .done = done, .size = size, .count = p->count
	};

	if (p->o->progress)
		p->o->progress(p->o->ctx, &t);
}

static int has_blob(struct push *p, const struct digest *d)
{
	_cleanup_(http_reply_done) struct http_reply a = { 0 };
	_free_ char *url =
		str_fmt("%s/v2/%s/blobs/sha256:%s", p->r->base, p->r->repo, digest_hex(d).s);
	struct http_request q = { .method = "HEAD", .url = url };
	unsigned n = 0;
	int r;

	if (!url)
		return -ENOMEM;
	do {
		r = registry_try(p->r, "pull,push", &q, &a);
	} while (registry_again(p->r, ++n, r, &a));
	return r < 0 ? (r == -EAGAIN ? -EIO : r) : a.status == 200;
}

/* What the upload of one blob tells of itself. */
struct sending {
	struct push *p;
	const struct upload *u;
};

static void on_sent(void *ctx, uint64_t upto)
{
	struct sending *g = ctx;

	tell(g->p, &g->u->digest, TRANSFER_GOES, upto, g->u->size);
}

static int send_blob(struct push *p, int fd, uint64_t size, const struct digest *d,
		     bool *ret_mounted)
{
	struct upload u = { .digest = *d, .size = size, .fd = fd, .sent = on_sent };
	struct sending g = { .p = p, .u = &u };

	u.ctx = &g;
	return upload_run(p->r, &u, ret_mounted);
}

static int push_blob(struct push *p, const struct digest *d)
{
	_close_ int fd = -1;
	bool mounted = false;
	struct stat st;
	int has = has_blob(p, d), r = 0;

	if (has < 0)
		return has;
	fd = txn_blob_open(p->t, d);
	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return err_sys("blob sha256:%s", digest_hex(d).s);
	if (!has)
		r = send_blob(p, fd, (uint64_t)st.st_size, d, &mounted);
	if (r >= 0)
		tell(p, d,
		     has     ? TRANSFER_HERE :
		     mounted ? TRANSFER_MOUNTED :
			       TRANSFER_DONE,
		     (uint64_t)st.st_size, (uint64_t)st.st_size);
	return r;
}

static int put_manifest(struct push *p, const struct digest *d, const char *tag)
{
	_cleanup_(http_reply_done) struct http_reply a = { 0 };
	_free_ char *url = str_fmt("%s/v2/%s/manifests/%s", p->r->base, p->r->repo, tag);
	_free_ char *data = NULL;
	_json_ json_t *doc = NULL;
	struct http_request q = { .method = "PUT", .url = url, .upload = true };
	struct digest got;
	size_t len = 0;
	int r = file_read_all(p->t->dirfd, txn_blob(d).s, JSON_MAX, &data, &len);

	if (r >= 0)
		r = json_parse(data, len, "manifest", &doc);
	if (r < 0 || !url)
		return r < 0 ? err(r, "manifest sha256:%s: %s", digest_hex(d).s, strerror(-r)) :
			       -ENOMEM;
	got = sha256_of(data, len);
	if (!digest_eq(&got, d))
		return err(-EBADMSG, "manifest sha256:%s: digest mismatch: the file is damaged",
			   digest_hex(d).s);
	q.content_type = json_get_str(doc, "mediaType") ?: MEDIA_MANIFEST;
	q.body = data;
	q.body_size = len;
	return registry_do(p->r, "pull,push", &q, &a);
}

static int push_image(struct push *p, const struct image *i, const char *tag)
{
	int r = 0;

	p->count = i->nlayers + 1;
	for (size_t n = 0; r >= 0 && n < i->nlayers; n++)
		r = push_blob(p, &i->layers[n].blob);
	if (r >= 0)
		r = push_blob(p, &i->config_digest);
	return r < 0 ? r : put_manifest(p, &i->manifest, tag);
}

/* The repository of the same registry that the image came from by its name: NULL for none. */
static const char *came_from(const struct registry_name *source, const struct registry_name *to)
{
	return source->host && streq(source->host, to->host) && !streq(source->repo, to->repo) ?
		       source->repo :
		       NULL;
}

int image_push(struct store *s, const char *ref, const char *to, const struct pull_options *o,
	       struct digest *ret_manifest)
{
	static const struct pull_options none;
	struct push p = { .o = o ? o : &none };
	struct registry_name n = { 0 }, source = { 0 };
	struct image *i = NULL;
	int r = registry_name_parse(to ? to : ref, &n);

	if (r >= 0 && !n.tag)
		r = err(-EINVAL, "push: name a tag, not a digest");
	if (r >= 0)
		r = txn_begin(s, &p.t);
	if (r >= 0)
		r = txn_give(p.t, ref, &i);
	if (r >= 0 && p.o->chunked)
		r = txn_give_chunked(p.t, i);
	if (r >= 0)
		r = registry_open(n.host, NULL, n.repo, &p.r);
	if (r >= 0 && registry_name_parse(ref, &source) < 0)
		err_clear(); /* an ID: from nowhere */
	if (r >= 0)
		p.r->from = came_from(&source, &n);
	if (r >= 0)
		r = push_image(&p, i, n.tag);
	if (r >= 0)
		*ret_manifest = i->manifest;
	txn_abort(p.t);
	registry_close(p.r);
	image_close(i);
	registry_name_done(&n);
	registry_name_done(&source);
	return r < 0 ? r : 0;
}

/* ---- login ---- */

int registry_login(const char *said, const char *user, const char *password)
{
	_cleanup_(http_reply_done) struct http_reply a = { 0 };
	_free_ char *host = registry_host(said, strlen(said)), *url = NULL,
		    *basic = credentials_encode(user, password);
	struct registry *r = NULL;
	struct http_request q = { 0 };
	int e = basic && host ? registry_open(host, NULL, "", &r) : -ENOMEM;

	if (e < 0)
		return e;
	credentials_done(&r->who);
	r->who.basic = strdup(basic);
	url = str_fmt("%s/v2/", r->base);
	q.url = url;
	e = r->who.basic && url ? registry_do(r, "", &q, &a) : -ENOMEM;
	registry_close(r);
	return e < 0 ? e : credentials_set(host, basic);
}

int registry_logout(const char *said)
{
	_free_ char *host = registry_host(said, strlen(said));

	return host ? credentials_set(host, NULL) : -ENOMEM;
}
