/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which of the manifests of an index is taken, and whether a config is for the platform wanted. A
 * processor runs what is for the lower variants of its architecture ("arm/v7" also "arm/v6").
 */
#ifndef IMAGESTORE_PLATFORM_H
#define IMAGESTORE_PLATFORM_H

#include "imagestore/store.h"

struct platform_offers {
	char s[256];
};

/* What is wanted where nobody said: that of this program. */
struct platform platform_of_host(void);
/*
 * The entry of an index's list that fits best: the highest variant up to the one wanted; one that
 * does not say what it is for only when no other fits. Borrowed; NULL: none.
 */
const json_t *platform_choose(const json_t *manifests, const struct platform *want);
/* Whether an entry is for it, or does not say. */
bool platform_entry_fits(const json_t *entry, const struct platform *want);
/* The platforms that the entries name, for a message. */
struct platform_offers platform_offers(const json_t *manifests);
/* Whether a config is for it: 0, or -EBADMSG. @where: what is read. */
int platform_check_config(const struct platform *want, const json_t *config, const char *where);

#endif
