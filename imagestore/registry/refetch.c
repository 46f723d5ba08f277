/* SPDX-License-Identifier: Apache-2.0 */
#include "imagestore/registry/refetch.h"

#include "imagestore/registry/registry.h"

static int fetch_manifest(struct registry *r, struct txn *t, const struct digest *d)
{
	_free_ char *url =
		str_fmt("%s/v2/%s/manifests/sha256:%s", r->base, r->repo, digest_hex(d).s);
	_buf_done_ struct buf b = { 0 };
	struct digest got;
	int e = url ? registry_get(r, url, MEDIA_MANIFEST ", " MEDIA_DOCKER_MANIFEST, &b, NULL) :
		      -ENOMEM;

	if (e < 0)
		return e;
	got = sha256_of(b.data ? b.data : "", b.len);
	if (!digest_eq(&got, d))
		return err(-EBADMSG, "%s: manifest sha256:%.12s: digest mismatch", r->host,
			   digest_hex(d).s);
	return txn_put_blob(t, b.data ? b.data : "", b.len, &got);
}

static int fetch_blob(struct registry *r, struct txn *t, const struct digest *d, uint64_t size)
{
	struct txn_file name = { 0 };
	_close_ int fd = txn_create(t, &name);
	struct partial part = { .digest = *d, .size = size, .fd = fd };
	int e = fd < 0 ? fd : partial_fetch(r, t->s, &part);

	if (e < 0) {
		if (fd >= 0)
			unlinkat(t->dirfd, name.s, 0);
		return e;
	}
	return txn_seal_blob(t, &name, d);
}

static int fetch_from(struct txn *t, const char *host, const char *server, const char *repo,
		      bool manifest, const struct digest *d, uint64_t size)
{
	struct registry *r = NULL;
	int e = registry_open(host, server, repo, &r);

	if (e >= 0)
		e = manifest ? fetch_manifest(r, t, d) : fetch_blob(r, t, d, size);
	registry_close(r);
	return e;
}

int refetch(struct txn *t, const char *source, bool manifest, const struct digest *d, uint64_t size)
{
	const char *slash = strchr(source, '/');
	_free_ char *host = slash ? strndup(source, (size_t)(slash - source)) : NULL;
	struct registry_config c = { 0 };
	int e;

	if (!host)
		return slash ? -ENOMEM : err(-EBADMSG, "\"%s\" is no repository", source);
	e = registry_config_read(host, &c);
	if (e < 0)
		return e;
	e = -ENOENT;
	for (size_t i = 0; e < 0 && i < strv_len(c.mirrors); i++) {
		e = fetch_from(t, host, c.mirrors[i], slash + 1, manifest, d, size);
		if (e < 0)
			err_clear();
	}
	if (e < 0)
		e = fetch_from(t, host, NULL, slash + 1, manifest, d, size);
	registry_config_done(&c);
	return e;
}
