/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A tar being written: ustar headers, with a pax header in front where ustar has no room. The same
 * entries give the same bytes.
 */
#ifndef IMAGESTORE_TAR_WRITE_H
#define IMAGESTORE_TAR_WRITE_H

#include "imagestore/tar.h"

struct tar_writer {
	int (*sink)(void *ctx, const void *data, size_t len);
	void *ctx;
};

/*
 * The header; the content of a file follows by tar_write_data(), then tar_write_pad() with the
 * entry's size.
 */
int tar_write_entry(const struct tar_writer *w, const struct tar_entry *e);
int tar_write_data(const struct tar_writer *w, const void *data, size_t len);
int tar_write_pad(const struct tar_writer *w, uint64_t size);
int tar_write_end(const struct tar_writer *w);

#endif
