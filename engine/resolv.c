/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/resolv.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/str.h"
#include <arpa/inet.h>
#include <stdbool.h>
#include <stdio.h>

#define RESOLV_MAX (64u << 10)

/* Whether the line may stay; it fills @ret_first when it is the first nameserver. */
static bool keep(const char *line, uint8_t ret_first[4], unsigned *servers)
{
	char address[64];
	struct in_addr a;

	if (sscanf(line, " nameserver %63s", address) != 1)
		return true;
	if (inet_pton(AF_INET, address, &a) != 1 || ntohl(a.s_addr) >> 24 == IN_LOOPBACKNET)
		return false;
	if (!*servers)
		memcpy(ret_first, &a, sizeof(a));
	++*servers;
	return true;
}

int resolv_filter(const char *text, char **ret, uint8_t ret_first[4])
{
	_buf_done_ struct buf b = { 0 };
	unsigned servers = 0;
	char *taken;

	for (const char *end; *text; text = *end ? end + 1 : end) {
		_free_ char *line = NULL;

		end = strchrnul(text, '\n');
		line = strndup(text, (size_t)(end - text));
		if (!line)
			return -ENOMEM;
		if (keep(line, ret_first, &servers)) {
			buf_adds(&b, line);
			buf_addc(&b, '\n');
		}
	}
	taken = buf_take(&b);
	if (!taken)
		return -ENOMEM;
	free(*ret);
	*ret = taken;
	return (int)servers;
}

/* How many servers are left. */
static int read_file(const char *path, char **ret, uint8_t ret_first[4])
{
	_free_ char *text = NULL;
	size_t len;
	int r = file_read_all(AT_FDCWD, path, RESOLV_MAX, &text, &len);

	return r < 0 ? r : resolv_filter(text, ret, ret_first);
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

/* Whether the line says what @keyword does, and blanks around it are none of its. */
static bool says(const char *line, const char *keyword)
{
	const char *behind;

	line += strspn(line, " \t");
	behind = str_after(line, keyword);
	return behind && (*behind == ' ' || *behind == '\t' || !*behind);
}

/* "domain" is an older word for a search list of one. */
static bool replaced(const char *line, char *const *servers, char *const *search,
		     char *const *options)
{
	return (servers && says(line, "nameserver")) ||
	       (search && (says(line, "search") || says(line, "domain"))) ||
	       (options && says(line, "options"));
}

static void add_line(struct buf *b, const char *keyword, char *const *words)
{
	if (!words || streq(words[0], "."))
		return;
	buf_adds(b, keyword);
	for (; *words; words++)
		buf_addf(b, " %s", *words);
	buf_addc(b, '\n');
}

int resolv_change(const char *text, char *const *servers, char *const *search, char *const *options,
		  struct buf *b)
{
	for (const char *end; *text; text = *end ? end + 1 : end) {
		_free_ char *line = NULL;

		end = strchrnul(text, '\n');
		line = strndup(text, (size_t)(end - text));
		if (!line)
			return -ENOMEM;
		if (!replaced(line, servers, search, options))
			buf_addf(b, "%s\n", line);
	}
	buf_adds(b, "");
	for (; servers && *servers; servers++)
		buf_addf(b, "nameserver %s\n", *servers);
	add_line(b, "search", search);
	add_line(b, "options", options);
	return b->failed ? -ENOMEM : 0;
}
