/* SPDX-License-Identifier: Apache-2.0 */
/* Words of an instruction: splitting with quotes, variables, the JSON form. */
#ifndef BUILDER_WORDS_H
#define BUILDER_WORDS_H

#include <stdbool.h>

#define EXPANSION_MAX (256u << 10) /* bytes of one expanded text */

/* Gives the value of a variable, or NULL when it is not set. */
typedef const char *words_lookup_fn(void *ctx, const char *name);

struct words_scope {
	words_lookup_fn *lookup;
	void *ctx;
	char escape;
};

/* Splits at blanks outside of quotes; quotes and escapes stay in the words. *@ret is a strv. */
int words_split(const char *s, char escape, char ***ret);
/*
 * Expands $NAME, ${NAME}, ${NAME:-word}, ${NAME-word}, ${NAME:+word}, ${NAME+word},
 * ${NAME:?word}; removes quotes and escapes. Inside single quotes nothing is expanded. -EINVAL
 * with a text.
 */
int words_expand(const char *s, const struct words_scope *scope, char **ret);
/* Variables alone: quotes and escapes stay, as in the strings of the JSON form. */
int words_expand_raw(const char *s, const struct words_scope *scope, char **ret);
/*
 * As a shell does in a here-document: quotes stay, an escape protects $, ` and itself, and takes
 * the end of a line away.
 */
int words_expand_heredoc(const char *s, const struct words_scope *scope, char **ret);
/* Splits and expands each word. */
int words_expand_all(const char *s, const struct words_scope *scope, char ***ret);
/*
 * An array of strings in JSON: 1 and *@ret (a strv, NULL when empty), 0 when @s is no such array,
 * -errno.
 */
int words_json(const char *s, char ***ret);

#endif
