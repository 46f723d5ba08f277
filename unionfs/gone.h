/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Lower files that lost their only name while the client may have them open: it asks for their
 * links, which a lower does not change. Until FORGET; past GONE_MAX a file shows the link that it
 * had. Its lock is taken under any other.
 */
#ifndef UNIONFS_GONE_H
#define UNIONFS_GONE_H

#include "base/hash.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#define GONE_MAX 65536u /* 3 MiB */

struct gone {
	pthread_mutex_t lock;
	struct hash_table ids;
	atomic_size_t n;
};

void gone_init(struct gone *g);
void gone_done(struct gone *g);
void gone_add(struct gone *g, uint64_t id);
bool gone_is(struct gone *g, uint64_t id);
void gone_forget(struct gone *g, uint64_t id);

#endif
