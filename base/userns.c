/* SPDX-License-Identifier: Apache-2.0 */
#include "base/userns.h"

#include "base/fd.h"
#include "base/mem.h"
#include <stdbool.h>
#include <stdlib.h>

#define MAP_MAX (340u * 36) /* bytes: Linux' most lines (user_namespaces(7)), and their length */

struct range {
	uint32_t inside, outside, count;
};

/* "inside outside count", and on to the next line. False at the end. */
static bool next_range(const char **s, struct range *ret)
{
	char *end;

	if (!**s)
		return false;
	ret->inside = (uint32_t)strtoul(*s, &end, 10);
	ret->outside = (uint32_t)strtoul(end, &end, 10);
	ret->count = (uint32_t)strtoul(end, &end, 10);
	*s = end + (*end == '\n');
	return *s != end || !*end;
}

static uint32_t count(const char *file)
{
	_free_ char *text = NULL;
	struct range g;
	uint32_t n = 0;

	if (file_read_all(AT_FDCWD, file, MAP_MAX, &text, NULL) < 0)
		return 0;
	for (const char *s = text; next_range(&s, &g);) {
		if (g.count == UINT32_MAX)
			return 0;
		n += g.inside == n ? g.count : 0;
	}
	return MAX(n, 1u);
}

uint32_t userns_ids(void)
{
	uint32_t users = count("/proc/self/uid_map");

	return users ? MIN(users, count("/proc/self/gid_map")) : 0;
}

uid_t userns_outside(uid_t uid)
{
	_free_ char *text = NULL;
	struct range g;
	const char *s;

	if (file_read_all(AT_FDCWD, "/proc/self/uid_map", MAP_MAX, &text, NULL) < 0)
		return uid;
	s = text;
	return next_range(&s, &g) ? g.outside + (uid - g.inside) : uid;
}
