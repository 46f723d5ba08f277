/* SPDX-License-Identifier: Apache-2.0 */
/*
 * imagestore: content-addressed images. Its root is an OCI image layout (OCI image-spec 1.1, "Image
 * Layout"), with the unpacked layers beside it; docs/formats/store.md has every file and the commit
 * protocol with the reason of each step.
 *
 * The life of a store: store_open() ... store_close(). Reading takes no lock. A change is a
 * transaction: txn_begin(), things written into it, txn_commit() or txn_abort(); a killed one is
 * cleared by any later command. Names live only in index.json and change under the lock `lock`,
 * held for milliseconds.
 *
 * What comes from an archive or a registry is hostile: it is parsed, bounded (struct store_bounds)
 * and checked against its digests before anything gets its final name; what is malformed is refused
 * whole. Errors as in base/err.h.
 *
 * The write side (tar, gzip, zstd) stands in files of its own, so a program that only reads links
 * none of the heavy libraries. One thread per struct store; processes may run any number of them.
 */
#ifndef IMAGESTORE_IMAGESTORE_H
#define IMAGESTORE_IMAGESTORE_H

#include "base/sha256.h"
#include "layer/layer.h"
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* ---- the store ---- */

#define STORE_CREATE 1u /* makes the root and its folders when missing */
#define STORE_RDONLY 2u /* a store on a read-only file system will do */

struct store;
/*
 * -ENOENT: none there. Unless STORE_RDONLY: clears what killed commands left, which fails in
 * silence where nothing can be written.
 */
int store_open(const char *root, unsigned flags, struct store **ret);
void store_close(struct store *s);
int store_dirfd(const struct store *s);
const char *store_path(const struct store *s);

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
 * Adds the default tag: "debian" -> "debian:latest"; refuses what docker refuses (upper case in the
 * path, bad characters, over 255 bytes): -EINVAL. The caller frees.
 */
int image_name_canonical(const char *name, char **ret);

/* ---- layers for mounting (read side) ---- */

/* A merged index with its packs: as long as it is open, gc leaves all that it names (the pin). */
struct stack {
	int index_fd;
	int *pack_fds; /* in the order of the index's devices */
	size_t npacks;
	struct digest chain_id;
};

/* Makes the merged index of a chain when it is missing or of another version. */
int stack_open(struct store *s, const struct digest *diff_ids, size_t n, struct stack *ret);
void stack_close(struct stack *k);
/* An object by digest, read-only: what the union's object_open calls. */
int store_object_open(struct store *s, const struct digest *d);
/* The paths of a chain's merged index and packs, for the kernel's EROFS (device= takes paths). */
int stack_paths(struct store *s, const struct digest *diff_ids, size_t n, char **ret_index,
		char ***ret_packs);

/* ---- snapshots: writable tops ---- */

/* Makes snapshots/<id>/{upper,work,base}; base records the diff_ids. -EEXIST. */
int snapshot_create(struct store *s, const char *id, const struct digest *diff_ids, size_t n);
/* Flocks it exclusively (-EBUSY: mounted elsewhere); each *ret is the caller's to close. */
int snapshot_open(struct store *s, const char *id, int *ret_lock_fd, int *ret_upper_fd,
		  int *ret_work_fd);
/* The diff_ids that it stands on; the caller frees. */
int snapshot_base(struct store *s, const char *id, struct digest **ret_diff_ids, size_t *ret_n);
/* Removes it; -EBUSY while mounted; ENOENT is success. */
int snapshot_remove(struct store *s, const char *id);
int snapshot_each(struct store *s, int (*fn)(void *ctx, const char *id), void *ctx);

/* ---- changing names (read side libraries suffice) ---- */

int image_tag(struct store *s, const char *ref, const char *new_name);
/*
 * Takes the name away, and what nothing refers to any more. By ID: -EBUSY when it has more names.
 * A name that is given to another image leaves the old content for gc.
 */
int image_remove(struct store *s, const char *ref);

struct gc_result {
	uint64_t files, bytes;
};
int store_gc(struct store *s, struct gc_result *ret);

struct fsck_result {
	uint64_t checked, damaged;
};
/* Re-hashes all; a line for each damage ("layer sha256:...: pack block 12: ... (image x)"). */
int store_fsck(struct store *s, void (*fn)(void *ctx, const char *line), void *ctx,
	       struct fsck_result *ret);

/* ---- making layers and images (write side: zstd, ISA-L) ---- */

struct store_bounds {
	uint64_t max_layer_bytes; /* unpacked, 0 = 64 GiB */
	uint64_t max_entries;	  /* 0 = 4 M */
	uint32_t max_depth;	  /* 0 = 256 */
	uint32_t max_ratio;	  /* unpacked / compressed once past 64 MiB, 0 = 1,000 */
};

struct txn;
int txn_begin(struct store *s, struct txn **ret);
/* Publishes all that was written (docs/formats/store.md, "Commit"). */
int txn_commit(struct txn *t);
/* Drops it; also after a commit: frees. */
void txn_abort(struct txn *t);

/*
 * Pins a layer that is in the store for as long as @t lives: a build holds the layers of its steps
 * this way, until an image names them. -ENOENT.
 */
int txn_hold(struct txn *t, const struct digest *diff_id);

/*
 * A layer from a tar stream (plain, gzip or zstd: detected) on @fd. The blob is kept as it came,
 * but a plain tar without @expect_blob is stored gzipped (with it, a manifest names the plain one).
 * @expect_diff_id and @expect_blob may be NULL. -EBADMSG: malformed or of another digest; -EFBIG:
 * over a bound; the text names entry and reason.
 */
int layer_import(struct txn *t, int fd, const struct store_bounds *b,
		 const struct digest *expect_blob, const struct digest *expect_diff_id,
		 struct image_layer *ret);
/* A layer from tar bytes that the caller writes: a sink as archive_write_open(3) wants. */
struct layer_sink;
int layer_sink_open(struct txn *t, const struct store_bounds *b, struct layer_sink **ret);
int layer_sink_write(struct layer_sink *k, const void *data, size_t len);
int layer_sink_close(struct layer_sink *k, struct image_layer *ret); /* ret NULL: abort */

/* A layer that is in the store, complete: from its own record or a manifest. -ENOENT. */
int layer_find(struct store *s, const struct digest *diff_id, struct image_layer *ret);

/*
 * Writes config (its rootfs is set) and manifest blobs and names the image at commit; NULL name =
 * unnamed. Merges the stack, so a hard link to nothing in it is found here: -EBADMSG. A layer's
 * blob that is gone is made again from its frame.
 */
int txn_image(struct txn *t, const char *name, const json_t *config,
	      const struct image_layer *layers, size_t n, struct digest *ret_manifest);

/* The build cache: key -> layer, and back; a key whose layer is gone is -ENOENT. */
int cache_get(struct store *s, const struct digest *key, struct digest *ret_diff_id,
	      bool *ret_empty);
int cache_put(struct store *s, const struct digest *key, const struct digest *diff_id, bool empty);

/*
 * OCI layouts: a folder or a tar file, which may be compressed. @path "-" is stdin/stdout (tar).
 * Manifests and blobs stay what they were, bit for bit. load takes what is for linux/amd64, all or,
 * after an error, nothing; @loaded gets each name (NULL: none). It also takes archives of docker's
 * old form. save refuses a folder that is not empty, and replaces a file only when it is whole.
 */
int store_load(struct store *s, const char *path, const struct store_bounds *b,
	       void (*loaded)(void *ctx, const char *name, const struct digest *manifest),
	       void *ctx);
int store_save(struct store *s, char *const *refs, const char *path, bool as_tar);

/* ---- registries (write side, libcurl; docs/formats/registries.md) ---- */

struct pull_options {
	void (*progress)(void *ctx, const char *line); /* one line a blob; NULL: none */
	void *ctx;
};
/*
 * Takes an image from a registry. @name: as docker has it ("alpine" is docker.io/library/alpine),
 * with ":tag" or "@sha256:<hex>"; the image is stored by the name as it was said, by digest without
 * one. A download that ended early is resumed by the next.
 */
int image_pull(struct store *s, const char *name, const struct store_bounds *b,
	       const struct pull_options *o, struct digest *ret_manifest);
/* @to NULL: where its name says. The manifest arrives as it is, byte for byte. */
int image_push(struct store *s, const char *ref, const char *to, const struct pull_options *o,
	       struct digest *ret_manifest);
/* Tries the password, then keeps it in podman's auth.json. */
int registry_login(const char *host, const char *user, const char *password);
/* -ENOENT: was not logged in. */
int registry_logout(const char *host);

/* The tar of a layer, bit for bit, from its blob or from its frame, written to @fd. */
int layer_export(struct store *s, const struct digest *diff_id, int fd);

/*
 * A tar of a host directory for `import DIR`: owners, modes, xattrs, hard links, devices as they
 * are; sorted, so the same tree gives the same bytes. Sockets are left out with a log_warn(). A
 * value other than 0 from @sink ends it.
 */
int tar_of_directory(int dirfd, int (*sink)(void *ctx, const void *data, size_t len), void *ctx);

#endif
