/* SPDX-License-Identifier: Apache-2.0 */
/* A piece of a blob, for who has a digest of that piece. */
#include "imagestore/registry/registry.h"

struct range {
	const struct digest *blob;
	struct http_reply *reply;
	uint64_t from, left;
	int (*sink)(void *ctx, const void *data, size_t len);
	void *ctx;
};

static int on_bytes(void *ctx, long status, const void *data, size_t len)
{
	struct range *g = ctx;
	int r;

	if (status != 206)
		return err(-EOPNOTSUPP, "the registry sends no ranges of a blob");
	if (g->reply->status == 0 && g->reply->range_from != g->from)
		return err(-EPROTO, "the registry sent another range than was asked for");
	g->reply->status = status; /* known from now on */
	if (len > g->left)
		return err(-EBADMSG, "blob sha256:%.12s: more came than was asked for",
			   digest_hex(g->blob).s);
	r = g->sink(g->ctx, data, len);
	if (r < 0)
		return r;
	g->from += len;
	g->left -= len;
	return 0;
}

int range_fetch(struct registry *r, const struct digest *blob, uint64_t from, uint64_t len,
		int (*sink)(void *ctx, const void *data, size_t len), void *ctx)
{
	_cleanup_(http_reply_done) struct http_reply p = { 0 };
	_free_ char *url =
		str_fmt("%s/v2/%s/blobs/sha256:%s", r->base, r->repo, digest_hex(blob).s);
	struct range g = { blob, &p, from, len, sink, ctx };
	struct http_request q = { .url = url, .sink = on_bytes, .ctx = &g };
	unsigned n = 0;
	int e;

	if (!url)
		return -ENOMEM;
	do {
		q.from = g.from;
		q.to = g.from + g.left - 1;
		e = registry_try(r, "pull", &q, &p);
	} while (g.left && registry_again(r, ++n, e, &p));
	/* Whether it broke off behind the last byte or not: the caller's digest tells. */
	if (e == -EAGAIN && !g.left) {
		err_clear();
		return 0;
	}
	if (e < 0)
		return e == -EAGAIN ? -EIO : e;
	if (p.status != 206 && p.status != 200)
		return registry_status_err(r, url, &p);
	return g.left ? err(-EBADMSG, "blob sha256:%.12s: less came than was asked for",
			    digest_hex(blob).s) :
			0;
}
