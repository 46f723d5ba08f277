/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A pull under way, from one server: manifest.c finds the documents, policy.c says whether they may
 * be taken, layers.c what is to be done for each layer, pipeline.c does it in threads, pull.c makes
 * an image of it.
 */
#ifndef IMAGESTORE_REGISTRY_PULL_H
#define IMAGESTORE_REGISTRY_PULL_H

#include "imagestore/load.h"
#include "imagestore/registry/registry.h"
#include "imagestore/registry/ring.h"
#include <pthread.h>

struct policy;
struct pull {
	struct store *s;
	const struct policy *policy;
	struct registry_name name;
	struct registry *r;
	struct load l; /* its transaction, bounds and platform */
	const struct pull_options *o;
};

/* ---- documents: each stands in the transaction, checked ---- */

struct found {
	json_t *doc;	     /* the manifest */
	json_t *desc;	     /* its descriptor */
	struct digest asked; /* of what the name stands for: an index, or the manifest itself */
};
void found_done(struct found *f);
int pull_find_manifest(struct pull *p, struct found *ret);
/* A blob that is a document: its text is parsed too. */
int pull_json(struct pull *p, const char *what, const struct digest *d, json_t **ret);

/* ---- layers ---- */

/* One blob, and the layer that is made of it. */
struct layer_job {
	const struct image_layer *layer;
	struct partial part; /* partial/<hex>, locked while open; fd -1: nothing to download */
	bool unpack;
	/* under the pipeline's lock, for who unpacks what is still coming */
	uint64_t have;	 /* bytes in the file */
	unsigned starts; /* how often the download began at 0 again */
	bool fetched;	 /* all is there and checked */
	/* the newest bytes; NULL: none, or not yet */
	struct ring *ring;
	bool ring_done; /* no further one */
	bool read;	/* somebody unpacks it, and needs what is behind: */
	uint64_t at;
	bool held;	      /* the download waits for him */
	pthread_cond_t moved; /* of this job alone: bytes, reader, end */
	bool refused;	      /* all came, but it is no layer, or not the one that it should be */
};

/* All jobs of @jobs: until the first failure. */
int pipeline_run(struct pull *p, struct layer_job *jobs, size_t n);

/* The layers that the store has not, with their blobs, into the transaction. */
struct layer_set {
	struct layer_job *jobs; /* in the order of their digests */
	size_t n;
};
int layers_get(struct pull *p, const struct image *i, struct layer_set *ret);
/* Takes the name of a download away: nobody is to resume it. */
void layer_job_forget(const struct pull *p, const struct layer_job *j);
/* After the commit: what was downloaded needs not be resumed any more. */
void layers_forget(struct pull *p, struct layer_set *y);
void layers_done(struct layer_set *y);

#endif
