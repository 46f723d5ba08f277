/* SPDX-License-Identifier: Apache-2.0 */
/* Images: what they are, by which names they are had. Part of imagestore.h. */
#ifndef IMAGESTORE_IMAGE_H
#define IMAGESTORE_IMAGE_H

#include "base/sha256.h"
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct store;

/* ---- images (read side: libc and jansson only) ---- */

struct image_layer {
	struct digest diff_id; /* of the uncompressed tar */
	struct digest blob;    /* of the blob as the manifest names it */
	uint64_t blob_size;
	char media_type[96];
};

struct image {
	char *name; /* "name:tag" (org.opencontainers.image.ref.name); NULL: it has none */
	struct digest manifest, config_digest;
	uint64_t size;		    /* bytes of manifest, config and blobs */
	json_t *config;		    /* the OCI image config */
	struct image_layer *layers; /* lowest first */
	size_t nlayers;
};

/*
 * Resolves @ref: a name (":latest" is added when there is no tag), "sha256:<hex>", or an
 * unambiguous prefix of at least 4 digits of a manifest's or config's digest. -ENOENT with a text.
 */
int image_open(struct store *s, const char *ref, struct image **ret);
void image_close(struct image *i);
/*
 * Calls @fn for each name; ends early on a value other than 0 and gives it. An image that is
 * damaged does not hide the others: its error is the result when all others have been given.
 */
int image_each(struct store *s, int (*fn)(void *ctx, struct image *i), void *ctx);

/* The chainID of the first @n layers (OCI image-spec, config.md, "Layer ChainID"). */
struct digest image_chain_id(const struct digest *diff_ids, size_t n);

/*
 * The one name that an image has here: the default tag is added ("debian" -> "debian:latest"),
 * docker.io and its library/ are left out ("docker.io/library/debian" -> the same). Refuses what
 * docker refuses (upper case in the path, bad characters, over 255 bytes): -EINVAL. The caller
 * frees.
 */
int image_name_canonical(const char *name, char **ret);

/* ---- platforms: what an image is for ---- */

/* In the words of OCI (Go's): "linux", "arm", "v7"; no variant is "". */
struct platform {
	char os[24], arch[24], variant[24];
};
struct platform_text {
	char s[80];
};
/* "OS/ARCH[/VARIANT]", "ARCH" or "linux"; other words for architectures are taken too. -EINVAL. */
int platform_parse(const char *text, struct platform *ret);
struct platform_text platform_text(const struct platform *p);
/* Of a config, or of an index's "platform"; false: it does not say (then as of this machine). */
bool platform_of(const json_t *j, struct platform *ret);
/* Whether who wants @want can take @have: a lower variant of the same will do. */
bool platform_fits(const struct platform *want, const struct platform *have);
/* Whether this machine's processor executes it, without binfmt_misc(5). */
bool platform_runs_here(const struct platform *p);

/* ---- changing names (read side libraries suffice) ---- */

int image_tag(struct store *s, const char *ref, const char *new_name);
/*
 * Takes the name away, and what nothing refers to any more. By ID: -EBUSY when it has more names.
 * A name that is given to another image leaves the old content for gc.
 */
int image_remove(struct store *s, const char *ref);
/* The same, but by ID with all its names. */
int image_remove_all(struct store *s, const char *ref);

#endif
