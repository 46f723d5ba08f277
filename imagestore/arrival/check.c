/* SPDX-License-Identifier: Apache-2.0 */
/* Whether the files of an arriving image are what was written. */
#include "imagestore/arrival/folder.h"

static int check_image(int dirfd, const struct digest *manifest)
{
	_free_ struct digest *ids = NULL;
	struct image *i;
	size_t n = 0;
	int r = arrival_image(dirfd, manifest, &i);

	if (r < 0)
		return r;
	r = digests_read(dirfd, "layers", &ids, &n);
	for (size_t l = 0; r >= 0 && l < i->nlayers; l++) {
		if (n != i->nlayers || !digest_eq(&ids[l], &i->layers[l].diff_id))
			r = err(-EBADMSG, "its layers are not those of its config");
	}
	image_close(i);
	return r;
}

/* Every block of it, against its digest. */
static int check_index(int dirfd)
{
	_close_ int fd = openat(dirfd, "index", O_RDONLY | O_CLOEXEC);
	_close_ int sums = openat(dirfd, "sums", O_RDONLY | O_CLOEXEC);
	struct layer_index *x;
	int r;

	if (fd < 0 || sums < 0)
		return err_sys("its index");
	r = layer_index_open_verified(fd, sums, &x);
	if (r < 0)
		return r;
	r = layer_index_check(x);
	layer_index_close(x);
	return r;
}

static int check_table(int dirfd)
{
	_close_ int fd = openat(dirfd, "table", O_RDONLY | O_CLOEXEC);
	struct table t;
	int r = fd < 0 ? err_sys("its table") : table_read(fd, &t);

	if (r >= 0)
		table_done(&t);
	return r;
}

int arrival_check(int dirfd, const struct digest *manifest)
{
	int r = check_image(dirfd, manifest);

	if (r >= 0)
		r = check_index(dirfd);
	return r < 0 ? r : check_table(dirfd);
}
