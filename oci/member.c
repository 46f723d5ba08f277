/* SPDX-License-Identifier: Apache-2.0 */
/* Members of JSON objects with their types asked for. */
#include "base/err.h"
#include "oci/config.h"

static int wrong(const char *key, const char *type)
{
	return err(-EINVAL, "config: %s is not %s", key, type);
}

int member_refuse(const json_t *obj, const char *const *keys)
{
	for (; *keys; keys++) {
		const json_t *j = json_object_get(obj, *keys);

		if (j && !json_is_null(j))
			return err(-EINVAL, "config: %s is not supported", *keys);
	}
	return 0;
}

/* NULL: absent. Go writes null for what was never set. */
static const json_t *find(const json_t *obj, const char *key)
{
	const json_t *j = json_object_get(obj, key);

	return json_is_null(j) ? NULL : j;
}

int member_str(const json_t *obj, const char *key, const char **ret)
{
	const json_t *j = find(obj, key);

	if (!j)
		return 0;
	if (!json_is_string(j) || strlen(json_string_value(j)) != json_string_length(j))
		return wrong(key, "a string");
	*ret = json_string_value(j);
	return 0;
}

int member_bool(const json_t *obj, const char *key, bool *ret)
{
	const json_t *j = find(obj, key);

	if (!j)
		return 0;
	if (!json_is_boolean(j))
		return wrong(key, "true or false");
	*ret = json_is_true(j);
	return 0;
}

int member_int(const json_t *obj, const char *key, int64_t min, int64_t max, int64_t *ret)
{
	const json_t *j = find(obj, key);

	if (!j)
		return 0;
	if (!json_is_integer(j))
		return wrong(key, "a whole number");
	if (json_integer_value(j) < min || json_integer_value(j) > max)
		return err(-EINVAL, "config: %s is %lld, which is out of range", key,
			   (long long)json_integer_value(j));
	*ret = json_integer_value(j);
	return 0;
}

int member_array(const json_t *obj, const char *key, const json_t **ret)
{
	const json_t *j = find(obj, key);

	if (!j)
		return 0;
	if (!json_is_array(j))
		return wrong(key, "a list");
	if (json_array_size(j) > OCI_LIST_MAX)
		return err(-EINVAL, "config: %s has more than %d entries", key, OCI_LIST_MAX);
	*ret = j;
	return 0;
}

int member_object(const json_t *obj, const char *key, const json_t **ret)
{
	const json_t *j = find(obj, key);

	if (!j)
		return 0;
	if (!json_is_object(j))
		return wrong(key, "an object");
	*ret = j;
	return 0;
}

int member_strv(struct keep *a, const json_t *obj, const char *key, char ***ret)
{
	const json_t *list = NULL;
	int r = member_array(obj, key, &list);
	char **v;

	if (r < 0 || !list)
		return r;
	v = keep_new(a, json_array_size(list) + 1, sizeof(*v));
	if (!v)
		return -ENOMEM;
	for (size_t i = 0; i < json_array_size(list); i++) {
		const json_t *j = json_array_get(list, i);

		if (!json_is_string(j) || strlen(json_string_value(j)) != json_string_length(j))
			return wrong(key, "a list of strings");
		v[i] = (char *)json_string_value(j);
	}
	*ret = v;
	return 0;
}
