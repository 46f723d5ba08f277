/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json.h"

#include "base/err.h"
#include "base/fd.h"
#include "base/str.h"
#include <stdatomic.h>
#include <sys/random.h>

/*
 * What keys are hashed with, so that nobody can choose keys that collide. By itself jansson opens,
 * reads and closes /dev/urandom.
 */
static void seed(void)
{
	static atomic_bool done;
	size_t n;

	if (!atomic_exchange(&done, true) && getrandom(&n, sizeof(n), GRND_NONBLOCK) == sizeof(n))
		json_object_seed(n);
}

int json_parse(const char *data, size_t len, const char *what, json_t **ret)
{
	json_error_t e;
	json_t *j;

	if (len > JSON_MAX)
		return err(-EFBIG, "%s: a JSON document of %zu bytes; at most %u are read", what,
			   len, JSON_MAX);
	seed();
	j = json_loadb(data, len, JSON_REJECT_DUPLICATES, &e);
	if (!j)
		return err(-EBADMSG, "%s: not the JSON it should be: line %d: %s", what, e.line,
			   e.text);
	*ret = j;
	return 0;
}

int json_parse_file(int dirfd, const char *path, const char *what, json_t **ret)
{
	_free_ char *data = NULL;
	size_t len;
	int r;

	r = file_read_all(dirfd, path, JSON_MAX, &data, &len);
	if (r == -EFBIG)
		return err(r, "%s: a JSON document of more than %u bytes", what, JSON_MAX);
	if (r < 0)
		return err(r, "%s: %s", what, strerror(-r));
	return json_parse(data, len, what, ret);
}

const char *json_get_str(const json_t *obj, const char *key)
{
	return json_string_value(json_object_get(obj, key));
}

int64_t json_get_int(const json_t *obj, const char *key, int64_t dflt)
{
	const json_t *j = json_object_get(obj, key);

	return json_is_integer(j) ? json_integer_value(j) : dflt;
}

int json_get_bool(const json_t *obj, const char *key, int dflt)
{
	const json_t *j = json_object_get(obj, key);

	return json_is_boolean(j) ? json_is_true(j) : dflt;
}

json_t *json_get_array(const json_t *obj, const char *key)
{
	json_t *j = json_object_get(obj, key);

	return json_is_array(j) ? j : NULL;
}

json_t *json_get_object(const json_t *obj, const char *key)
{
	json_t *j = json_object_get(obj, key);

	return json_is_object(j) ? j : NULL;
}

int json_to_strv(const json_t *array, char ***ret)
{
	size_t n = json_array_size(array);
	_strv_free_ char **v = NULL;

	/* Go writes null for a list that was never made. */
	if (array && !json_is_null(array) && !json_is_array(array))
		return -EBADMSG;
	if (n) {
		v = mem_new(n + 1, sizeof(*v));
		if (!v)
			return -ENOMEM;
	}
	for (size_t i = 0; i < n; i++) {
		const char *s = json_string_value(json_array_get(array, i));

		if (!s)
			return -EBADMSG;
		v[i] = strdup(s);
		if (!v[i])
			return -ENOMEM;
	}
	*ret = take_ptr(v);
	return 0;
}

json_t *json_from_strv(char *const *v)
{
	_json_ json_t *array = json_array();

	if (!array)
		return NULL;
	for (; v && *v; v++) {
		if (json_array_append_new(array, json_string(*v)) < 0)
			return NULL;
	}
	return take_ptr(array);
}

char *json_text(const json_t *j, size_t *ret_len)
{
	char *text = json_dumps(j, JSON_COMPACT | JSON_SORT_KEYS);

	if (text && ret_len)
		*ret_len = strlen(text);
	return text;
}
