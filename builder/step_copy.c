/* SPDX-License-Identifier: Apache-2.0 */
/*
 * COPY and ADD: their key, and the copy. Owners are 0:0 unless --chown
 * says otherwise; those of --from, which come out of an image, are kept, as docker does.
 */
#include "base/err.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/str.h"
#include "builder/add_tar.h"
#include "builder/copy.h"
#include "builder/key.h"
#include "builder/owner.h"
#include "builder/step_copy.h"

/* ---- the key ---- */

static int hash_items(struct step_copy *c, struct sha256 *h)
{
	int r = 0;

	for (size_t n = 0; r == 0 && n < c->n; n++) {
		const struct item *i = &c->items[n];

		sha256_update(h, i->path, strlen(i->path) + 1);
		if (i->text)
			sha256_update(h, i->text, strlen(i->text) + 1);
		else
			r = source_hash(&c->source, i->path, h);
	}
	return r;
}

static int copy_key(struct builder *b, struct step_copy *c, struct digest *ret)
{
	struct digest content;
	struct sha256 h;
	struct key key;
	int r;

	sha256_init(&h);
	r = hash_items(c, &h);
	if (r < 0)
		return r;
	content = sha256_final(&h);
	key_begin(&key, &b->s->key);
	key_add(&key, op_name(b->i->op));
	key_add(&key, c->chown ? c->chown : "");
	key_add(&key, c->chmod ? c->chmod : "");
	key_add(&key, c->from ? "from" : "context");
	key_add(&key, c->dst_path);
	key_add_strv(&key, c->words);
	key_add_digest(&key, &content);
	*ret = key_end(&key);
	return 0;
}

/* ---- the copy ---- */

static int copy_tar(struct step_copy *c, const struct copy *copy, const char *path)
{
	_close_ int fd = source_open(&c->source, path, O_RDONLY);

	if (fd < 0)
		return err(fd, "%s: %s", path, strerror(-fd));
	return add_tar_extract(fd, copy->root_fd, c->dst_path, &copy->owner);
}

static int copy_item(struct builder *b, struct step_copy *c, const struct copy *copy,
		     const struct item *i, bool into)
{
	const struct timespec now = { .tv_sec = b->o->created };

	if (i->text)
		return copy_text(copy, i->path, i->text, c->dst_path, into, &now);
	if (i->is_tar)
		return copy_tar(c, copy, i->path);
	return copy_source(copy, &c->source, i->path, c->dst_path, into);
}

static int copy_items(void *ctx, struct builder *b, _unused_ struct build_step *step, int root_fd)
{
	struct step_copy *c = ctx;
	struct copy copy = { .root_fd = root_fd,
			     .keep_owner = c->from && !c->chown,
			     .mode = c->mode,
			     .special = c->from };
	bool into = c->n > 1 || copy_names_folder(c->dst) || place_is_folder(root_fd, c->dst_path);
	int r = c->chown ? owner_parse(root_fd, c->chown, &copy.owner) : 0;

	for (size_t n = 0; r == 0 && n < c->n; n++)
		r = copy_item(b, c, &copy, &c->items[n], into);
	return r;
}

/* ---- all ---- */

static void step_copy_done(struct builder *b, struct step_copy *c)
{
	if (c->step)
		b->cb->step_abort(b->ctx, c->step);
	json_decref(c->image);
	for (size_t i = 0; i < c->n; i++) {
		free(c->items[i].path);
		free(c->items[i].text);
	}
	free(c->items);
	strv_free(c->words);
	free(c->dst_path);
	free(c->from);
	free(c->chown);
	free(c->chmod);
}

static int copy_step(struct builder *b, struct step_copy *c)
{
	_free_ char *created_by = instruction_text(b->i);
	struct digest key;
	int r = created_by ? copy_read(b, c) : -ENOMEM;

	if (r == 0)
		r = copy_find(b, c);
	if (r == 0)
		r = copy_key(b, c, &key);
	return r < 0 ? r : step_layer(b, &key, created_by, copy_items, c);
}

int step_copy(struct builder *b)
{
	struct step_copy c = { .mode = -1 };
	int r = copy_step(b, &c);

	step_copy_done(b, &c);
	return r;
}
