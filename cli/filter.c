/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/filter.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"

const char *filter_value(const char *filter, const char *key)
{
	const char *behind = str_after(filter, key);

	return behind && *behind == '=' ? behind + 1 : NULL;
}

static int unknown(const struct filter_key *keys, const char *filter)
{
	_buf_done_ struct buf b = { 0 };

	for (; keys->name; keys++) {
		buf_adds(&b, keys->name);
		buf_adds(&b, keys[1].name ? ", " : "");
	}
	return err(-EINVAL, "filter '%s': must be KEY=VALUE with one of %s", filter,
		   b.failed ? "its keys" : b.data);
}

static int check_one(const struct filter_key *keys, const char *filter)
{
	for (const struct filter_key *k = keys; k->name; k++) {
		const char *value = filter_value(filter, k->name);

		if (value)
			return k->check ? k->check(value) : 0;
	}
	return unknown(keys, filter);
}

int filter_check(const struct filter_key *keys, char *const *filters)
{
	int r = 0;

	for (size_t i = 0; r >= 0 && i < strv_len(filters); i++)
		r = check_one(keys, filters[i]);
	return r;
}

static bool match_key(const struct filter_key *k, char *const *filters, const void *entry,
		      const void *ctx)
{
	bool asked = false;

	for (size_t i = 0; filters[i]; i++) {
		const char *value = filter_value(filters[i], k->name);

		if (!value)
			continue;
		asked = true;
		if (k->match(entry, value, i, ctx) != k->every)
			return !k->every;
	}
	return k->every || !asked;
}

bool filter_match(const struct filter_key *keys, char *const *filters, const void *entry,
		  const void *ctx)
{
	if (!filters)
		return true;
	for (const struct filter_key *k = keys; k->name; k++)
		if (!match_key(k, filters, entry, ctx))
			return false;
	return true;
}

bool filter_label(const json_t *labels, const char *value)
{
	size_t len = strcspn(value, "=");
	_free_ char *name = strndup(value, len);
	const char *has = name ? json_get_str(labels, name) : NULL;

	return has && (!value[len] || streq(has, value + len + 1));
}
