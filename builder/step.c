/* SPDX-License-Identifier: Apache-2.0 */
/* A step's way through the caller: the cache, a tree, a layer. */
#include "base/err.h"
#include "base/fd.h"
#include "base/str.h"
#include "builder/key.h"
#include "builder/place.h"
#include "builder/stage.h"

/* 1 when there is a layer, 0 when not. */
static int look_up(struct builder *b, const struct digest *key, struct build_layer *ret)
{
	int r;

	if (b->o->no_cache)
		return 0;
	r = b->cb->cached(b->ctx, key, ret);
	if (r == -ENOENT) {
		err_clear();
		return 0;
	}
	if (r < 0)
		return r;
	b->cb->progress(b->ctx, "CACHED");
	return 1;
}

static int make(struct builder *b, const struct digest *key, step_fn *fn, void *ctx,
		struct build_layer *ret)
{
	struct build_step *step;
	int root_fd, r = b->cb->step_begin(b->ctx, b->s->image, &step, &root_fd);

	if (r < 0)
		return r;
	r = fn(ctx, b, step, root_fd);
	if (r == 0)
		r = b->cb->step_commit(b->ctx, step, key, ret);
	b->cb->step_abort(b->ctx, step);
	return r < 0 ? r : 0;
}

int step_layer(struct builder *b, const struct digest *key, const char *created_by, step_fn *fn,
	       void *ctx)
{
	struct build_layer layer = { 0 };
	int r = look_up(b, key, &layer);

	if (r == 0)
		r = make(b, key, fn, ctx, &layer);
	if (r < 0)
		return r;
	b->s->key = *key;
	return config_add_history(b->s->image, created_by, b->o->created,
				  layer.empty ? NULL : &layer.diff_id);
}

/* ---- WORKDIR ---- */

static int make_folder(void *ctx, _unused_ struct builder *b, _unused_ struct build_step *step,
		       int root_fd)
{
	const char *path = ctx;
	int fd = place_folder(root_fd, path, &(struct owner){ 0, 0 }, NULL);

	if (fd < 0)
		return fd;
	fd_close(fd);
	return 0;
}

/* The config has the folder already. */
int step_workdir(struct builder *b)
{
	_free_ char *path = strdup(config_workdir(b->s->image)), *text = instruction_text(b->i);
	struct digest digest;
	struct key key;

	if (!path || !text)
		return -ENOMEM;
	key_begin(&key, &b->s->key);
	key_add(&key, "WORKDIR");
	key_add(&key, path);
	digest = key_end(&key);
	return step_layer(b, &digest, text, make_folder, path);
}
