/* SPDX-License-Identifier: Apache-2.0 */
/*
 * "Simple signing" (github.com/containers/image, docs/containers-signature.5.md, has the payload;
 * github.com/sigstore/cosign, specs/SIGNATURE_SPEC.md, where it stands in a registry): a JSON text
 * that says which digest has which name, and a signature over its bytes with SHA-256: ECDSA in DER,
 * RSA PKCS #1 v1.5, or Ed25519.
 */
#include "imagestore/registry/policy.h"

#include <openssl/evp.h>
#include <openssl/pem.h>

#define SIGNATURE_MAX 4096 /* bytes of base64: RSA with 16,384 bits has 2,732 */

static void pkey_freep(EVP_PKEY **k)
{
	EVP_PKEY_free(*k);
}

static void md_ctx_freep(EVP_MD_CTX **c)
{
	EVP_MD_CTX_free(*c);
}

static int read_key(const char *path, EVP_PKEY **ret)
{
	FILE *f = fopen(path, "re");
	EVP_PKEY *k;

	if (!f)
		return err_sys("%s", path);
	k = PEM_read_PUBKEY(f, NULL, NULL, NULL);
	fclose(f);
	if (!k)
		return err(-EINVAL, "%s: no public key in PEM", path);
	*ret = k;
	return 0;
}

/* The length, or -1. */
static int decode(const char *base64, uint8_t *ret)
{
	size_t len = strlen(base64), pad = 0;
	int n;

	if (len == 0 || len % 4 || len > SIGNATURE_MAX)
		return -1;
	for (pad = 0; pad < 2 && base64[len - 1 - pad] == '='; pad++)
		;
	n = EVP_DecodeBlock(ret, (const uint8_t *)base64, (int)len);
	return n < 0 ? -1 : n - (int)pad;
}

int signature_is_by(const char *key, const void *payload, size_t len, const char *base64)
{
	_cleanup_(md_ctx_freep) EVP_MD_CTX *c = EVP_MD_CTX_new();
	_cleanup_(pkey_freep) EVP_PKEY *k = NULL;
	uint8_t raw[SIGNATURE_MAX];
	int n = decode(base64, raw), r = read_key(key, &k);
	bool own_hash;

	if (r < 0)
		return r;
	own_hash = EVP_PKEY_get_base_id(k) == EVP_PKEY_ED25519;
	if (!c || EVP_DigestVerifyInit(c, NULL, own_hash ? NULL : EVP_sha256(), NULL, k) != 1)
		return err(-EINVAL, "%s: a public key that makes no signatures", key);
	return n > 0 && EVP_DigestVerify(c, raw, (size_t)n, payload, len) == 1;
}

/* ---- what was signed ---- */

/* HOST/REPO, with :TAG or without, as signers write it; docker.io has another name there. */
static bool is_name(const char *said, const char *host, const struct signed_thing *t)
{
	const char *rest = str_after(said, host);

	rest = rest && *rest == '/' ? str_after(rest + 1, t->repo) : NULL;
	if (!rest)
		return false;
	return !*rest || (*rest == ':' && t->tag && streq(rest + 1, t->tag));
}

static int check_name(const json_t *critical, const struct signed_thing *t)
{
	const char *said = json_get_str(json_get_object(critical, "identity"), "docker-reference");
	char shown[256];

	if (said && (is_name(said, t->host, t) ||
		     (streq(t->host, "docker.io") && is_name(said, "index.docker.io", t))))
		return 0;
	str_printable(shown, sizeof(shown), said ? said : "");
	return err(-EACCES, "the signature is for \"%s\"", shown);
}

static int check_critical(const json_t *critical, const struct signed_thing *t)
{
	const char *type = json_get_str(critical, "type");
	const char *said =
		json_get_str(json_get_object(critical, "image"), "docker-manifest-digest");
	struct digest d;

	if (!type || (!streq(type, "cosign container image signature") &&
		      !streq(type, "atomic container signature")))
		return err(-EACCES, "what was signed is no container image");
	if (!said || digest_parse(said, &d) < 0 || !digest_eq(&d, &t->manifest))
		return err(-EACCES, "the signature is for another digest");
	return check_name(critical, t);
}

int signature_payload_check(const void *payload, size_t len, const struct signed_thing *t)
{
	_json_ json_t *doc = NULL;

	if (json_parse(payload, len, "signature", &doc) < 0) {
		err_clear();
		return err(-EACCES, "what was signed is no container image");
	}
	return check_critical(json_get_object(doc, "critical"), t);
}
