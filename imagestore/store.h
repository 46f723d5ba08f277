/* SPDX-License-Identifier: Apache-2.0 */
/* The store from inside the room: its root, its lock, its files by digest. */
#ifndef IMAGESTORE_STORE_H
#define IMAGESTORE_STORE_H

#include "base/err.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "imagestore/imagestore.h"

struct store {
	int dirfd;
	char *path;
	bool rdonly;
	struct store_bounds bounds; /* where a caller gives none */
};

/* The bounds with their defaults filled in; @b NULL: the store's. */
struct store_bounds store_bounds_of(const struct store *s, const struct store_bounds *b);
/* -EFBIG: the layer's blob by its descriptor is over a bound; nothing needs be fetched of it. */
int layer_within(const struct image_layer *layer, const struct store_bounds *b);

/*
 * Takes `lock`, waiting; *@ret_fd holds it until it is closed. A read-only store has no lock:
 * *@ret_fd is -1.
 */
int store_lock(struct store *s, bool exclusive, int *ret_fd);

/*
 * Whether something is mounted over tmp/ (the overlay driver does, in its own namespace): no
 * transaction is seen then.
 */
bool tmp_is_covered(struct store *s);
/* Moves dead transactions to trash/ and empties it; failures are left for the next command. */
void store_sweep(struct store *s);
/* Moves @path out of sight: its removal is trash_empty()'s. */
int trash_move(struct store *s, const char *path);
void trash_empty(struct store *s, struct gc_result *count);

/* A path below the root, for the *at() calls. */
struct store_file {
	char s[192];
};
struct store_file blob_file(const struct digest *d);
struct store_file object_file(const struct digest *d);
/* @name NULL: the folder. */
struct store_file layer_file(const struct digest *diff_id, const char *name);
struct store_file merged_file(const struct digest *chain_id, const char *suffix);
bool store_has(struct store *s, const char *path);

/*
 * Calls @fn for each entry of the folder @path but "." and ".."; ends early on a value other than 0
 * and gives it.
 */
int store_each(struct store *s, const char *path, int (*fn)(void *ctx, const char *name),
	       void *ctx);
int folder_each(int dirfd, const char *path, int (*fn)(void *ctx, const char *name), void *ctx);

/* ---- blobs ---- */

int blob_open(struct store *s, const struct digest *d);
/* A document, checked against its digest; *@ret_size may be NULL. */
int blob_json(struct store *s, const struct digest *d, const char *what, json_t **ret,
	      uint64_t *ret_size);

/* Whether it is gone on purpose: its layer can make it again (drop.c). */
bool blob_is_dropped(struct store *s, const struct digest *d);
struct store_file dropped_file(const struct digest *d);

/* ---- index.json: a json_t as it stands on disk ---- */

int index_read(struct store *s, json_t **ret);
/* Under the exclusive lock. */
int index_write(struct store *s, const json_t *index);
/* The name of an entry or NULL. */
const char *index_entry_name(const json_t *entry);
/* Where it was pulled from, "HOST/REPOSITORY", or NULL. */
const char *index_entry_source(const json_t *entry);
int index_entry_digest(const json_t *entry, struct digest *ret);
/* Gives @name (NULL: none) to a manifest; takes it from whichever had it. @source may be NULL. */
int index_set(json_t *index, const char *name, const char *media_type,
	      const struct digest *manifest, uint64_t size, const char *source);
json_t *index_find_name(const json_t *index, const char *name);

/* ---- names ---- */

/* Whether a host, with or without its port, is docker.io, which is said in several ways. */
bool reference_is_docker(const char *host, size_t len);

/* ---- manifests ---- */

#define MEDIA_MANIFEST	      "application/vnd.oci.image.manifest.v1+json"
#define MEDIA_INDEX	      "application/vnd.oci.image.index.v1+json"
#define MEDIA_CONFIG	      "application/vnd.oci.image.config.v1+json"
#define MEDIA_LAYER	      "application/vnd.oci.image.layer.v1.tar"
#define MEDIA_LAYER_GZIP      "application/vnd.oci.image.layer.v1.tar+gzip"
#define MEDIA_LAYER_ZSTD      "application/vnd.oci.image.layer.v1.tar+zstd"
#define MEDIA_DOCKER_MANIFEST "application/vnd.docker.distribution.manifest.v2+json"
#define MEDIA_DOCKER_LIST     "application/vnd.docker.distribution.manifest.list.v2+json"
#define REF_NAME	      "org.opencontainers.image.ref.name"
#define SOURCE_NOTE	      "strata.source" /* ours; annotations are free */
#define LAYERS_MAX	      LAYER_DEVICES_MAX

/* Reads manifest and config of @manifest, checked. */
int image_read(struct store *s, const char *name, const struct digest *manifest,
	       struct image **ret);
/*
 * The same with the manifest's text and a function that reads its config: for what is not in the
 * store yet.
 */
int manifest_parse(const json_t *manifest, struct image *i);
/* Fills in diff_ids from i->config. */
int config_parse(struct image *i);
/* A descriptor's digest and size ({"digest","size"}); @what for the error. */
int descriptor_parse(const json_t *desc, const char *what, struct digest *ret, uint64_t *ret_size);

/* ---- lists of digests: `base`, `.layers` (text) and `objects` (binary) ---- */

int digests_read(int dirfd, const char *path, struct digest **ret, size_t *ret_n);
char *digests_text(const struct digest *list, size_t n);
int layer_objects(int dirfd, const char *path, struct digest **ret, size_t *ret_n);

/* ---- merging ---- */

/* Opens layers/<diffID>/index below @dirfd and maps it. */
int layer_index_at(int dirfd, const struct digest *diff_id, struct layer_index **ret);
/* The same, compared with the layer's record first. */
int layer_index_checked(int dirfd, const struct digest *diff_id, struct layer_index **ret);
/* Merges the layers that stand below @dirfd into the empty file @fd. */
int stack_merge(int dirfd, const struct digest *diff_ids, size_t n, int fd);

/* ---- layers ---- */

/* The file `record` of a layer: its blob, and the digests of its files. */
int record_read(int dirfd, const char *path, json_t **ret);
int record_blob(const json_t *record, struct image_layer *ret);

/* ---- machines (machine.c) ---- */

/* Moves to trash/ what nothing has begun from for a week; under the lock. */
int machines_sweep(struct store *s);
void machines_sum(struct store *s, struct df_total *t);

/* ---- kernels (kernel_keep.c) ---- */

/* Moves to trash/ what has no name and no top that boots it; under the lock. */
int kernels_sweep(struct store *s);
void kernels_sum(struct store *s, struct df_total *t);

/* ---- gc ---- */

struct digest_set;
/* What a collection is confined to; NULL members = everything. */
struct gc_scope {
	const struct digest_set *only;
	const char *without_txn; /* a transaction whose names do not count */
	uint64_t keep;		 /* bytes of dead layers that stay */
};
int gc_run(struct store *s, const struct gc_scope *scope, struct gc_result *ret);

#endif
