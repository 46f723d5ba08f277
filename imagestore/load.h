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

struct load {
	struct store *s;
	struct txn *t;
	const char *path; /* for messages */
	struct store_bounds bounds;
	int dirfd;		  /* the folder, -1 for an archive */
	struct buf index;	  /* the text of index.json */
	struct buf layout;	  /* of oci-layout */
	bool docker_archive;	  /* it has docker's old manifest.json */
	struct digest_set wanted; /* blobs that the images name */
};

/* Reads an archive: blobs into the transaction, each under the digest that it has. */
int load_spool(struct load *l, int fd);
/* Puts a blob into the transaction, checked; 0, or -EBADMSG when the layout has it not. */
int load_blob(struct load *l, const struct digest *d, uint64_t size, const char *what);
/* load_blob() of a document. */
int load_json(struct load *l, const json_t *desc, const char *what, struct digest *ret_digest,
	      json_t **ret);

/* One image by its descriptor; @name NULL = unnamed. */
int load_image(struct load *l, const json_t *desc, const char *name);

#endif
