/* SPDX-License-Identifier: Apache-2.0 */
/* What those who download and those who unpack share: pipeline.c and follower.c. */
#ifndef IMAGESTORE_REGISTRY_PIPELINE_H
#define IMAGESTORE_REGISTRY_PIPELINE_H

#include "base/clock.h"
#include "imagestore/registry/pull.h"

#define NS 1000000000ull

struct pipeline {
	struct pull *p;
	struct layer_job **jobs; /* the largest first */
	size_t n;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	size_t next_fetch, next_unpack;
	uint64_t starved_ns, busy_ns; /* what unpackers did of late: waited for bytes, or worked */
	size_t rings;		      /* bytes of all of them */
	int failed;
	char why[ERR_TEXT_MAX];
};

/* All under the lock. */

/* The network is what everybody waits for. */
static inline bool pipeline_starves(const struct pipeline *l)
{
	return l->starved_ns > l->busy_ns;
}
/* Downloads that wait to be unpacked need not while others wait for bytes. */
void pipeline_let_go(struct pipeline *l);
/* Nobody downloads it or reads it any more. */
void pipeline_drop_ring(struct pipeline *l, struct layer_job *j);

/* Without the lock: makes a layer of the job's blob, while that comes. */
int follower_unpack(struct pipeline *l, struct layer_job *j);

#endif
