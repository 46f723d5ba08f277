/* SPDX-License-Identifier: Apache-2.0 */
/* A new file of a transaction, written through a buffer and hashed on the way. */
#ifndef IMAGESTORE_OUT_FILE_H
#define IMAGESTORE_OUT_FILE_H

#include "imagestore/txn.h"

struct out_file {
	struct txn *t;
	int fd;
	struct txn_file name;
	struct sha256 hash;
	bool hashed;
	uint64_t size;
	uint8_t *buf;
	size_t used;
};

#define OUT_FILE_NONE ((struct out_file){ .fd = -1 })

int out_file_open(struct txn *t, bool hashed, struct out_file *ret);
int out_file_write(struct out_file *o, const void *data, size_t len);
/* @len zeros that take no room. */
int out_file_hole(struct out_file *o, uint64_t len);
/*
 * Writes out what is buffered and closes; *@ret_digest (may be NULL unless hashed) is of all that
 * was written.
 */
int out_file_close(struct out_file *o, struct digest *ret_digest);
/*
 * Closes and removes a file that is not wanted; also after out_file_close() and before
 * out_file_open().
 */
void out_file_drop(struct out_file *o);
/* After out_file_close(): gives the file its name below the transaction. */
int out_file_name(struct out_file *o, const char *path);

#endif
