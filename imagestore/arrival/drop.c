/* SPDX-License-Identifier: Apache-2.0 */
/* Away with an image that arrives: because it is whole, unwanted, or left. */
#include "imagestore/arrival/folder.h"

#include <sys/stat.h>
#include <time.h>

#define LEFT_SECONDS (24 * 3600) /* as a download in partial/ */

struct chain {
	struct store *s;
	struct digest *ids;
	size_t n;
};

static int stands_on(void *ctx, const char *id)
{
	_free_ struct digest *ids = NULL;
	const struct chain *chain = ctx;
	size_t n = 0;
	int r = snapshot_base(chain->s, id, &ids, &n);

	/* One that has none goes just now, or was never finished; of any other it is not known. */
	if (r == -ENOENT)
		err_clear();
	if (r < 0)
		return r == -ENOENT ? 0 : r;
	return n == chain->n && n && memcmp(ids, chain->ids, n * sizeof(*ids)) == 0;
}

/* Whether an instance needs it: its layers are nowhere else. */
static int is_stood_on(struct store *s, const struct digest *manifest, int dirfd)
{
	struct chain chain = { .s = s };
	int r;

	if (arrival_has_come(s, manifest, dirfd))
		return 0;
	if (digests_read(dirfd, "layers", &chain.ids, &chain.n) < 0) {
		err_clear(); /* one that is damaged goes */
		return 0;
	}
	r = snapshot_each(s, stands_on, &chain);
	free(chain.ids);
	return r;
}

/* Under the store's lock, exclusive: no instance is made on it meanwhile. */
static int drop_locked(struct store *s, const struct digest *manifest)
{
	_close_ int dirfd = arrival_dir(s, manifest), use = -1;
	int r;

	if (dirfd < 0)
		return dirfd;
	r = is_stood_on(s, manifest, dirfd);
	if (r)
		return r > 0 ? -EBUSY : r;
	use = openat(dirfd, "use", O_RDONLY | O_CLOEXEC);
	if (use >= 0 && fd_lock(use, true, false) < 0)
		return -EBUSY;
	return trash_move(s, arrival_file(manifest, NULL).s);
}

int arrival_drop(struct store *s, const struct digest *manifest)
{
	_close_ int lock = -1;
	int r = store_lock(s, true, &lock);

	if (r >= 0)
		r = drop_locked(s, manifest);
	lock = fd_close(lock);
	if (r >= 0)
		trash_empty(s, NULL);
	return r;
}

int arrival_remove(struct store *s, const char *ref)
{
	struct digest manifest;
	int r = arrival_find_ref(s, ref, &manifest);

	if (r >= 0)
		r = arrival_drop(s, &manifest);
	if (r == -EBUSY)
		return err(r, "%s is still arriving, and an instance stands on it", ref);
	return r;
}

static int sweep_one(void *ctx, const struct digest *manifest, int dirfd)
{
	struct stat st;

	if (!arrival_has_come(ctx, manifest, dirfd) &&
	    (fstatat(dirfd, "state", &st, 0) < 0 || time(NULL) - st.st_mtime < LEFT_SECONDS))
		return 0;
	drop_locked(ctx, manifest);
	err_clear();
	return 0;
}

int arrival_sweep(struct store *s)
{
	return arrival_each(s, sweep_one, s);
}
