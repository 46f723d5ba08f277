/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IMAGESTORE_ARRIVAL_TOC_SCAN_H
#define IMAGESTORE_ARRIVAL_TOC_SCAN_H

#include "base/json.h"
#include <stdbool.h>

struct toc_scan {
	/* Called for each of the entries, in their order; a negative value ends it. */
	int (*entry)(void *ctx, const json_t *j);
	void *ctx;
	int64_t version; /* 0: it says none */
	bool has_entries;
};
/* -EBADMSG: no JSON object, or one with entries twice. */
int toc_scan(const char *text, size_t len, struct toc_scan *t);

#endif
