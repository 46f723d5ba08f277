/* SPDX-License-Identifier: Apache-2.0 */
/* The rule for a name, and the signatures of an image as they stand beside it in its repository. */
#include "imagestore/registry/policy.h"

#define SIGNATURES_MAX 32 /* of one image that are looked at */
#define PAYLOAD_MAX    (64u << 10)
#define ANNOTATION     "dev.cosignproject.cosign/signature"

/* ---- the file ---- */

static int bad(const char *path)
{
	return err(-EINVAL,
		   "%s: \"policy\" must be \"accept\", \"refuse\" or {\"keys\": [FILE, ...]}",
		   path);
}

static int parse(const json_t *rule, const char *path, struct policy *p)
{
	const char *word = json_string_value(rule);
	int r;

	if (word && streq(word, "accept")) {
		p->rule = POLICY_ACCEPT;
		return 0;
	}
	p->rule = word && streq(word, "refuse") ? POLICY_REFUSE : POLICY_SIGNED;
	p->file = strdup(path);
	if (!p->file)
		return -ENOMEM;
	if (p->rule == POLICY_REFUSE)
		return 0;
	r = json_to_strv(json_get_array(rule, "keys"), &p->keys);
	if (r == -EBADMSG || (r >= 0 && strv_len(p->keys) == 0))
		return bad(path);
	return r;
}

/* "host/a/b", then "host/a", then "host"; NULL: none. Shortens @name. */
static const json_t *find_rule(const json_t *doc, char *name)
{
	for (;;) {
		const json_t *rule = json_object_get(registry_entry(doc, name, "policy"), "policy");
		char *slash = strrchr(name, '/');

		if (rule || !slash)
			return rule;
		*slash = '\0';
	}
}

int policy_read(const struct registry_name *n, struct policy *ret)
{
	_free_ char *path = NULL, *name = str_fmt("%s/%s", n->host, n->repo);
	_json_ json_t *doc = NULL;
	struct policy p = { 0 };
	const json_t *rule = NULL;
	int r = name ? registry_file(&path, &doc) : -ENOMEM;

	if (r >= 0)
		rule = find_rule(doc, name) ?: json_object_get(doc, "policy");
	if (r >= 0 && rule)
		r = parse(rule, path, &p);
	if (r < 0) {
		policy_done(&p);
		return r;
	}
	*ret = p;
	return 0;
}

void policy_done(struct policy *p)
{
	strv_free(p->keys);
	free(p->file);
	*p = (struct policy){ 0 };
}

int policy_may_ask(const struct policy *p, const char *name)
{
	return p->rule == POLICY_REFUSE ? err(-EACCES, "%s: refused by %s", name, p->file) : 0;
}

/* ---- signatures ---- */

/* 1: by one of the keys. */
static int by_a_key(const struct policy *policy, const struct buf *payload, const char *signature)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < strv_len(policy->keys); i++)
		r = signature_is_by(policy->keys[i], payload->data, payload->len, signature);
	return r;
}

/* A document of a digest that need not be kept. */
static int get_payload(struct pull *p, const json_t *desc, struct buf *ret)
{
	_free_ char *url = NULL;
	struct digest d, got;
	uint64_t size;
	int r = descriptor_parse(desc, "signature", &d, &size);

	if (r >= 0 && size > PAYLOAD_MAX)
		r = err(-EACCES, "a signature over %llu bytes", (unsigned long long)size);
	if (r >= 0)
		url = str_fmt("%s/v2/%s/blobs/sha256:%s", p->r->base, p->r->repo, digest_hex(&d).s);
	if (r >= 0)
		r = url ? registry_get(p->r, url, NULL, ret, NULL) : -ENOMEM;
	if (r < 0)
		return r;
	got = sha256_of(ret->data ? ret->data : "", ret->len);
	return digest_eq(&got, &d) && ret->data ? 0 : err(-EACCES, "a signature's digest mismatch");
}

/* One layer of the signatures' manifest: 0 when it is all that is wanted. */
static int check_one(const struct policy *policy, struct pull *p, const json_t *desc,
		     const struct signed_thing *t)
{
	const char *signature = json_get_str(json_get_object(desc, "annotations"), ANNOTATION);
	_buf_done_ struct buf payload = { 0 };
	int r = signature ? get_payload(p, desc, &payload) : -EACCES;

	if (r >= 0)
		r = by_a_key(policy, &payload, signature);
	if (r == 0)
		return err(-EACCES, "it is not signed by a key of %s", policy->file);
	return r < 0 ? r : signature_payload_check(payload.data, payload.len, t);
}

/* The text of the last failure is that of all. */
static int check_all(const struct policy *policy, struct pull *p, const json_t *manifest,
		     const struct signed_thing *t)
{
	const json_t *layers = json_get_array(manifest, "layers");
	size_t n = json_array_size(layers);
	int r = err(-EACCES, "no signature in its signatures");

	for (size_t i = 0; i < MIN(n, (size_t)SIGNATURES_MAX); i++) {
		err_clear();
		r = check_one(policy, p, json_array_get(layers, i), t);
		if (r != -EACCES)
			break;
	}
	return r;
}

/* -ENOENT: there are none of this digest. */
static int check_digest(const struct policy *policy, struct pull *p, const struct digest *d)
{
	struct signed_thing t = {
		.host = p->name.host, .repo = p->name.repo, .tag = p->name.tag, .manifest = *d
	};
	_free_ char *url = str_fmt("%s/v2/%s/manifests/sha256-%s.sig", p->r->base, p->r->repo,
				   digest_hex(d).s);
	_buf_done_ struct buf b = { 0 };
	_json_ json_t *manifest = NULL;
	int r = url ? registry_get(p->r, url, MEDIA_MANIFEST, &b, NULL) : -ENOMEM;

	if (r >= 0)
		r = json_parse(b.data ? b.data : "", b.len, "signatures", &manifest);
	return r < 0 ? r : check_all(policy, p, manifest, &t);
}

static int check_signed(const struct policy *policy, struct pull *p, const struct found *f)
{
	struct digest own;
	uint64_t size;
	int r = descriptor_parse(f->desc, "manifest", &own, &size);

	if (r >= 0)
		r = check_digest(policy, p, &f->asked);
	if (r == -ENOENT && !digest_eq(&own, &f->asked)) {
		err_clear();
		r = check_digest(policy, p, &own);
	}
	if (r != -ENOENT)
		return r;
	err_clear();
	return err(-EACCES, "it is not signed");
}

int policy_check(const struct policy *policy, struct pull *p, const struct found *f)
{
	char why[ERR_TEXT_MAX];
	int r = policy->rule == POLICY_SIGNED ? check_signed(policy, p, f) : 0;

	if (r != -EACCES)
		return r;
	snprintf(why, sizeof(why), "%s", err_take(r));
	return err(r, "%s: refused by %s: %s", p->l.path, policy->file, why);
}
