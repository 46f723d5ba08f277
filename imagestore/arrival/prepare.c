/* SPDX-License-Identifier: Apache-2.0 */
#include "imagestore/arrival/prepare.h"

#include "base/log.h"
#include "imagestore/arrival/folder.h"
#include "imagestore/decompress.h"
#include <sys/stat.h>

/* What is read of them stays in memory until all is written; an image may have 500 of them. */
#define TABLES_MAX (2 * TOC_MAX)

/* ---- one table of contents ---- */

static int into_buf(void *ctx, const void *data, size_t len)
{
	return buf_add(ctx, data, len);
}

/* Its digest stands in the manifest: after this it is what its publisher wrote. */
static int fetch_packed(struct pull *p, const struct image_layer *l, const struct toc_place *at,
			struct buf *ret)
{
	struct digest got;
	int r = range_fetch(p->r, &l->blob, at->offset, at->packed, into_buf, ret);

	if (r < 0)
		return r;
	got = sha256_of(ret->data, ret->len);
	if (!digest_eq(&got, &at->digest))
		return err(-EBADMSG, "layer sha256:%.12s: its table of contents: digest mismatch",
			   digest_hex(&l->blob).s);
	return 0;
}

static int unpack(const struct buf *packed, const struct toc_place *at, struct buf *ret)
{
	const struct decompress_bounds bounds = { .max_bytes = at->size, .max_ratio = UINT32_MAX };
	struct decompress *d;
	int r = decompress_new(&bounds, into_buf, ret, &d);

	if (r < 0)
		return r;
	r = decompress_feed(d, packed->data, packed->len);
	if (r >= 0)
		r = decompress_finish(d);
	decompress_free(d);
	return r == -EFBIG ? -EBADMSG : r;
}

/* -EOPNOTSUPP: none, or one that is of no use: no reason not to pull the image as ever. */
static int outline(struct pull *p, const struct image_layer *l, const json_t *descriptor,
		   struct arrival_plan *plan, struct outline *ret)
{
	_buf_done_ struct buf packed = { 0 }, text = { 0 };
	struct toc_place at;
	struct toc toc;
	int r;

	if (!toc_place_of(descriptor, l->blob_size, &at))
		return err(-EOPNOTSUPP, "it has no table of contents (zstd:chunked)");
	plan->tables += at.size;
	if (plan->tables > TABLES_MAX)
		return err(-EOPNOTSUPP, "the image's tables of contents have over %u MiB",
			   TABLES_MAX >> 20);
	r = fetch_packed(p, l, &at, &packed);
	if (r < 0)
		return r;
	r = unpack(&packed, &at, &text);
	if (r >= 0)
		r = toc_parse(text.data ? text.data : "", text.len, at.offset, &toc);
	if (r >= 0)
		r = outline_make(&toc, &l->diff_id, &p->l.bounds, &plan->data, ret);
	return r == -EBADMSG ? -EOPNOTSUPP : r;
}

/* ---- the plan ---- */

static void plan_done(struct arrival_plan *plan)
{
	for (size_t i = 0; plan->outlines && i < plan->image->nlayers; i++)
		outline_done(&plan->outlines[i]);
	free(plan->outlines);
	free(plan->arrives);
}

static bool layer_is_here(struct pull *p, const struct digest *diff_id)
{
	return store_has(p->s, layer_file(diff_id, "index").s);
}

/* The same layer twice in one image comes once. */
static bool planned_before(const struct arrival_plan *plan, size_t i)
{
	for (size_t k = 0; k < i; k++) {
		if (plan->arrives[k] &&
		    digest_eq(&plan->image->layers[k].diff_id, &plan->image->layers[i].diff_id))
			return true;
	}
	return false;
}

static int plan_layer(struct pull *p, const struct found *f, struct arrival_plan *plan, size_t i)
{
	const struct image_layer *l = &plan->image->layers[i];
	const json_t *layers = json_get_array(f->doc, "layers");
	char why[ERR_TEXT_MAX];
	int r;

	if (planned_before(plan, i))
		return err(-EOPNOTSUPP, "%s has a layer twice: it is pulled whole", p->l.path);
	if (layer_is_here(p, &l->diff_id)) {
		r = txn_pin_layer(p->l.t, &l->diff_id);
		return r < 0 ? r :
			       layer_index_checked(p->s->dirfd, &l->diff_id,
						   &plan->outlines[i].index);
	}
	r = outline(p, l, json_array_get(layers, i), plan, &plan->outlines[i]);
	plan->arrives[i] = r >= 0;
	if (r >= 0)
		return 0;
	snprintf(why, sizeof(why), "%s", err_take(r));
	return err(r, "%s: layer sha256:%.12s: %s%s", p->l.path, digest_hex(&l->blob).s, why,
		   r == -EOPNOTSUPP ? ": it is pulled whole" : "");
}

static int make_plan(struct pull *p, const struct found *f, struct arrival_plan *plan)
{
	size_t n = plan->image->nlayers;
	int r = 0;

	plan->outlines = mem_new(n, sizeof(*plan->outlines));
	plan->arrives = mem_new(n, sizeof(*plan->arrives));
	if (!plan->outlines || !plan->arrives)
		return -ENOMEM;
	for (size_t i = 0; r >= 0 && i < n; i++)
		r = plan_layer(p, f, plan, i);
	return r;
}

/* ---- its files ---- */

static int new_file(int dirfd, const char *name)
{
	int fd = openat(dirfd, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0444);

	return fd < 0 ? err_sys("arriving image: %s", name) : fd;
}

static int put_file(int dirfd, const char *name, const char *text)
{
	_close_ int fd = new_file(dirfd, name);
	int r = fd < 0 ? fd : fd_write_full(fd, text, strlen(text));

	return r >= 0 && fdatasync(fd) < 0 ? -errno : r;
}

static int write_layers(int dirfd, const struct image *i)
{
	_free_ struct digest *ids = mem_new(i->nlayers, sizeof(*ids));
	_free_ char *text = NULL;

	if (!ids)
		return -ENOMEM;
	for (size_t l = 0; l < i->nlayers; l++)
		ids[l] = i->layers[l].diff_id;
	text = digests_text(ids, i->nlayers);
	return text ? put_file(dirfd, "layers", text) : -ENOMEM;
}

static int write_note(struct pull *p, const struct found *f, int dirfd)
{
	struct platform_text platform = platform_text(&p->l.platform);
	struct arrival_note n = { .name = p->name.stored,
				  .source = p->l.t->source,
				  .platform = platform.s,
				  .asked = f->asked };

	return arrival_note_write(dirfd, &n);
}

static int write_index(const struct arrival_plan *plan, int dirfd)
{
	_close_ int index = new_file(dirfd, "index"), sums = new_file(dirfd, "sums"),
		    file = new_file(dirfd, "table");
	struct table table;
	int r = index < 0 || sums < 0 || file < 0 ? -EIO : arrival_write(plan, index, file);

	if (r >= 0)
		r = layer_index_sums(index, sums);
	if (r >= 0 && (fdatasync(index) < 0 || fdatasync(sums) < 0 || fdatasync(file) < 0))
		r = -errno;
	if (r >= 0)
		r = table_read(file, &table);
	if (r < 0)
		return r;
	r = arrival_make_state(dirfd, &table);
	table_done(&table);
	return r;
}

static int link_document(struct txn *t, const struct digest *d, int dirfd, const char *name)
{
	return linkat(t->dirfd, txn_blob(d).s, dirfd, name, 0) < 0 ? txn_write_err(t, -errno) : 0;
}

static int write_files(struct pull *p, const struct found *f, const struct arrival_plan *plan,
		       int dirfd)
{
	const struct image *i = plan->image;
	int r = link_document(p->l.t, &i->manifest, dirfd, "manifest");

	if (r >= 0)
		r = link_document(p->l.t, &i->config_digest, dirfd, "config");
	if (r >= 0)
		r = write_index(plan, dirfd);
	if (r >= 0)
		r = write_layers(dirfd, i);
	if (r >= 0)
		r = put_file(dirfd, "use", "");
	if (r >= 0)
		r = put_file(dirfd, "behind", "");
	return r < 0 ? r : write_note(p, f, dirfd);
}

/* ---- its name ---- */

static int publish(struct pull *p, const struct digest *manifest)
{
	_close_ int lock = -1, folder = -1;
	int r;

	if (mkdirat(p->s->dirfd, "arriving", 0755) < 0 && errno != EEXIST)
		return err_sys("%s/arriving", p->s->path);
	/* gc sees the transaction, which holds the layers that are here, or the folder. */
	r = store_lock(p->s, false, &lock);
	if (r >= 0 &&
	    renameat2(p->l.t->dirfd, "arriving", p->s->dirfd, arrival_file(manifest, NULL).s,
		      RENAME_NOREPLACE) < 0 &&
	    errno != EEXIST)
		r = err_sys("%s/arriving", p->s->path);
	if (r < 0)
		return r;
	folder = openat(p->s->dirfd, "arriving", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return folder < 0 || fsync(folder) < 0 ? err_sys("%s/arriving", p->s->path) : 0;
}

/* The name is of one image: another that arrives under it will have none. */
struct naming {
	const char *name;
	const struct digest *manifest;
};

static int take_name(void *ctx, const struct digest *manifest, int dirfd)
{
	const struct naming *w = ctx;
	_cleanup_(arrival_note_done) struct arrival_note n = { 0 };

	if (digest_eq(manifest, w->manifest) || arrival_note_read(dirfd, &n) < 0) {
		err_clear();
		return 0;
	}
	if (!n.name || !streq(n.name, w->name))
		return 0;
	free(take_ptr(n.name));
	return arrival_note_write(dirfd, &n);
}

static int take_names(struct pull *p, const struct digest *manifest)
{
	struct naming w = { .name = p->name.stored, .manifest = manifest };

	return w.name ? arrival_each(p->s, take_name, &w) : 0;
}

static int make(struct pull *p, const struct found *f, struct arrival_plan *plan)
{
	_close_ int dirfd = -1;
	int r = make_plan(p, f, plan);

	if (r < 0)
		return r;
	if (mkdirat(p->l.t->dirfd, "arriving", 0755) < 0)
		return txn_write_err(p->l.t, -errno);
	dirfd = openat(p->l.t->dirfd, "arriving", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dirfd < 0)
		return txn_write_err(p->l.t, -errno);
	r = write_files(p, f, plan, dirfd);
	if (r >= 0 && fsync(dirfd) < 0)
		r = -errno;
	if (r < 0)
		return err_text() ? r : txn_write_err(p->l.t, r);
	r = publish(p, &plan->image->manifest);
	return r < 0 ? r : take_names(p, &plan->image->manifest);
}

static bool all_here(struct pull *p, const struct image *i)
{
	for (size_t l = 0; l < i->nlayers; l++) {
		if (!layer_is_here(p, &i->layers[l].diff_id))
			return false;
	}
	return true;
}

/* Another name for it than it was pulled by before. */
static int rename_known(struct pull *p, const struct found *f, const struct digest *manifest,
			int dirfd)
{
	int r = p->name.stored ? write_note(p, f, dirfd) : 0;

	return r < 0 ? r : take_names(p, manifest);
}

int arrival_prepare(struct pull *p, const struct found *f, const struct image *i)
{
	_cleanup_(plan_done) struct arrival_plan plan = { .image = i };
	_close_ int known = -1;
	int r;

	if (all_here(p, i))
		return 0;
	known = arrival_dir(p->s, &i->manifest);
	if (known >= 0 && !arrival_is_whole(known)) {
		unlinkat(known, "bad", 0); /* another try */
		r = rename_known(p, f, &i->manifest, known);
		return r < 0 ? r : 1;
	}
	if (known >= 0 && arrival_drop(p->s, &i->manifest) == -EBUSY) {
		err_clear(); /* it was whole, and then removed under who still reads from it */
		return 0;
	}
	r = make(p, f, &plan);
	if (r == -EOPNOTSUPP) {
		log_warn("%s", err_take(r));
		return 0;
	}
	return r < 0 ? r : 1;
}
