/* SPDX-License-Identifier: Apache-2.0 */
/* A repair under way. */
#ifndef IMAGESTORE_REPAIR_H
#define IMAGESTORE_REPAIR_H

#include "imagestore/fsck.h"

struct repair {
	struct store *s;
	struct fsck *found;
	void (*fn)(void *ctx, const char *line);
	void *ctx;
	/* while looking for the layers that need an object, or for a layer's blob */
	const struct digest *diff_id;
	struct digest blob;
	char **deaf; /* sources that gave no answer: asked once */
};

/* One line: "WHAT sha256:...: DID". */
void repair_tell(struct repair *p, const char *what, const struct digest *d, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* Moves what is bad away, if it is there. */
int repair_discard(struct repair *p, const char *path);
/* repair_kernel.c */
int repair_kernel(struct repair *p, const struct digest *id);

/*
 * repair_pull.c: what is had again from the repository that an image was pulled from, into the
 * store, checked. 1: it was; 0: nobody knows where from, or there it is not to be had (which is
 * told).
 */
int repair_pull_documents(struct repair *p); /* missing manifests and configs */
int repair_pull_blob(struct repair *p, const struct digest *blob);
/* A blob of the layer: *@ret. */
int repair_pull_layer(struct repair *p, const struct digest *diff_id, struct digest *ret);

#endif
