/* SPDX-License-Identifier: Apache-2.0 */
/* Apart, for programs without the C library's users. */
#include "engine/rootless.h"

#include "base/fd.h"
#include "base/mem.h"
#include <stdlib.h>
#include <string.h>

#define MAP_MAX 4096u /* bytes of /proc/PID/uid_map that we look at */

/* proc(5), uid_map: "inside outside count" a line; the host's has one with all there are. */
static uint32_t mapped(const char *file)
{
	_free_ char *text = NULL;
	uint32_t n = 0;
	char *s;

	if (file_read_all(AT_FDCWD, file, MAP_MAX, &text, NULL) < 0)
		return 0;
	for (s = text; *s; s += strcspn(s, "\n"), s += *s == '\n') {
		unsigned long inside = strtoul(s, &s, 10), count;

		strtoul(s, &s, 10);
		count = strtoul(s, &s, 10);
		if (count == UINT32_MAX)
			return 0;
		n += inside == n ? (uint32_t)count : 0;
	}
	return n;
}

uint32_t rootless_ids(void)
{
	uint32_t u = mapped("/proc/self/uid_map");

	return u ? MIN(u, mapped("/proc/self/gid_map")) : 0;
}
