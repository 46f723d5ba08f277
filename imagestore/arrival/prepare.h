/* SPDX-License-Identifier: Apache-2.0 */
/* Making an image that arrives, out of its documents and its layers' tables of contents. */
#ifndef IMAGESTORE_ARRIVAL_PREPARE_H
#define IMAGESTORE_ARRIVAL_PREPARE_H

#include "imagestore/arrival/outline.h"
#include "imagestore/registry/pull.h"

/* What is made of it; layers that the store has stand in it as they are. */
struct arrival_plan {
	const struct image *image;
	struct outline *outlines; /* one a layer; of one that is here only `index` */
	bool *arrives;		  /* one a layer */
	uint64_t data;		  /* bytes */
	uint64_t tables;	  /* bytes of all the tables of contents */
};

/*
 * 1: the image arrives from now on, or did already. 0: it cannot, with a line in the log that says
 * why unless all of it is here; it is to be pulled as ever. The documents stand in the transaction.
 */
int arrival_prepare(struct pull *p, const struct found *f, const struct image *i);

/* write_table.c: the merged index in @index_fd, and the table of its contents in @table_fd. */
int arrival_write(const struct arrival_plan *plan, int index_fd, int table_fd);

#endif
