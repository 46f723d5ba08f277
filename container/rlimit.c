/* SPDX-License-Identifier: Apache-2.0 */
/* Resource limits, set while we may still raise them. */
#include "container/inner.h"

int rlimit_apply(const struct ctr_spec *spec)
{
	for (size_t i = 0; i < spec->nrlimits; i++) {
		const struct ctr_rlimit *l = &spec->rlimits[i];

		if (setrlimit((__rlimit_resource_t)l->resource, &l->limit) < 0)
			return err_sys("cannot set resource limit %d to %llu:%llu", l->resource,
				       (unsigned long long)l->limit.rlim_cur,
				       (unsigned long long)l->limit.rlim_max);
	}
	return 0;
}
