/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of images as docker has them (distribution/reference, "Grammar"):
 *
 * 	name      := [domain '/'] component ['/' component]* [':' tag]
 * 	domain    := host [':' port]: a first part with '.', ':', upper case, or "localhost"
 * 	component := [a-z0-9]+ ((['.'|'_'|"__"|'-'+]) [a-z0-9]+)*
 * 	tag       := [A-Za-z0-9_][A-Za-z0-9_.-]{0,127}
 *
 * An image has one name in a store, the short one ("familiar" there): docker.io, by whatever host
 * it is said, and its library/ are left out, so "alpine", "library/alpine" and
 * "docker.io/library/alpine:latest" are the same.
 */
#include "imagestore/store.h"

#include <ctype.h>
#include <strings.h>

#define NAME_MAX_LEN 255 /* docker's limit for all before the tag */
#define TAG_MAX_LEN  128

static bool is_alnum_lower(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool is_alnum(char c)
{
	return is_alnum_lower(c) || (c >= 'A' && c <= 'Z');
}

/* How long the separator at @s is that may stand inside a component; 0 = none. */
static size_t separator(const char *s, const char *end)
{
	size_t n = 0;

	if (*s == '.')
		return 1;
	while (s + n < end && s[n] == *s && (*s == '_' || *s == '-'))
		n++;
	return *s == '_' && n > 2 ? 0 : n;
}

static bool component_valid(const char *s, const char *end)
{
	if (s == end || !is_alnum_lower(*s) || !is_alnum_lower(end[-1]))
		return false;
	while (s < end) {
		size_t n = is_alnum_lower(*s) ? 1 : separator(s, end);

		if (n == 0 || (!is_alnum_lower(*s) && s + n < end && !is_alnum_lower(s[n])))
			return false;
		s += n;
	}
	return true;
}

static bool port_valid(const char *s, const char *end)
{
	if (s == end)
		return false;
	for (; s < end; s++) {
		if (*s < '0' || *s > '9')
			return false;
	}
	return true;
}

static bool host_valid(const char *s, const char *end)
{
	char before = '.';

	for (; s < end; before = *s++) {
		if (*s == '.' ? !is_alnum(before) : !(is_alnum(*s) || (*s == '-' && before != '.')))
			return false;
		if (*s == '-' && s + 1 < end && s[1] == '.')
			return false;
	}
	return is_alnum(before);
}

/* An IPv6 address in brackets; the registry's connect(2) knows better than we which are good. */
static const char *bracket_end(const char *s, const char *end)
{
	for (s++; s < end && (isxdigit((unsigned char)*s) || *s == ':'); s++)
		;
	return s < end && *s == ']' ? s + 1 : NULL;
}

static bool domain_valid(const char *s, const char *end)
{
	const char *colon = memchr(s, ':', (size_t)(end - s));

	if (*s == '[') {
		const char *behind = bracket_end(s, end);

		return behind && (behind == end || (*behind == ':' && port_valid(behind + 1, end)));
	}
	return host_valid(s, colon ? colon : end) && (!colon || port_valid(colon + 1, end));
}

static bool is_domain(const char *s, const char *end)
{
	if ((size_t)(end - s) == strlen("localhost") &&
	    memcmp(s, "localhost", (size_t)(end - s)) == 0)
		return true;
	for (; s < end; s++) {
		if (*s == '.' || *s == ':' || (*s >= 'A' && *s <= 'Z'))
			return true;
	}
	return false;
}

static bool path_valid(const char *s, const char *end)
{
	const char *slash = memchr(s, '/', (size_t)(end - s));

	if (slash && is_domain(s, slash)) {
		if (slash == s || !domain_valid(s, slash))
			return false;
		s = slash + 1;
	}
	for (;; s = slash + 1) {
		slash = memchr(s, '/', (size_t)(end - s));
		if (!component_valid(s, slash ? slash : end))
			return false;
		if (!slash)
			return true;
	}
}

static bool tag_valid(const char *tag)
{
	size_t len = strlen(tag);

	if (len == 0 || len > TAG_MAX_LEN || !(is_alnum(*tag) || *tag == '_'))
		return false;
	for (; *tag; tag++) {
		if (!is_alnum(*tag) && !strchr("_.-", *tag))
			return false;
	}
	return true;
}

static int refuse(const char *name, const char *why)
{
	char shown[128];

	str_printable(shown, sizeof(shown), name);
	return err(-EINVAL, "\"%s\" is no name for an image: %s", shown, why);
}

bool reference_is_docker(const char *host, size_t len)
{
	static const char *const hosts[] = { "docker.io", "index.docker.io", "registry-1.docker.io",
					     "registry.hub.docker.com" };
	static const char port[] = ":443";
	const size_t plen = strlen(port);

	if (len > plen && memcmp(host + len - plen, port, plen) == 0)
		len -= plen;
	for (size_t i = 0; i < ARRAY_SIZE(hosts); i++) {
		if (len == strlen(hosts[i]) && strncasecmp(host, hosts[i], len) == 0)
			return true;
	}
	return false;
}

/* Behind the first part of @name, when that is docker's registry; else NULL. */
static const char *behind_docker(const char *name, const char *end)
{
	const char *slash = memchr(name, '/', (size_t)(end - name));

	return slash && reference_is_docker(name, (size_t)(slash - name)) ? slash + 1 : NULL;
}

/* Behind what goes without saying; @end ends the name without its tag. */
static const char *familiar(const char *name, const char *end)
{
	const char *rest = behind_docker(name, end);
	const char *slash = rest ? memchr(rest, '/', (size_t)(end - rest)) : NULL, *image;

	if (slash && is_domain(rest, slash))
		return name; /* without its host it would be another's */
	image = str_after(rest ?: name, "library/");
	if (image && image < end && !memchr(image, '/', (size_t)(end - image)))
		return image;
	return rest ?: name;
}

int image_name_canonical(const char *name, char **ret)
{
	const char *slash = strrchr(name, '/'), *colon = strchr(slash ? slash : name, ':');
	const char *end = colon ? colon : name + strlen(name);
	const char *given;
	struct digest d;
	char *full;

	if (strchr(name, '@'))
		return refuse(name, "it holds a digest");
	if (end - name > NAME_MAX_LEN)
		return refuse(name, "it has more than 255 characters");
	if (colon && !tag_valid(colon + 1))
		return refuse(name, "a tag is up to 128 letters, digits, '_', '.' and '-'");
	if (!path_valid(name, end))
		return refuse(
			name,
			"lower-case letters and digits are good, parted by '.', '_', '-', '/'");
	given = name;
	name = familiar(name, end);
	if (digest_parse_hex(name, (size_t)(end - name), &d) == 0)
		return refuse(given, "64 hexadecimal digits are an image's ID");
	full = str_fmt("%s%s", name, colon ? "" : ":latest");
	if (!full)
		return -ENOMEM;
	*ret = full;
	return 0;
}
