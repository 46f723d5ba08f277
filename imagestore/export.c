/* SPDX-License-Identifier: Apache-2.0 */
/* The tar of a layer, as it came: from its blob, or from its frame when there is none. */
#include "imagestore/decompress.h"
#include "imagestore/frame.h"

struct export
{
	int fd;
	struct sha256 hash;
};

static int write_out(void *export, const void *data, size_t len)
{
	struct export *e = export;
	int r = fd_write_full(e->fd, data, len);

	return r < 0 ? err(r, "writing the layer: %s", strerror(-r)) : 0;
}

static int write_hashed(void *export, const void *data, size_t len)
{
	struct export *e = export;

	sha256_update(&e->hash, data, len);
	return write_out(e, data, len);
}

static int from_blob(int blob, const struct digest *diff_id, struct export *e)
{
	const struct decompress_bounds bounds = { .max_bytes = UINT64_MAX,
						  .max_ratio = UINT32_MAX };
	struct decompress *d;
	struct digest got;
	int r = decompress_new(&bounds, write_hashed, e, &d);

	if (r < 0)
		return r;
	sha256_init(&e->hash);
	r = decompress_fd(d, blob);
	decompress_free(d);
	if (r < 0)
		return r;
	got = sha256_final(&e->hash);
	if (!digest_eq(&got, diff_id))
		return err(-EBADMSG,
			   "layer sha256:%s: its blob is damaged: `strata fsck` says more",
			   digest_hex(diff_id).s);
	return 0;
}

int layer_export(struct store *s, const struct digest *diff_id, int fd)
{
	struct export e = { .fd = fd };
	struct image_layer layer;
	_close_ int blob = -1;
	int r = layer_find(s, diff_id, &layer);

	if (r < 0)
		return r;
	blob = openat(s->dirfd, blob_file(&layer.blob).s, O_RDONLY | O_CLOEXEC);
	if (blob >= 0)
		return from_blob(blob, diff_id, &e);
	if (errno != ENOENT)
		return err_sys("blob sha256:%s", digest_hex(&layer.blob).s);
	return frame_play(s, diff_id, write_out, &e);
}
