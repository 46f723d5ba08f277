/* SPDX-License-Identifier: Apache-2.0 */
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "engine/union_option.h"

int union_ids_squash(struct union_ids *ids, const char *key, const char *value)
{
	uint64_t id;

	if (str_u64(value, 0, UINT32_MAX - 1, &id) < 0)
		return err(-EINVAL, "%s=%s: no id", key, value);
	ids->squash = true;
	ids->squashed = (uint32_t)id;
	return 0;
}

/* One number of three, with a colon behind it but for the last: *@ret_more. */
static int take_number(const char **s, uint64_t *ret, bool *ret_more)
{
	_free_ char *part = union_option_part(s, ':', ret_more);

	return part ? str_u64(part, 0, UINT32_MAX, ret) : -ENOMEM;
}

/* STORED:SHOWN:COUNT, and more of them after another colon. */
int union_ids_map(struct union_ids *ids, const char *key, const char *value)
{
	const char *at = value + (*value == ':'); /* containers/storage begins with one */
	size_t cap = 0;
	bool more = true;

	free(take_ptr(ids->ranges));
	for (ids->n = 0; more; ids->n++) {
		uint64_t n[3];

		for (int i = 0; i < 3; i++) {
			if (!more || take_number(&at, &n[i], &more) < 0)
				return err(-EINVAL, "%s=%s: not STORED:SHOWN:COUNT[:...]", key,
					   value);
		}
		if (ids->n >= UFS_ID_RANGES_MAX)
			return err(-EINVAL, "%s=: more than %u ranges", key, UFS_ID_RANGES_MAX);
		if (mem_grow(&ids->ranges, &cap, ids->n + 1, sizeof(*ids->ranges)) < 0)
			return -ENOMEM;
		ids->ranges[ids->n] =
			(struct ufs_id_range){ (uint32_t)n[0], (uint32_t)n[1], (uint32_t)n[2] };
	}
	return 0;
}
