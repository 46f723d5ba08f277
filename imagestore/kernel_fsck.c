/* SPDX-License-Identifier: Apache-2.0 */
/* Kernels against their records; what is damaged is named by all that would boot it. */
#include "imagestore/fsck.h"
#include "imagestore/kernel_.h"

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
	struct fsck *f = ctx;
	uint64_t before = f->result.damaged;
	struct digest id;

	if (digest_parse_hex(name, strlen(name), &id) < 0)
		return 0;
	check_kernel(f, &id);
	return f->result.damaged > before ? MIN(digest_set_add(&f->bad_kernels, &id), 0) : 0;
}

/* One that is gone was not looked at. 1: damaged or gone, as was told; 2: told now. */
static int is_bad(struct fsck *f, const struct digest *id, const char *user)
{
	if (!store_has(f->s, kernel_file(id, KERNEL_RECORD).s) &&
	    !digest_set_has(&f->bad_kernels, id)) {
		fsck_damage(f, NULL, "%s: missing", user);
		return digest_set_add(&f->bad_kernels, id) < 0 ? -ENOMEM : 2;
	}
	return digest_set_has(&f->bad_kernels, id);
}

static int check_name(void *ctx, const char *name, const struct digest *id, const json_t *entry,
		      _unused_ bool is_default)
{
	struct fsck *f = ctx;
	const char *source = json_get_str(entry, "source");
	_free_ char *user = str_fmt("kernel %s", name), *hint = NULL;
	int r = user ? is_bad(f, id, user) : -ENOMEM;

	f->result.checked++;
	if (r <= 0)
		return r;
	hint = str_fmt("%s: `strata kernel import --name %s` of what it was made of (%s) mends it, "
		       "`strata kernel rm %s` forgets it",
		       user, name, source ? source : "unknown", name);
	if (hint)
		f->fn(f->ctx, hint);
	return 0;
}

/* One that has no name any more may be what an instance boots all the same. */
static int check_user(void *ctx, const char *id)
{
	struct fsck *f = ctx;
	_free_ char *user = str_fmt("instance %.12s: the kernel that it boots", id), *line = NULL;
	struct digest kernel;
	int r = !user ? -ENOMEM : snapshot_kernel(f->s, id, &kernel) ? is_bad(f, &kernel, user) : 0;

	if (r == 1)
		line = str_fmt("%s is damaged or missing", user);
	if (line)
		f->fn(f->ctx, line);
	return MIN(r, 0);
}

int kernels_check(struct fsck *f)
{
	int r = folder_each(f->s->dirfd, "kernels", check_one, f), n;

	if (r < 0 && r != -ENOENT)
		return r;
	n = kernel_each_name(f->s, check_name, f);
	if (n < 0)
		fsck_failure(f, NULL, n);
	return snapshot_each(f->s, check_user, f);
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
