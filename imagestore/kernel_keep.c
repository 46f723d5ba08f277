/* SPDX-License-Identifier: Apache-2.0 */
/* Keeping kernels: which tops boot them, gc, df, fsck. */
#include "imagestore/digest_set.h"
#include "imagestore/fsck.h"
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

static bool snapshot_kernel(struct store *s, const char *id, struct digest *ret)
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

/* ---- fsck ---- */

struct checking {
	struct fsck *f;
	struct digest_set bad; /* a change of which was told */
};

static void check_file(struct fsck *f, const struct digest *id, const char *name, const char *want)
{
	struct digest digest;

	if (digest_parse(want, &digest) < 0)
		fsck_damage(f, NULL, "%s: no digest in its record", kernel_file(id, name).s);
	else
		fsck_file(f, f->s->dirfd, kernel_file(id, name).s, &digest, NULL);
}

static void check_kernel(struct fsck *f, const struct digest *id)
{
	_json_ json_t *record = NULL;
	const char *file;
	json_t *want;

	f->result.checked++;
	if (kernel_record_read(f->s, id, &record) < 0) {
		fsck_failure(f, NULL, -EBADMSG);
		return;
	}
	json_object_foreach(json_get_object(record, "files"), file, want)
	{
		if (strchr(file, '/') || !json_string_value(want))
			fsck_damage(f, NULL, "%s: not a record", kernel_file(id, NULL).s);
		else
			check_file(f, id, file, json_string_value(want));
	}
}

static int check_one(void *ctx, const char *name)
{
	struct checking *c = ctx;
	uint64_t before = c->f->result.damaged;
	struct digest id;

	if (digest_parse_hex(name, strlen(name), &id) < 0)
		return 0;
	check_kernel(c->f, &id);
	return c->f->result.damaged > before ? MIN(digest_set_add(&c->bad, &id), 0) : 0;
}

/* A folder that is not there was not looked at; who has what it was made of can mend either. */
static int check_name(void *ctx, const char *name, const struct digest *id, const json_t *entry,
		      _unused_ bool is_default)
{
	struct checking *c = ctx;
	const char *source = json_get_str(entry, "source");
	bool missing = !store_has(c->f->s, kernel_file(id, KERNEL_RECORD).s);
	_free_ char *hint = NULL;

	c->f->result.checked++;
	if (missing && !digest_set_has(&c->bad, id))
		fsck_damage(c->f, NULL, "kernel %s: missing", name);
	if (!missing && !digest_set_has(&c->bad, id))
		return 0;
	hint = str_fmt("kernel %s: `strata kernel import --name %s` of what it was made of (%s) "
		       "mends it",
		       name, name, source ? source : "unknown");
	if (hint)
		c->f->fn(c->f->ctx, hint);
	return 0;
}

int kernels_check(struct fsck *f)
{
	struct checking c = { .f = f };
	int r = folder_each(f->s->dirfd, "kernels", check_one, &c), n;

	n = kernel_each_name(f->s, check_name, &c);
	if (n < 0)
		fsck_failure(f, NULL, n);
	digest_set_done(&c.bad);
	return r == -ENOENT ? 0 : r;
}

static void no_line(_unused_ void *ctx, _unused_ const char *line)
{
}

bool kernel_sound(struct store *s, const struct digest *id)
{
	struct fsck f = { .s = s, .fn = no_line };

	check_kernel(&f, id);
	return !f.result.damaged;
}
