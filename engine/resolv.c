/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/resolv.h"

#include "base/err.h"
#include "base/fd.h"
#include "base/mem.h"
#include <arpa/inet.h>
#include <stdbool.h>
#include <stdio.h>

#define RESOLV_MAX (64u << 10)

/* Whether the line may stay; @ret_first is filled when it is still 0.0.0.0. */
static bool keep(const char *line, uint8_t ret_first[4], unsigned *servers)
{
	char address[64];
	struct in_addr a;

	if (sscanf(line, " nameserver %63s", address) != 1)
		return true;
	if (inet_pton(AF_INET, address, &a) != 1) {
		*servers += strcmp(address, "::1") != 0;
		return strcmp(address, "::1") != 0;
	}
	if (ntohl(a.s_addr) >> 24 == IN_LOOPBACKNET)
		return false;
	if (!*servers)
		memcpy(ret_first, &a, sizeof(a));
	++*servers;
	return true;
}

/* How many servers are left. */
static int read_file(const char *path, char **ret, uint8_t ret_first[4])
{
	_free_ char *text = NULL;
	unsigned servers = 0;
	size_t len;
	int r = file_read_all(AT_FDCWD, path, RESOLV_MAX, &text, &len);
	char *in, *out;

	if (r < 0)
		return r;
	for (in = out = text; *in;) {
		size_t n = strcspn(in, "\n");
		char end = in[n];

		in[n] = '\0';
		if (keep(in, ret_first, &servers)) {
			memmove(out, in, n);
			out += n;
			*out++ = '\n';
		}
		in += n + (end != '\0');
	}
	/* A last line without an end has one now, in place of the NUL. */
	free(*ret);
	*ret = strndup(text, (size_t)(out - text));
	return *ret ? (int)servers : -ENOMEM;
}

int resolv_read(char **ret, uint8_t ret_first[4])
{
	static const char *const files[] = { "/etc/resolv.conf",
					     "/run/systemd/resolve/resolv.conf" };
	_free_ char *text = strdup("");
	int r = 0;

	memset(ret_first, 0, 4);
	for (size_t i = 0; r <= 0 && i < ARRAY_SIZE(files); i++)
		r = read_file(files[i], &text, ret_first);
	err_clear();
	if (!text)
		return -ENOMEM;
	*ret = take_ptr(text);
	return 0;
}
