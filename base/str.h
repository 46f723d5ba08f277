/* SPDX-License-Identifier: Apache-2.0 */
/* Strings and NULL-terminated vectors of them (argv, env). */
#ifndef BASE_STR_H
#define BASE_STR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline bool streq(const char *a, const char *b)
{
	return strcmp(a, b) == 0;
}

/* Whether a directory entry's name is "." or "..". */
static inline bool str_is_dots(const char *name, size_t len)
{
	return len && len <= 2 && memcmp(name, "..", len) == 0;
}

/* What follows @prefix in @s, or NULL. */
const char *str_after(const char *s, const char *prefix);
bool str_ends(const char *s, const char *suffix);

/* A formatted string that the caller frees, or NULL. */
char *str_fmt(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* A decimal number in [min, max], the whole string: 0, -EINVAL or -ERANGE. */
int str_u64(const char *s, uint64_t min, uint64_t max, uint64_t *ret);
/*
 * The number of base 8, 10 or 16 that *@s begins with, without sign, blank or prefix, up to @max;
 * *@s is behind it then. 0, -EINVAL or -ERANGE.
 */
int str_number(const char **s, unsigned base, uint64_t max, uint64_t *ret);
/* The @n-th word of a line, from 0 on, with what is behind it; blanks and tabs are between. */
const char *str_word(const char *s, unsigned n);
/*
 * A size as docker takes it: a decimal number ("1.5" too), optionally with b, k, m, g, t or p
 * (powers of 1024; kb and kib are k). In bytes: 0, -EINVAL or -ERANGE.
 */
int str_size(const char *s, uint64_t *ret);
/* "1.5 MB" style for a person, decimal units as docker prints them. */
struct str_human {
	char s[16];
};
struct str_human str_human(uint64_t bytes);

/* A copy into a fixed array, always terminated: 0 or -ENAMETOOLONG (nothing is copied then). */
int str_copy(char *dst, size_t size, const char *src);

/* Escapes for one line on a terminal: control bytes become \xNN. Cut at @size. */
void str_printable(char *dst, size_t size, const char *src);

/* In place: \ooo (octal) becomes its byte, as blanks stand in mountinfo (proc(5)). */
void str_unescape_octal(char *s);

/* strv: a NULL-terminated vector whose strings and array are on the heap. NULL is an empty one. */
size_t strv_len(char *const *v);
void strv_free(char **v);
static inline void strv_freep_(char ***v)
{
	strv_free(*v);
}
#define _strv_free_ __attribute__((cleanup(strv_freep_)))
/* Appends a copy of @s: 0 or -ENOMEM. */
int strv_add(char ***v, const char *s);
int strv_addf(char ***v, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* A deep copy; *@ret is NULL for an empty one. */
int strv_dup(char *const *v, char ***ret);
/* env: sets NAME=VALUE, replacing one of that NAME. */
int strv_setenv(char ***v, const char *assignment);
/* env: the value of @name, or NULL. */
const char *strv_getenv(char *const *v, const char *name);

#endif
