/* SPDX-License-Identifier: Apache-2.0 */
#include "unionfs/ids.h"

#include "base/err.h"
#include "base/mem.h"
#include "unionfs/acl.h"
#include "unionfs/union.h"

#include <errno.h>

int ids_init(struct ids *ids, const struct ufs_ids *from, uint32_t own)
{
	*ids = (struct ids){ .squash = from->squash, .squashed = from->squashed, .own = own };
	if (from->n > UFS_ID_RANGES_MAX)
		return err(-EINVAL, "union: %zu ranges of ids: at most %u are possible", from->n,
			   UFS_ID_RANGES_MAX);
	for (size_t i = 0; i < from->n; i++) {
		const struct ufs_id_range *r = &from->ranges[i];

		/* The last id means "none" to chown(2). */
		if (!r->count || r->count > UINT32_MAX - MAX(r->stored, r->shown))
			return err(-EINVAL, "union: ids %u:%u:%u: no such range", r->stored,
				   r->shown, r->count);
	}
	if (!from->n)
		return 0;
	ids->ranges = mem_dup(from->ranges, from->n * sizeof(*from->ranges));
	if (!ids->ranges)
		return -ENOMEM;
	ids->n = from->n;
	return 0;
}

void ids_done(struct ids *ids)
{
	free(ids->ranges);
	ids->ranges = NULL;
	ids->n = 0;
}

static uint32_t show_mapped(const struct ids *ids, uint32_t id)
{
	for (size_t i = 0; i < ids->n; i++) {
		const struct ufs_id_range *r = &ids->ranges[i];

		if (id >= r->stored && id - r->stored < r->count)
			return r->shown + (id - r->stored);
	}
	return ids->n ? IDS_NOBODY : id;
}

static uint32_t store_mapped(const struct ids *ids, uint32_t id)
{
	for (size_t i = 0; i < ids->n; i++) {
		const struct ufs_id_range *r = &ids->ranges[i];

		if (id >= r->shown && id - r->shown < r->count)
			return r->stored + (id - r->shown);
	}
	return ids->n ? IDS_NOBODY : id;
}

uint32_t ids_show(const struct ids *ids, uint32_t stored)
{
	return ids->squash ? ids->squashed : show_mapped(ids, stored);
}

uint32_t ids_store(const struct ids *ids, uint32_t shown)
{
	return ids->squash ? ids->own : store_mapped(ids, shown);
}

void ids_show_acl(const struct ufs *u, void *value, size_t len)
{
	acl_map(value, len, show_mapped, &u->uids, &u->gids);
}

void ids_store_acl(const struct ufs *u, void *value, size_t len)
{
	acl_map(value, len, store_mapped, &u->uids, &u->gids);
}

bool ids_forgive(const struct ufs *u, int e)
{
	return (u->uids.squash || u->gids.squash) && (e == -EPERM || e == -EINVAL);
}
