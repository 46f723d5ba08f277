/* SPDX-License-Identifier: Apache-2.0 */
/* Images in and out: layouts, archives, registries (write side). Part of imagestore.h. */
#ifndef IMAGESTORE_TRANSFER_H
#define IMAGESTORE_TRANSFER_H

#include "imagestore/making.h"

/* ---- layouts and archives ---- */

/*
 * OCI layouts: a folder or a tar file, which may be compressed. @path "-" is stdin/stdout (tar).
 * Manifests and blobs stay what they were, bit for bit. load takes what is for one platform, all
 * or, after an error, nothing. It also takes archives of docker's old form. save refuses a folder
 * that is not empty, and replaces a file only when it is whole.
 */
struct load_options {
	const struct platform *platform;   /* NULL: this machine's */
	const struct store_bounds *bounds; /* NULL: the store's */
	/* Each name that came (NULL: none). */
	void (*loaded)(void *ctx, const char *name, const struct digest *manifest);
	void *ctx;
};
/* @o may be NULL. */
int store_load(struct store *s, const char *path, const struct load_options *o);
enum save_format {
	SAVE_OCI_FOLDER,
	SAVE_OCI_ARCHIVE,    /* a tar */
	SAVE_DOCKER_ARCHIVE, /* a tar of docker's old form: plain layers, the same image ID */
};
int store_save(struct store *s, char *const *refs, const char *path, enum save_format format);

/* ---- registries (write side, libcurl; docs/formats/registries.md) ---- */

enum transfer_state {
	TRANSFER_WAITS,
	TRANSFER_GOES,	  /* done of size bytes have come, or gone */
	TRANSFER_UNPACKS, /* all have come */
	/* the end of each is one of these */
	TRANSFER_DONE,
	TRANSFER_HERE,	  /* nothing was to be moved */
	TRANSFER_MOUNTED, /* a registry took it over from another repository */
};
/* A blob under way. */
struct transfer {
	struct digest blob;
	enum transfer_state state;
	uint64_t done, size; /* bytes */
	size_t count;	     /* of blobs, all in all */
};
struct pull_options {
	const struct platform *platform; /* of an index; NULL: this machine's */
	const struct store_bounds *bounds;
	/*
	 * Called for each change, from any thread but never from two at once: must return soon.
	 * NULL: none.
	 */
	void (*progress)(void *ctx, const struct transfer *t);
	void *ctx;
	bool chunked; /* push: the layers as zstd:chunked, by a manifest that says so */
	/* It may begin to arrive in place of coming whole (arriving.h), when its layers can. */
	bool lazy;
	/*
	 * The rest of one that arrives. NULL: it is none. Called while bytes come and before the
	 * commit, from any thread: may wait, and a negative value ends it.
	 */
	const struct pull_rest *rest;
};
struct pull_rest {
	struct digest manifest; /* that was taken for the name, */
	struct digest asked;	/* and what the name stood for then */
	int (*pace)(void *ctx);
	void *ctx;
};
/*
 * Takes an image from a registry. @name: as docker has it ("alpine" is docker.io/library/alpine),
 * with ":tag" or "@sha256:<hex>"; the image is stored by image_name_canonical(), by digest without
 * a name. A download that ended early is resumed by the next. 1: with @lazy, it arrives.
 */
int image_pull(struct store *s, const char *name, const struct pull_options *o,
	       struct digest *ret_manifest);
/* @to NULL: where its name says. The manifest arrives as it is, byte for byte. */
int image_push(struct store *s, const char *ref, const char *to, const struct pull_options *o,
	       struct digest *ret_manifest);
/* Tries the password at the registry, as the user @said it, then keeps it in podman's auth.json. */
int registry_login(const char *said, const char *user, const char *password);
/* -ENOENT: was not logged in. */
int registry_logout(const char *said);

#endif
