/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is to be done for each layer of an image. Locks of partial/ are taken in the order of the
 * digests and before the claims of layers (claim.c), so two pulls never wait for one another. A
 * download keeps its name in partial/ until the image is committed: a kill before costs no byte of
 * it.
 */
#include "imagestore/registry/pull.h"

#include <sys/stat.h>

struct partial_name {
	char s[80];
};

static struct partial_name partial_name(const struct digest *blob)
{
	struct partial_name n;

	snprintf(n.s, sizeof(n.s), "partial/%s", digest_hex(blob).s);
	return n;
}

/* ---- what is missing ---- */

/* Mode 0444 is what a pull that was killed before its commit left: whole, most likely. */
static int partial_open(struct pull *p, const char *path)
{
	const int flags = O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW;
	int fd = openat(p->s->dirfd, path, flags, 0600);

	if (fd < 0 && errno == EACCES && fchmodat(p->s->dirfd, path, 0600, 0) == 0)
		fd = openat(p->s->dirfd, path, flags, 0600);
	return fd < 0 ? err_sys("%s/%s", p->s->path, path) : fd;
}

/* What was downloaded is a blob of the store by now, and nobody is at it. */
static void drop_stale(struct pull *p, const char *path)
{
	_close_ int fd = openat(p->s->dirfd, path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	if (fd >= 0 && fd_lock(fd, true, false) == 0)
		unlinkat(p->s->dirfd, path, 0);
}

/* Opens and locks partial/<hex>; another's that has become a blob meanwhile is not it any more. */
static int partial_lock(struct pull *p, struct layer_job *j)
{
	struct partial_name path = partial_name(&j->part.digest);
	struct stat a, b;

	for (;;) {
		_close_ int fd = -1;
		int r = txn_pin_blob(p->l.t, &j->part.digest);

		if (r != -ENOENT) {
			drop_stale(p, path.s);
			return r;
		}
		fd = partial_open(p, path.s);
		if (fd < 0)
			return fd;
		r = fd_lock(fd, true, true);
		if (r < 0)
			return r;
		if (fstat(fd, &a) < 0 || fstatat(p->s->dirfd, path.s, &b, 0) < 0 ||
		    a.st_ino != b.st_ino)
			continue;
		r = txn_pin_blob(p->l.t, &j->part.digest);
		if (r == -ENOENT)
			j->part.fd = take_fd(fd);
		else
			unlinkat(p->s->dirfd, path.s, 0);
		return r == -ENOENT ? 0 : r;
	}
}

static int by_digest(const void *a, const void *b)
{
	const struct layer_job *x = a, *y = b;

	return memcmp(x->part.digest.b, y->part.digest.b, sizeof(x->part.digest.b));
}

/* A job for each blob. That of one layer compressed twice is unpacked once. */
static int make_jobs(const struct pull *p, const struct image *i, struct layer_set *y)
{
	_cleanup_(digest_set_done) struct digest_set blobs = { 0 }, layers = { 0 };

	y->jobs = mem_new(i->nlayers, sizeof(*y->jobs));
	if (!y->jobs)
		return -ENOMEM;
	for (size_t n = 0; n < i->nlayers; n++) {
		const struct image_layer *layer = &i->layers[n];
		int new_blob = digest_set_add(&blobs, &layer->blob), new_layer = 0;
		int r = layer_within(layer, &p->l.bounds);

		if (r < 0)
			return r;
		if (new_blob > 0)
			new_layer = digest_set_add(&layers, &layer->diff_id);
		if (new_blob < 0 || new_layer < 0)
			return -ENOMEM;
		if (!new_blob)
			continue;
		y->jobs[y->n++] = (struct layer_job){
			.layer = layer,
			.part = { .digest = layer->blob, .size = layer->blob_size, .fd = -1 },
			.unpack = new_layer > 0,
		};
	}
	if (y->n)
		qsort(y->jobs, y->n, sizeof(*y->jobs), by_digest);
	return 0;
}

static int need_layer(struct pull *p, struct layer_job *j)
{
	int r = j->unpack ? txn_pin_layer(p->l.t, &j->layer->diff_id) : 0;

	if (r == -ENOENT) {
		r = txn_claim_layer(p->l.t, &j->layer->diff_id);
		if (r >= 0)
			r = txn_pin_layer(p->l.t, &j->layer->diff_id);
	}
	j->unpack = r == -ENOENT;
	return r == -ENOENT ? 0 : r;
}

static int plan(struct pull *p, struct layer_set *y)
{
	int r = 0;

	for (size_t n = 0; r >= 0 && n < y->n; n++)
		r = partial_lock(p, &y->jobs[n]);
	for (size_t n = 0; r >= 0 && n < y->n; n++)
		r = need_layer(p, &y->jobs[n]);
	return r;
}

/* ---- what came ---- */

/* Whole and checked: a blob of the transaction from now on, too. */
static int adopt(struct pull *p, const struct layer_job *j)
{
	struct txn *t = p->l.t;

	if (j->part.fd < 0)
		return 0;
	if (fchmod(j->part.fd, 0444) < 0 || linkat(p->s->dirfd, partial_name(&j->part.digest).s,
						   t->dirfd, txn_blob(&j->part.digest).s, 0) < 0)
		return txn_write_err(t, -errno);
	t->nfiles++;
	t->named_twice = true;
	return 0;
}

/*
 * What was downloaded is of no use: the image was refused, and will be again; or there is no room
 * for it, and gc would leave it for days.
 */
static bool is_hopeless(const struct layer_set *y, int r)
{
	bool refused = r == -ENOSPC || r == -EDQUOT;

	for (size_t n = 0; r < 0 && n < y->n; n++)
		refused |= y->jobs[n].refused;
	return refused;
}

int layers_get(struct pull *p, const struct image *i, struct layer_set *ret)
{
	struct layer_set y = { 0 };
	int r = make_jobs(p, i, &y);

	if (r >= 0)
		r = plan(p, &y);
	if (r >= 0)
		r = pipeline_run(p, y.jobs, y.n);
	for (size_t n = 0; r >= 0 && n < y.n; n++)
		r = adopt(p, &y.jobs[n]);
	if (is_hopeless(&y, r))
		layers_forget(p, &y);
	if (r < 0)
		layers_done(&y);
	else
		*ret = y;
	return MIN(r, 0);
}

void layer_job_forget(const struct pull *p, const struct layer_job *j)
{
	if (j->part.fd >= 0)
		unlinkat(p->s->dirfd, partial_name(&j->part.digest).s, 0);
}

void layers_forget(struct pull *p, struct layer_set *y)
{
	for (size_t n = 0; n < y->n; n++)
		layer_job_forget(p, &y->jobs[n]);
}

void layers_done(struct layer_set *y)
{
	for (size_t n = 0; n < y->n; n++)
		fd_close(y->jobs[n].part.fd);
	free(take_ptr(y->jobs));
	y->n = 0;
}
