/* SPDX-License-Identifier: Apache-2.0 */
#include "base/detach_keys.h"

#include <errno.h>
#include <string.h>

/* One key, of @len bytes of text. */
static int key_parse(const char *s, size_t len, unsigned char *ret)
{
	char c = len ? s[len - 1] : '\0';

	if (len == 1) {
		*ret = (unsigned char)c;
		return 0;
	}
	if (len != strlen("ctrl-x") || memcmp(s, "ctrl-", 5) != 0)
		return -EINVAL;
	if (c >= 'a' && c <= 'z')
		c = (char)(c - 'a' + 'A');
	/* A control key is its letter less 0x40 (ASCII). */
	if (c < '@' || c > '_')
		return -EINVAL;
	*ret = (unsigned char)(c - '@');
	return 0;
}

int detach_keys_parse(const char *text, struct detach_keys *ret)
{
	struct detach_keys k = { 0 };

	while (*text) {
		size_t len = *text == ',' ? 1 : strcspn(text, ",");

		if (k.n == DETACH_KEYS_MAX || key_parse(text, len, &k.keys[k.n++]) < 0)
			return -EINVAL;
		text += len;
		if (*text && (*text != ',' || !*++text))
			return -EINVAL;
	}
	*ret = k;
	return 0;
}

/* @c does not go on what was found: what is still a beginning of the keys stays held back. */
static size_t give_up(struct detach_keys *k, unsigned char c, char *out)
{
	size_t had = k->found, gone;

	for (gone = 1; gone <= had; gone++) {
		size_t rest = had - gone;

		if (memcmp(k->keys, k->keys + gone, rest) == 0 && k->keys[rest] == c)
			break;
	}
	if (gone <= had) {
		memcpy(out, k->keys, gone);
		k->found = had - gone + 1;
		return gone;
	}
	memcpy(out, k->keys, had);
	out[had] = (char)c;
	k->found = 0;
	return had + 1;
}

size_t detach_keys_scan(struct detach_keys *k, const char *in, size_t len, char *out,
			bool *ret_detach)
{
	size_t n = 0;

	*ret_detach = false;
	if (!k->n) {
		memcpy(out, in, len);
		return len;
	}
	for (size_t i = 0; i < len; i++) {
		if ((unsigned char)in[i] != k->keys[k->found]) {
			n += give_up(k, (unsigned char)in[i], out + n);
		} else if (++k->found == k->n) {
			k->found = 0;
			*ret_detach = true;
			return n;
		}
	}
	return n;
}
