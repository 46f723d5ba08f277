/* SPDX-License-Identifier: Apache-2.0 */
/*
 * strata-unionfs' options: what is taken has no empty path, ranges within bounds, and at most 500
 * lowers; all else is an error.
 */
#include "base/err.h"
#include "base/str.h"
#include "engine/union_options.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(bool holds)
{
	if (!holds)
		abort();
}

static void check(const struct union_options *o)
{
	must(strv_len(o->lowers) <= UNION_LOWERS_MAX);
	for (char **s = o->lowers; s && *s; s++)
		must(**s);
	must((!o->upper || *o->upper) && (!o->work || *o->work));
	must(o->uids.n <= UFS_ID_RANGES_MAX && o->gids.n <= UFS_ID_RANGES_MAX);
	must(o->timeout.tv_sec >= 0 && o->timeout.tv_nsec >= 0 && o->timeout.tv_nsec < 1000000000);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = strndup((const char *)data, size);
	struct union_options o = { 0 };

	if (text && union_options_add(&o, text) == 0)
		check(&o);
	union_options_done(&o);
	err_clear();
	free(text);
	return 0;
}
