/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Damaged kernels: imported once more from where they came, where that still gives the very same
 * one; else what is there is dropped, and their names say so until they are imported again or
 * removed.
 */
#include "imagestore/kernel_.h"
#include "imagestore/repair.h"

struct origin {
	struct repair *p;
	const struct digest *id;
};

/* By the first of its names that leads to it: 1. */
static int remake_by(void *ctx, const char *name, const struct digest *id, const json_t *entry,
		     _unused_ bool is_default)
{
	const struct origin *o = ctx;
	struct kernel_import from;
	char why[ERR_TEXT_MAX];
	int r;

	if (!digest_eq(id, o->id) || kernel_origin(entry, &from) < 0)
		return 0;
	r = kernel_remake(o->p->s, &from, id);
	if (r >= 0)
		repair_tell(o->p, "kernel", id, "%s: made again of %s", name, from.path);
	strv_free((char **)(uintptr_t)from.more);
	if (r >= 0)
		return 1;
	snprintf(why, sizeof(why), "%s", err_take(r));
	if (r == -ENOSPC || r == -EDQUOT || r == -ENOMEM)
		return err(r, "%s", why);
	repair_tell(o->p, "kernel", id, "%s: not to be made again: %s", name, why);
	return 0;
}

int repair_kernel(struct repair *p, const struct digest *id)
{
	struct origin o = { p, id };
	int r = kernel_each_name(p->s, remake_by, &o);

	if (r)
		return MIN(r, 0);
	if (!store_has(p->s, kernel_file(id, NULL).s))
		return 0;
	repair_tell(p, "kernel", id, "dropped");
	return repair_discard(p, kernel_file(id, NULL).s);
}
