/* SPDX-License-Identifier: Apache-2.0 */
/* `diff`: what an instance changed in its image. */
#include "base/err.h"
#include "base/str.h"
#include "engine/engine_.h"
#include "engine/instance_top.h"
#include "engine/layers.h"
#include "layer/layer.h"

struct diff_walk {
	struct layer_index *image;
	int (*fn)(void *ctx, char kind, const char *path);
	void *ctx;
};

static int tell_change(void *ctx, const struct ufs_change *c)
{
	struct diff_walk *w = ctx;
	char kind = c->kind == UFS_CHANGE_DELETE ? 'D' : layers_have(w->image, c->path) ? 'C' : 'A';

	return *c->path ? w->fn(w->ctx, kind, c->path) : 0;
}

int engine_diff(struct engine *e, const char *id_or_name,
		int (*fn)(void *ctx, char kind, const char *path), void *ctx)
{
	_cleanup_(instance_top_done) struct instance_top t = INSTANCE_TOP_NONE;
	struct diff_walk w = { .fn = fn, .ctx = ctx };
	int r = instance_top_open(e, id_or_name, "diff", &t);

	if (r >= 0)
		r = layer_index_open(t.root.stack.index_fd, &w.image);
	if (r < 0)
		return r;
	r = layers_changes(engine_store(e), &t.root, t.spec, tell_change, &w);
	layer_index_close(w.image);
	return r;
}
