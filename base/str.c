/* SPDX-License-Identifier: Apache-2.0 */
#include "base/str.h"

#include "base/mem.h"
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

const char *str_after(const char *s, const char *prefix)
{
	size_t len = strlen(prefix);

	return strncmp(s, prefix, len) == 0 ? s + len : NULL;
}

bool str_ends(const char *s, const char *suffix)
{
	size_t len = strlen(s), n = strlen(suffix);

	return len >= n && streq(s + len - n, suffix);
}

static char *str_vfmt(const char *fmt, va_list ap)
{
	char *s;

	return vasprintf(&s, fmt, ap) < 0 ? NULL : s;
}

char *str_fmt(const char *fmt, ...)
{
	va_list ap;
	char *s;

	va_start(ap, fmt);
	s = str_vfmt(fmt, ap);
	va_end(ap);
	return s;
}

int str_number(const char **s, unsigned base, uint64_t max, uint64_t *ret)
{
	static const char digits[] = "0123456789abcdef";
	const char *digit, *at = *s;
	uint64_t n = 0;

	for (; *at && (digit = strchr(digits, tolower((unsigned char)*at))); at++) {
		uint64_t d = (uint64_t)(digit - digits);

		if (d >= base)
			break;
		if (__builtin_mul_overflow(n, base, &n) || __builtin_add_overflow(n, d, &n) ||
		    n > max)
			return -ERANGE;
	}
	if (at == *s)
		return -EINVAL;
	*s = at;
	*ret = n;
	return 0;
}

const char *str_word(const char *s, unsigned n)
{
	s += strspn(s, " \t");
	while (n-- > 0) {
		s += strcspn(s, " \t\n");
		s += strspn(s, " \t");
	}
	return s;
}

int str_u64(const char *s, uint64_t min, uint64_t max, uint64_t *ret)
{
	uint64_t n;
	int r;

	if (s[strspn(s, "0123456789")])
		return -EINVAL;
	r = str_number(&s, 10, UINT64_MAX, &n);
	if (r < 0)
		return r;
	if (n < min || n > max)
		return -ERANGE;
	*ret = n;
	return 0;
}

/* ".5": *@ret in units of 10^-9, or 0 when there is no fraction; finer digits are dropped. */
static int take_fraction(const char **s, uint64_t *ret)
{
	uint64_t n = 0, unit = 100000000;

	if (**s == '.') {
		(*s)++;
		if (!isdigit((unsigned char)**s))
			return -EINVAL;
		for (; isdigit((unsigned char)**s); (*s)++, unit /= 10)
			n += unit * (uint64_t)(**s - '0');
	}
	*ret = n;
	return 0;
}

/* "", "b", "k", "kb", "kib", ... in either case, the whole string: log2 of the unit, or -EINVAL. */
static int unit_shift(const char *s)
{
	static const char units[] = "kmgtp";
	const char *unit = *s ? strchr(units, tolower((unsigned char)*s)) : NULL;

	if (unit) {
		s++;
		if (tolower((unsigned char)*s) == 'i')
			s++;
	}
	if (tolower((unsigned char)*s) == 'b')
		s++;
	if (*s)
		return -EINVAL;
	return unit ? 10 * (int)(unit - units + 1) : 0;
}

int str_size(const char *s, uint64_t *ret)
{
	unsigned __int128 bytes;
	uint64_t whole, billionths;
	int r, shift;

	r = str_number(&s, 10, UINT64_MAX, &whole);
	if (r < 0)
		return r;
	r = take_fraction(&s, &billionths);
	if (r < 0)
		return r;
	shift = unit_shift(s);
	if (shift < 0)
		return shift;
	bytes = ((unsigned __int128)whole << shift) +
		((unsigned __int128)billionths << shift) / 1000000000;
	if (bytes > UINT64_MAX)
		return -ERANGE;
	*ret = (uint64_t)bytes;
	return 0;
}

struct str_human str_human(uint64_t bytes)
{
	static const char *const units[] = { "B", "kB", "MB", "GB", "TB", "PB", "EB" };
	double n = (double)bytes;
	struct str_human h;
	size_t i = 0;

	/* Three digits are shown; 999.5 would be rounded to a fourth. */
	for (; n >= 999.5 && i + 1 < ARRAY_SIZE(units); i++)
		n /= 1000;
	snprintf(h.s, sizeof(h.s), "%.3g %s", n, units[i]);
	return h;
}

int str_copy(char *dst, size_t size, const char *src)
{
	size_t len = strlen(src);

	if (len >= size)
		return -ENAMETOOLONG;
	memcpy(dst, src, len + 1);
	return 0;
}

/*
 * The length of the UTF-8 sequence of two bytes or more at @s (RFC 3629, section 4) and its code
 * point, or 0.
 */
static size_t utf8_decode(const unsigned char *s, uint32_t *ret)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t len = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
	uint32_t c = s[0] & (0xffu >> (len + 1));

	if (s[0] < 0xc2 || s[0] > 0xf4)
		return 0;
	for (size_t i = 1; i < len; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (s[i] & 0x3f);
	}
	if (c < least[len] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return 0;
	*ret = c;
	return len;
}

/*
 * How many bytes at @s a terminal only shows: not controls, nor what turns the direction of the
 * text.
 */
static size_t printable_len(const char *s)
{
	const unsigned char *u = (const unsigned char *)s;
	uint32_t c;
	size_t len;

	if (*u < 0x80)
		return *u >= 0x20 && *u != 0x7f;
	len = utf8_decode(u, &c);
	if (!len || c < 0xa0 || (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069))
		return 0;
	return len;
}

void str_unescape_octal(char *s)
{
	char *out = s;

	while (*s) {
		if (s[0] == '\\' && s[1] >= '0' && s[1] <= '3' && s[2] && s[3]) {
			*out++ = (char)((s[1] - '0') * 64 + (s[2] - '0') * 8 + (s[3] - '0'));
			s += 4;
		} else {
			*out++ = *s++;
		}
	}
	*out = '\0';
}

void str_printable(char *dst, size_t size, const char *src)
{
	static const char digits[] = "0123456789abcdef";

	while (size && *src) {
		size_t len = printable_len(src), out = len ? len : 4;

		if (out >= size)
			break;
		if (len) {
			memcpy(dst, src, len);
		} else {
			unsigned char c = (unsigned char)*src;

			memcpy(dst, (char[]){ '\\', 'x', digits[c >> 4], digits[c & 15] }, 4);
		}
		src += len ? len : 1;
		dst += out;
		size -= out;
	}
	if (size)
		*dst = '\0';
}

size_t strv_len(char *const *v)
{
	size_t n = 0;

	while (v && v[n])
		n++;
	return n;
}

void strv_free(char **v)
{
	for (size_t i = 0; v && v[i]; i++)
		free(v[i]);
	free(v);
}

/* Appends @s itself, which is the vector's from then on. */
static int strv_push(char ***v, char *s)
{
	size_t n = strv_len(*v);
	char **grown;

	grown = realloc(*v, (n + 2) * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	grown[n] = s;
	grown[n + 1] = NULL;
	*v = grown;
	return 0;
}

static int strv_push_or_free(char ***v, char *s)
{
	int r = s ? strv_push(v, s) : -ENOMEM;

	if (r < 0)
		free(s);
	return r;
}

int strv_add(char ***v, const char *s)
{
	return strv_push_or_free(v, strdup(s));
}

int strv_addf(char ***v, const char *fmt, ...)
{
	va_list ap;
	char *s;

	va_start(ap, fmt);
	s = str_vfmt(fmt, ap);
	va_end(ap);
	return strv_push_or_free(v, s);
}

int strv_dup(char *const *v, char ***ret)
{
	_strv_free_ char **copy = NULL;
	size_t n = strv_len(v);

	if (n) {
		copy = mem_new(n + 1, sizeof(*copy));
		if (!copy)
			return -ENOMEM;
	}
	for (size_t i = 0; i < n; i++) {
		copy[i] = strdup(v[i]);
		if (!copy[i])
			return -ENOMEM;
	}
	*ret = take_ptr(copy);
	return 0;
}

/* The entry of the variable whose name is the first @len bytes of @name, or NULL. */
static char *const *env_find(char *const *v, const char *name, size_t len)
{
	for (; v && *v; v++) {
		if (strncmp(*v, name, len) == 0 && (*v)[len] == '=')
			return v;
	}
	return NULL;
}

int strv_setenv(char ***v, const char *assignment)
{
	const char *equals = strchr(assignment, '=');
	char *const *old;
	char *s;

	if (!equals || equals == assignment)
		return -EINVAL;
	old = env_find(*v, assignment, (size_t)(equals - assignment));
	if (!old)
		return strv_add(v, assignment);
	s = strdup(assignment);
	if (!s)
		return -ENOMEM;
	free(*old);
	(*v)[old - *v] = s;
	return 0;
}

const char *strv_getenv(char *const *v, const char *name)
{
	size_t len = strlen(name);
	char *const *entry = env_find(v, name, len);

	return entry ? *entry + len + 1 : NULL;
}
