/* SPDX-License-Identifier: Apache-2.0 */
/* One layer against its record: index, pack block by block, objects. */
#include "imagestore/fsck.h"

#include <sys/stat.h>

#define BLOCKS 8 /* of a pack, read at once */

static void damage(struct fsck *f, const struct digest *layer, const char *what)
{
	fsck_damage(f, layer, "layer sha256:%s: %s", digest_hex(layer).s, what);
}

/* The files that the record names. */
static void check_files(struct fsck *f, const struct digest *layer, const json_t *record)
{
	const char *name;
	json_t *text;

	json_object_foreach(json_get_object(record, "files"), name, text)
	{
		struct digest want;

		if (!json_is_string(text) || digest_parse(json_string_value(text), &want) < 0 ||
		    strchr(name, '/'))
			damage(f, layer, "record: a file without a digest");
		else
			fsck_file(f, f->s->dirfd, layer_file(layer, name).s, &want, layer);
	}
}

static int check_blocks(struct fsck *f, const struct digest *layer, int pack, int sums,
			uint64_t nblocks)
{
	uint8_t data[BLOCKS * LAYER_BLOCK];
	struct digest want[BLOCKS], got;
	char line[64];

	for (uint64_t b = 0; b < nblocks; b += BLOCKS) {
		size_t n = (size_t)MIN(nblocks - b, (uint64_t)BLOCKS);
		ssize_t d = fd_pread_full(pack, data, n * LAYER_BLOCK, (off_t)(b * LAYER_BLOCK));
		ssize_t s =
			fd_pread_full(sums, want, n * sizeof(*want), (off_t)(b * sizeof(*want)));

		if (d < 0 || s < 0)
			return (int)MIN(d, s);
		if ((size_t)d != n * LAYER_BLOCK || (size_t)s != n * sizeof(*want))
			return -EBADMSG;
		for (size_t i = 0; i < n; i++) {
			got = sha256_of(data + i * LAYER_BLOCK, LAYER_BLOCK);
			if (digest_eq(&got, &want[i]))
				continue;
			snprintf(line, sizeof(line), "pack block %llu: digest mismatch",
				 (unsigned long long)b + i);
			damage(f, layer, line);
		}
	}
	return 0;
}

static void check_pack(struct fsck *f, const struct digest *layer, const struct layer_index *x)
{
	_close_ int pack = openat(f->s->dirfd, layer_file(layer, "pack").s, O_RDONLY | O_CLOEXEC);
	_close_ int sums =
		openat(f->s->dirfd, layer_file(layer, "packsum").s, O_RDONLY | O_CLOEXEC);
	uint64_t nblocks = x && layer_index_ndevices(x) ? layer_index_device(x, 0)->blocks : 0;
	struct stat st;
	int r;

	if (pack < 0 && sums < 0 && nblocks == 0)
		return;
	f->result.checked++;
	if (pack < 0 || sums < 0) {
		damage(f, layer, pack < 0 ? "pack: missing" : "packsum: missing");
		return;
	}
	if (fstat(sums, &st) == 0 && nblocks == 0)
		nblocks = (uint64_t)st.st_size / sizeof(struct digest);
	r = check_blocks(f, layer, pack, sums, nblocks);
	if (r == -EBADMSG)
		damage(f, layer, "pack: cut off");
	else if (r < 0)
		damage(f, layer, strerror(-r));
}

static void check_objects(struct fsck *f, const struct digest *layer)
{
	_free_ struct digest *objects = NULL;
	size_t n = 0;
	int r = layer_objects(f->s->dirfd, layer_file(layer, "objects").s, &objects, &n);

	if (r < 0)
		fsck_failure(f, layer, r);
	for (size_t i = 0; r >= 0 && i < n; i++) {
		if (!digest_set_has(&f->checked_objects, &objects[i]))
			fsck_damage(f, layer, "layer sha256:%s: object sha256:%s is missing",
				    digest_hex(layer).s, digest_hex(&objects[i]).s);
	}
}

static void check_index(struct fsck *f, const struct digest *layer)
{
	struct layer_index *x = NULL;
	int r = layer_index_at(f->s->dirfd, layer, &x);

	f->result.checked++;
	if (r >= 0)
		r = layer_index_check(x);
	if (r < 0) {
		char text[ERR_TEXT_MAX];

		snprintf(text, sizeof(text), "index: %s", err_take(r));
		damage(f, layer, text);
	}
	check_pack(f, layer, r < 0 ? NULL : x);
	layer_index_close(x);
}

int fsck_layer(struct fsck *f, const struct digest *layer)
{
	_json_ json_t *record = NULL;
	int r = record_read(f->s->dirfd, layer_file(layer, "record").s, &record);

	if (r < 0)
		fsck_failure(f, layer,
			     r == -ENOENT ? err(r, "%s: missing", layer_file(layer, "record").s) :
					    r);
	else
		check_files(f, layer, record);
	check_index(f, layer);
	check_objects(f, layer);
	return 0;
}
