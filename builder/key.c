/* SPDX-License-Identifier: Apache-2.0 */
#include "builder/key.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include <errno.h>

static void add_bytes(struct key *k, const void *data, uint64_t len)
{
	sha256_update(&k->h, &len, sizeof(len));
	sha256_update(&k->h, data, len);
}

void key_begin(struct key *k, const struct digest *parent)
{
	sha256_init(&k->h);
	key_add(k, KEY_VERSION);
	key_add_digest(k, parent);
}

void key_add(struct key *k, const char *text)
{
	add_bytes(k, text, strlen(text));
}

void key_add_strv(struct key *k, char *const *v)
{
	uint64_t n = strv_len(v);

	add_bytes(k, &n, sizeof(n));
	for (uint64_t i = 0; i < n; i++)
		key_add(k, v[i]);
}

int key_add_json(struct key *k, const json_t *j)
{
	size_t len;
	_free_ char *text = json_text(j, &len);

	if (!text)
		return -ENOMEM;
	add_bytes(k, text, len);
	return 0;
}

void key_add_digest(struct key *k, const struct digest *d)
{
	add_bytes(k, d->b, sizeof(d->b));
}

struct digest key_end(struct key *k)
{
	return sha256_final(&k->h);
}

int key_base(const json_t *config, struct digest *ret)
{
	static const struct digest none;
	struct key k;
	int r = 0;

	key_begin(&k, &none);
	key_add(&k, config ? "FROM" : "FROM scratch");
	if (config)
		r = key_add_json(&k, config);
	if (r == 0)
		*ret = key_end(&k);
	return r;
}
