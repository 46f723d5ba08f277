/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The keys that end an attachment and leave the command running, as docker and podman have them:
 * found in what is typed, from which they are taken out.
 */
#ifndef BASE_DETACH_KEYS_H
#define BASE_DETACH_KEYS_H

#include <stdbool.h>
#include <stddef.h>

#define DETACH_KEYS	"ctrl-p,ctrl-q"
#define DETACH_KEYS_MAX 16

struct detach_keys {
	unsigned char keys[DETACH_KEYS_MAX];
	size_t n;     /* 0: nothing detaches */
	size_t found; /* so many of them were typed last, and are held back */
};

/* "a" or "ctrl-x", with x one of a-z @ [ \ ] ^ _, joined by commas; "" = none. -EINVAL. */
int detach_keys_parse(const char *text, struct detach_keys *ret);
/*
 * What of the @len bytes at @in goes on, into @out, which has room for DETACH_KEYS_MAX more: how
 * many bytes. *@ret_detach: the keys were typed; nothing after them is looked at.
 */
size_t detach_keys_scan(struct detach_keys *k, const char *in, size_t len, char *out,
			bool *ret_detach);

#endif
