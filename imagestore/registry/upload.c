/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A blob to a registry (distribution-spec, "Pushing blobs"): in one PUT when it is small, else by
 * PATCHes, so that a broken connection costs a part of one chunk: where to go on is the Range of
 * the answer, of a 416, or of a GET of the upload. One that the registry has forgotten begins anew.
 */
#include "imagestore/registry/registry.h"

#define CHUNK	     (16ull << 20)
#define CHUNK_MAX    (1ull << 30) /* that a registry may ask for at least (OCI-Chunk-Min-Length) */
#define STARTS_MAX   3
#define PROGRESS_MIN (1u << 20) /* less is no reason for more attempts: it would never end */

struct uploading {
	struct registry *r;
	const struct upload *u;
	char *location;
	uint64_t chunk;
	uint64_t at; /* bytes that the registry has */
	bool mounted;
};

static int no_location(const struct uploading *x)
{
	return err(-EPROTO, "%s: an upload without a Location", x->r->host);
}

/* Where it goes on: a whole address, or a path at the same server. */
static int take_location(struct uploading *x, const struct http_reply *p)
{
	char *url;

	if (!p->location)
		return x->location ? 0 : no_location(x);
	url = str_fmt("%s%s", *p->location == '/' ? x->r->base : "", p->location);
	if (!url)
		return -ENOMEM;
	free(x->location);
	x->location = url;
	return 0;
}

/* What the registry says that it has. */
static int take_range(struct uploading *x, const struct http_reply *p)
{
	/* "0-0" is nothing, too (docker's registry, and so all others). */
	uint64_t have = p->range_last ? p->range_last + 1 : 0;

	if (!p->has_range || have > x->u->size)
		return err(-EPROTO, "%s: it does not say how much of the upload it has",
			   x->r->host);
	x->at = have;
	return 0;
}

/*
 * From a repository that has the blob the registry may take it over ("cross-repository mount": 201
 * in place of 202); one that cannot begins an upload all the same.
 */
static char *start_url(const struct uploading *x)
{
	if (!x->r->from)
		return str_fmt("%s/v2/%s/blobs/uploads/", x->r->base, x->r->repo);
	return str_fmt("%s/v2/%s/blobs/uploads/?mount=sha256:%s&from=%s", x->r->base, x->r->repo,
		       digest_hex(&x->u->digest).s, x->r->from);
}

static int start(struct uploading *x)
{
	_cleanup_(http_reply_done) struct http_reply p = { 0 };
	_free_ char *url = start_url(x);
	struct http_request q = { .method = "POST", .url = url, .upload = true, .body = "" };
	int e = url ? registry_do(x->r, "pull,push", &q, &p) : -ENOMEM;

	if (e < 0)
		return e;
	x->mounted = x->r->from && p.status == 201;
	if (x->mounted)
		return 0;
	free(take_ptr(x->location));
	x->at = 0;
	x->chunk = MAX(CHUNK, p.min_chunk);
	if (x->chunk > CHUNK_MAX)
		return err(-EPROTO, "%s: it wants chunks of at least %llu bytes", x->r->host,
			   (unsigned long long)p.min_chunk);
	return take_location(x, &p);
}

/* ---- chunks ---- */

/* How much has come of what was sent: 0, or -ENOENT when the registry knows nothing of it. */
static int ask(struct uploading *x)
{
	_cleanup_(http_reply_done) struct http_reply p = { 0 };
	struct http_request q = { .url = x->location };
	int e = registry_do(x->r, "pull,push", &q, &p);

	/* docker's registry gives 400 for a state that is not the last one it gave. */
	if (e == -ENOENT || (e < 0 && p.status == 400)) {
		err_clear();
		return -ENOENT;
	}
	if (e >= 0)
		e = take_range(x, &p);
	return e < 0 ? e : take_location(x, &p);
}

/* One PATCH: 0 and x->at moves; -EAGAIN: to be asked for, then again. */
static int send_chunk(struct uploading *x, struct http_reply *p)
{
	uint64_t from = x->at;
	struct http_request q = {
		.method = "PATCH",
		.url = x->location,
		.upload = true,
		.body_fd = x->u->fd,
		.body_from = from,
		.body_size = MIN(x->chunk, x->u->size - from),
		.say_range = true,
		.sent = x->u->sent,
		.ctx = x->u->ctx,
		.content_type = "application/octet-stream",
	};
	int e = registry_try(x->r, "pull,push", &q, p);

	if (e < 0)
		return e;
	if (p->status == 416) {
		e = p->has_range ? take_range(x, p) : 0;
		if (e >= 0)
			e = take_location(x, p);
		return e < 0 ? e : -EAGAIN;
	}
	if (p->status < 200 || p->status > 299)
		return registry_passes(e, p) ? -EAGAIN : registry_status_err(x->r, q.url, p);
	if (p->has_range)
		e = take_range(x, p);
	else
		x->at = from + q.body_size;
	if (e >= 0 && (x->at <= from || x->at > from + q.body_size))
		e = err(-EPROTO, "%s: it counts other bytes than were sent", x->r->host);
	return e < 0 ? e : take_location(x, p);
}

/* -ENOENT: the registry has forgotten the upload. */
static int send_chunks(struct uploading *x)
{
	uint64_t counted = 0; /* bytes that were there when the failures were counted anew */
	unsigned failures = 0;

	while (x->at < x->u->size) {
		_cleanup_(http_reply_done) struct http_reply p = { 0 };
		int e = send_chunk(x, &p);

		if (e < 0 && e != -EAGAIN)
			return e;
		if (x->at > counted + PROGRESS_MIN) {
			counted = x->at;
			failures = 0;
		}
		if (e >= 0)
			continue;
		if (!registry_again(x->r, ++failures, e, &p))
			return err(-EIO, "%s: the upload does not get on", x->r->host);
		if (p.status != 416 || !p.has_range)
			e = ask(x);
		if (e < 0 && e != -EAGAIN)
			return e;
	}
	return 0;
}

/* The last PUT, with the digest, and of a small blob with all of it. */
static int finish(struct uploading *x)
{
	_cleanup_(http_reply_done) struct http_reply p = { 0 };
	_free_ char *url = str_fmt("%s%cdigest=sha256:%s", x->location,
				   strchr(x->location, '?') ? '&' : '?',
				   digest_hex(&x->u->digest).s);
	struct http_request q = {
		.method = "PUT",
		.url = url,
		.upload = true,
		.patient = true,
		.body_fd = x->u->fd,
		.body_from = x->at,
		.body_size = x->u->size - x->at,
		.sent = x->u->sent,
		.ctx = x->u->ctx,
		.content_type = "application/octet-stream",
	};

	return url ? registry_do(x->r, "pull,push", &q, &p) : -ENOMEM;
}

static int run(struct uploading *x)
{
	int e = -ENOENT;

	for (unsigned n = 0; e == -ENOENT && n < STARTS_MAX; n++) {
		err_clear();
		e = start(x);
		if (e < 0)
			return e;
		if (!x->mounted && x->u->size > x->chunk)
			e = send_chunks(x);
	}
	if (e == -ENOENT) {
		err_clear();
		return err(-EIO, "%s: it forgets uploads", x->r->host);
	}
	return e < 0 || x->mounted ? e : finish(x);
}

int upload_run(struct registry *r, const struct upload *u, bool *ret_mounted)
{
	struct uploading x = { .r = r, .u = u };
	int e = run(&x);

	free(x.location);
	if (e >= 0)
		*ret_mounted = x.mounted;
	return MIN(e, 0);
}
