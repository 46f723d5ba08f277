/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The text of a Containerfile by lines: physical ones, and logical ones of which they are the
 * parts.
 */
#ifndef BUILDER_READER_H
#define BUILDER_READER_H

#include "base/buf.h"
#include "builder/containerfile.h"

struct reader {
	const char *file, *at, *end;
	unsigned line; /* of the line that comes next */
	char escape;
};

void reader_init(struct reader *r, const char *file, const char *text, size_t len);
/* The next physical line without its end, as [*ret, *ret + *ret_len). */
bool reader_line(struct reader *r, const char **ret, size_t *ret_len);
/*
 * Parser directives count only above everything else; "escape" is the one that means something
 * here.
 */
int reader_directives(struct reader *r);
/* The next logical line: 1, or 0 at the end. *@ret_line is where it began. */
int reader_logical(struct reader *r, struct buf *b, unsigned *ret_line);

/* Takes in the bodies of the here-documents that @i names, which come next. */
int instruction_heredocs(struct reader *r, struct instruction *i);

#endif
