/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which images may be pulled at all (docs/formats/registries.md, "Policy"): any, none, or those
 * that one of the given public keys has signed.
 */
#ifndef IMAGESTORE_REGISTRY_POLICY_H
#define IMAGESTORE_REGISTRY_POLICY_H

#include "imagestore/registry/pull.h"

enum policy_rule { POLICY_ACCEPT, POLICY_REFUSE, POLICY_SIGNED };

struct policy {
	enum policy_rule rule;
	char **keys; /* PEM files: one of them */
	char *file;  /* that says so; NULL with POLICY_ACCEPT */
};
/* The rule for the longest part of HOST/REPOSITORY that the file names, else for all. */
int policy_read(const struct registry_name *n, struct policy *ret);
void policy_done(struct policy *p);
/* Before the first request: -EACCES when it is refused whatever comes. */
int policy_may_ask(const struct policy *p, const char *name);
/* Of what was found: 0, or -EACCES with the reason. */
int policy_check(const struct policy *policy, struct pull *p, const struct found *f);

/* ---- signature.c: one signature over a payload, as cosign makes it ---- */

/* What a signature is for. */
struct signed_thing {
	const char *host, *repo, *tag; /* tag NULL: by digest */
	struct digest manifest;
};
/*
 * Whether @base64 is a signature over the payload by the public key in the PEM file @key: 1, 0, or
 * -EINVAL with a text for a file that has no key.
 */
int signature_is_by(const char *key, const void *payload, size_t len, const char *base64);
/* Whether the payload speaks of @t: 0, or -EACCES with the reason. */
int signature_payload_check(const void *payload, size_t len, const struct signed_thing *t);

#endif
