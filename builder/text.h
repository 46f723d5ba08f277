/* SPDX-License-Identifier: Apache-2.0 */
/* Runs of characters that are no strings. */
#ifndef BUILDER_TEXT_H
#define BUILDER_TEXT_H

#include <ctype.h>
#include <stddef.h>

/* Leaves blanks out at both ends of [*s, *s + *len). */
static inline void text_trim(const char **s, size_t *len)
{
	while (*len && isspace((unsigned char)**s))
		++*s, --*len;
	while (*len && isspace((unsigned char)(*s)[*len - 1]))
		--*len;
}

#endif
