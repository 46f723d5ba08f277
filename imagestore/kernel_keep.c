/* SPDX-License-Identifier: Apache-2.0 */
/* Keeping kernels: which tops boot them, gc, df. */
#include "imagestore/digest_set.h"
#include "imagestore/kernel_.h"

#include <sys/stat.h>

/* ---- who boots them: snapshots/<id>/kernel ---- */

/* The kernel that the file is one of, by the form of its path below the root. */
static bool kernel_of_path(const struct store *s, const char *path, struct digest *ret)
{
	const char *rest = str_after(path, s->path);

	rest = rest ? str_after(rest, "/kernels/") : NULL;
	return rest && strlen(rest) > 64 && rest[64] == '/' && digest_parse_hex(rest, 64, ret) == 0;
}

int snapshot_note_kernel(struct store *s, const char *id, const char *vmlinux)
{
	_free_ char *path = str_fmt("snapshots/%s", id);
	_close_ int dir = -1;
	struct digest kernel;
	int r;

	if (!path)
		return -ENOMEM;
	if (!kernel_of_path(s, vmlinux, &kernel))
		return 0;
	dir = openat(s->dirfd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	r = dir < 0 ? -errno : file_replace(dir, "kernel", digest_hex(&kernel).s, 64, 0444, false);
	return r < 0 ? err(r, "%s/%s/kernel: %s", s->path, path, strerror(-r)) : 0;
}

bool snapshot_kernel(struct store *s, const char *id, struct digest *ret)
{
	_free_ char *path = str_fmt("snapshots/%s/kernel", id), *text = NULL;
	size_t len;

	return path && file_read_all(s->dirfd, path, 64, &text, &len) == 0 &&
	       digest_parse_hex(text, len, ret) == 0;
}

struct user_search {
	struct store *s;
	const struct digest *kernel;
	char *ret;
};

static int is_user(void *ctx, const char *id)
{
	struct user_search *u = ctx;
	struct digest kernel;

	if (!snapshot_kernel(u->s, id, &kernel) || !digest_eq(&kernel, u->kernel))
		return 0;
	snprintf(u->ret, KERNEL_USER_MAX, "%s", id);
	return 1;
}

bool kernel_user(struct store *s, const struct digest *id, char ret[KERNEL_USER_MAX])
{
	struct user_search u = { s, id, ret };

	return snapshot_each(s, is_user, &u) == 1;
}

/* ---- gc ---- */

struct sweep {
	struct store *s;
	struct digest_set live;
};

static int mark_name(void *ctx, _unused_ const char *name, const struct digest *id,
		     _unused_ const json_t *entry, _unused_ bool is_default)
{
	return MIN(digest_set_add(&((struct sweep *)ctx)->live, id), 0);
}

static int mark_snapshot(void *ctx, const char *id)
{
	struct sweep *w = ctx;
	struct digest kernel;

	return snapshot_kernel(w->s, id, &kernel) ? MIN(digest_set_add(&w->live, &kernel), 0) : 0;
}

static int sweep_one(void *ctx, const char *name)
{
	struct sweep *w = ctx;
	struct digest id;

	if (digest_parse_hex(name, strlen(name), &id) < 0 || digest_set_has(&w->live, &id))
		return 0;
	return trash_move(w->s, kernel_file(&id, NULL).s);
}

int kernels_sweep(struct store *s)
{
	struct sweep w = { .s = s };
	int r = kernel_each_name(s, mark_name, &w);

	if (r >= 0)
		r = snapshot_each(s, mark_snapshot, &w);
	if (r >= 0)
		r = folder_each(s->dirfd, "kernels", sweep_one, &w);
	digest_set_done(&w.live);
	return r == -ENOENT ? 0 : r;
}

/* ---- df ---- */

struct sum {
	struct sweep live;
	struct df_total *t;
};

static int sum_one(void *ctx, const char *name)
{
	struct sum *sum = ctx;
	struct digest id;
	uint64_t bytes;

	if (digest_parse_hex(name, strlen(name), &id) < 0)
		return 0;
	bytes = kernel_bytes_of(sum->live.s, &id);
	sum->t->kernels++;
	sum->t->kernel_bytes += bytes;
	sum->t->kernel_reclaimable += digest_set_has(&sum->live.live, &id) ? 0 : bytes;
	return 0;
}

void kernels_sum(struct store *s, struct df_total *t)
{
	struct sum sum = { .live.s = s, .t = t };

	if (kernel_each_name(s, mark_name, &sum.live) < 0)
		err_clear();
	snapshot_each(s, mark_snapshot, &sum.live);
	folder_each(s->dirfd, "kernels", sum_one, &sum);
	digest_set_done(&sum.live.live);
}
