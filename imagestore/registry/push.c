/* SPDX-License-Identifier: Apache-2.0 */
/* Pushing: the blobs that the registry has not, then the manifest as it stands in the store. */
#include "imagestore/registry/registry.h"
#include <sys/stat.h>

struct push {
	struct store *s;
	struct registry *r;
	const struct pull_options *o;
};

static int has_blob(struct push *p, const struct digest *d)
{
	_cleanup_(http_reply_done) struct http_reply a = { 0 };
	_free_ char *url =
		str_fmt("%s/v2/%s/blobs/sha256:%s", p->r->base, p->r->repo, digest_hex(d).s);
	struct http_request q = { .method = "HEAD", .url = url };
	int r = url ? registry_try(p->r, "pull,push", &q, &a) : -ENOMEM;

	return r < 0 ? r : a.status == 200;
}

/* Location of an upload, which may be a path only, with the digest added. */
static char *upload_url(const struct push *p, const char *location, const struct digest *d)
{
	return str_fmt("%s%s%cdigest=sha256:%s", *location == '/' ? p->r->base : "", location,
		       strchr(location, '?') ? '&' : '?', digest_hex(d).s);
}

static int send_blob(struct push *p, int fd, uint64_t size, const struct digest *d)
{
	_cleanup_(http_reply_done) struct http_reply a = { 0 };
	_free_ char *start = str_fmt("%s/v2/%s/blobs/uploads/", p->r->base, p->r->repo);
	_free_ char *url = NULL;
	struct http_request q = { .method = "POST", .url = start, .upload = true, .body = "" };
	int r = start ? registry_do(p->r, "pull,push", &q, &a) : -ENOMEM;

	if (r < 0)
		return r;
	if (!a.location)
		return err(-EPROTO, "%s: an upload without a Location", p->r->host);
	url = upload_url(p, a.location, d);
	q = (struct http_request){ .method = "PUT",
				   .url = url,
				   .upload = true,
				   .body_fd = fd,
				   .body_size = size,
				   .content_type = "application/octet-stream" };
	return url ? registry_do(p->r, "pull,push", &q, &a) : -ENOMEM;
}

static int push_blob(struct push *p, const struct digest *d)
{
	_close_ int fd = -1;
	struct stat st;
	char line[128];
	int r = has_blob(p, d);

	if (r < 0)
		return r;
	fd = blob_open(p->s, d);
	if (fd < 0)
		return fd;
	if (fstat(fd, &st) < 0)
		return err_sys("blob sha256:%s", digest_hex(d).s);
	snprintf(line, sizeof(line), "%.12s: %s, %s", digest_hex(d).s,
		 r ? "already there" : "uploaded", str_human((uint64_t)st.st_size).s);
	r = r ? 0 : send_blob(p, fd, (uint64_t)st.st_size, d);
	if (r >= 0 && p->o && p->o->progress)
		p->o->progress(p->o->ctx, line);
	return r;
}

static int put_manifest(struct push *p, const struct digest *d, const char *tag)
{
	_cleanup_(http_reply_done) struct http_reply a = { 0 };
	_free_ char *url = str_fmt("%s/v2/%s/manifests/%s", p->r->base, p->r->repo, tag);
	_free_ char *data = NULL;
	_json_ json_t *doc = NULL;
	struct http_request q = { .method = "PUT", .url = url, .upload = true };
	size_t len = 0;
	int r = blob_json(p->s, d, "manifest", &doc, NULL);

	if (r >= 0)
		r = file_read_all(p->s->dirfd, blob_file(d).s, JSON_MAX, &data, &len);
	if (r < 0 || !url)
		return r < 0 ? r : -ENOMEM;
	q.content_type = json_get_str(doc, "mediaType") ?: MEDIA_MANIFEST;
	q.body = data;
	q.body_size = len;
	return registry_do(p->r, "pull,push", &q, &a);
}

static int push_image(struct push *p, const struct image *i, const char *tag)
{
	int r = 0;

	for (size_t n = 0; r >= 0 && n < i->nlayers; n++)
		r = push_blob(p, &i->layers[n].blob);
	if (r >= 0)
		r = push_blob(p, &i->config_digest);
	return r < 0 ? r : put_manifest(p, &i->manifest, tag);
}

int image_push(struct store *s, const char *ref, const char *to, const struct pull_options *o,
	       struct digest *ret_manifest)
{
	struct push p = { .s = s, .o = o };
	struct registry_name n = { 0 };
	struct image *i = NULL;
	int r = registry_name_parse(to ? to : ref, &n);

	if (r >= 0 && !n.tag)
		r = err(-EINVAL, "push: name a tag, not a digest");
	if (r >= 0)
		r = image_open(s, ref, &i);
	if (r >= 0)
		r = registry_open(n.host, NULL, n.repo, &p.r);
	if (r >= 0)
		r = push_image(&p, i, n.tag);
	if (r >= 0)
		*ret_manifest = i->manifest;
	registry_close(p.r);
	image_close(i);
	registry_name_done(&n);
	return r < 0 ? r : 0;
}

/* ---- login ---- */

int registry_login(const char *host, const char *user, const char *password)
{
	_cleanup_(http_reply_done) struct http_reply a = { 0 };
	_free_ char *basic = credentials_encode(user, password), *url = NULL;
	struct registry *r = NULL;
	struct http_request q = { 0 };
	int e = basic ? registry_open(host, NULL, "", &r) : -ENOMEM;

	if (e < 0)
		return e;
	free(r->basic);
	r->basic = strdup(basic);
	url = str_fmt("%s/v2/", r->base);
	q.url = url;
	e = r->basic && url ? registry_do(r, "", &q, &a) : -ENOMEM;
	registry_close(r);
	return e < 0 ? e : credentials_set(host, basic);
}

int registry_logout(const char *host)
{
	return credentials_set(host, NULL);
}
