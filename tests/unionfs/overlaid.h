/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a `struct mounted` stands on, mounted by the kernel's overlayfs instead: its directories, or
 * its index as EROFS with the objects as a data-only lower, as the driver overlay does.
 */
#ifndef TESTS_UNIONFS_OVERLAID_H
#define TESTS_UNIONFS_OVERLAID_H

#include "mounted.h"

static inline int overlaid_erofs(const struct mounted *m, const char *image)
{
	char index[128], device[160];

	snprintf(index, sizeof(index), "%s/index", m->dir);
	snprintf(device, sizeof(device), "device=%s/pack", m->dir);
	mkdir(image, 0755);
	return mount(index, image, "erofs", MS_RDONLY, device);
}

/* The object of the fixture in the place where the index looks for it. */
static inline void overlaid_object(const struct mounted *m)
{
	char *big = fixture_big(), path[256];
	struct digest d = sha256_of(big, FIXTURE_BIG);
	struct digest_hex hex = digest_hex(&d);
	int dir = mounted_open(m, "objects", O_RDONLY | O_DIRECTORY);

	snprintf(path, sizeof(path), "%.2s", hex.s);
	mkdirat(dir, path, 0755);
	snprintf(path, sizeof(path), "%.2s/%s", hex.s, hex.s);
	if (faccessat(dir, path, F_OK, 0) < 0)
		fixture_file(dir, path, big, FIXTURE_BIG);
	close(dir);
	free(big);
}

/* 0 or -1 with errno: at m->point, with metacopy and redirects. */
static inline int overlaid_begin(const struct mounted *m, bool index)
{
	char options[768], image[128];

	snprintf(image, sizeof(image), "%s/image", m->dir);
	if (index) {
		overlaid_object(m);
		if (overlaid_erofs(m, image) < 0)
			return -1;
		snprintf(options, sizeof(options), "lowerdir=%s::%s/objects", image, m->dir);
	} else {
		snprintf(options, sizeof(options), "lowerdir=%s/top:%s/bottom", m->dir, m->dir);
	}
	snprintf(options + strlen(options), sizeof(options) - strlen(options),
		 ",upperdir=%s/upper,workdir=%s/work,index=off,metacopy=on,redirect_dir=on", m->dir,
		 m->dir);
	return mount("overlay", m->point, "overlay", 0, options);
}

static inline int overlaid_end(const struct mounted *m, bool index)
{
	char image[128];
	int r = umount2(m->point, 0);

	snprintf(image, sizeof(image), "%s/image", m->dir);
	return index && umount2(image, 0) < 0 ? -1 : r;
}

#endif
