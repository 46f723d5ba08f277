/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A load under way: a layout, from a folder or from an archive whose blobs have been spooled into
 * the transaction.
 */
#ifndef IMAGESTORE_LOAD_H
#define IMAGESTORE_LOAD_H

#include "base/buf.h"
#include "imagestore/digest_set.h"
#include "imagestore/import.h"
#include "imagestore/platform.h"

/* A file of an archive that is kept as a blob of the transaction until it is known what it is. */
struct load_member {
	char *path;
	struct digest digest;
	uint64_t size;
};

struct load {
	struct store *s;
	struct txn *t;
	const char *path; /* for messages */
	struct store_bounds bounds;
	struct platform platform;
	int dirfd;		     /* the folder, -1 for an archive */
	struct buf index;	     /* the text of index.json */
	struct buf layout;	     /* of oci-layout */
	struct load_member *members; /* of an archive: the files beside blobs/ */
	size_t nmembers, cap;
	struct digest_set wanted; /* blobs that the images name */
};

/* Reads an archive: blobs into the transaction, each under the digest that it has. */
int load_spool(struct load *l, int fd);
/* Puts a blob into the transaction, checked; 0, or -EBADMSG when the layout has it not. */
int load_blob(struct load *l, const struct digest *d, uint64_t size, const char *what);
/* load_blob() of a document. */
int load_json(struct load *l, const json_t *desc, const char *what, struct digest *ret_digest,
	      json_t **ret);

/* An archive of docker's old form ("docker save" before 25, "podman save"). */
bool load_is_docker(const struct load *l);
int load_docker(struct load *l);

/* Whether config and layers of the manifest that is @i are of media types that are taken. */
int load_check_types(const struct load *l, const json_t *manifest, const struct image *i);
/* One image by its descriptor; @name NULL = unnamed. */
int load_image(struct load *l, const json_t *desc, const char *name);
bool load_is_manifest(const char *type);
bool load_is_index(const char *type);

#endif
