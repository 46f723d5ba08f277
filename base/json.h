/* SPDX-License-Identifier: Apache-2.0 */
/*
 * jansson with the bounds and the errors of this house. Documents come from registries and disks:
 * never trusted.
 */
#ifndef BASE_JSON_H
#define BASE_JSON_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

static inline void json_decrefp_(json_t **j)
{
	json_decref(*j);
}
#define _json_ __attribute__((cleanup(json_decrefp_)))

/* Bytes of one document; the OCI image-spec asks registries for at least 4 MiB. */
#define JSON_MAX (4u << 20)

/*
 * Parses @len bytes; duplicate keys are refused; @what names the document in the error. 0, -EBADMSG
 * or -EFBIG.
 */
int json_parse(const char *data, size_t len, const char *what, json_t **ret);
int json_parse_file(int dirfd, const char *path, const char *what, json_t **ret);

/*
 * The member @key of @obj as a string / integer / array / object, NULL or @dflt when absent or of
 * another type.
 */
const char *json_get_str(const json_t *obj, const char *key);
int64_t json_get_int(const json_t *obj, const char *key, int64_t dflt);
int json_get_bool(const json_t *obj, const char *key, int dflt);
json_t *json_get_array(const json_t *obj, const char *key);
json_t *json_get_object(const json_t *obj, const char *key);

/*
 * An array of strings to a strv (base/str.h): 0, -EBADMSG when an element is no string, -ENOMEM.
 * NULL gives NULL.
 */
int json_to_strv(const json_t *array, char ***ret);
/* A strv to an array of strings; NULL without memory. */
json_t *json_from_strv(char *const *v);

/* Compact, keys sorted: the same document gives the same bytes. The caller frees. */
char *json_text(const json_t *j, size_t *ret_len);

#endif
