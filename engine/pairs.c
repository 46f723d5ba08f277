/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/pairs.h"

#include "base/err.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"

#define PAIRS_MAX (1u << 20) /* bytes of a file: more than the kernel hands to a command */
#define BLANKS	  " \t"

struct pairs {
	const char *path;
	unsigned line;
	int (*fn)(void *ctx, const char *pair);
	void *ctx;
};

static int bad(const struct pairs *p, int e, const char *why)
{
	return err(e, "%s:%u: %s", p->path, p->line, why);
}

static int take(const struct pairs *p, const char *pair)
{
	size_t name = strcspn(pair, "=");
	_json_ json_t *utf8 = json_string(pair);

	if (!name)
		return bad(p, -EINVAL, "there is no name before the =");
	if (strcspn(pair, BLANKS) < name)
		return bad(p, -EINVAL, "a blank in the name: must be NAME=VALUE or NAME");
	return utf8 ? p->fn(p->ctx, pair) : bad(p, -EILSEQ, "must be UTF-8");
}

/* As podman has it: blanks count behind the =, and a line of another system's ends in \r\n. */
static int take_line(const struct pairs *p, char *line, size_t len)
{
	if (memchr(line, '\0', len))
		return bad(p, -EINVAL, "it holds a NUL");
	if (len && line[len - 1] == '\r')
		line[--len] = '\0';
	line += strspn(line, BLANKS);
	return *line && *line != '#' ? take(p, line) : 0;
}

int pairs_read(const char *path, int (*fn)(void *ctx, const char *pair), void *ctx)
{
	struct pairs p = { .path = path, .fn = fn, .ctx = ctx };
	_free_ char *text = NULL;
	size_t len;
	int r = file_read_all(AT_FDCWD, path, PAIRS_MAX, &text, &len);

	if (r < 0)
		return err(r, "%s: %s", path, strerror(-r));
	for (char *line = text, *end = text + len, *next; r >= 0 && line < end; line = next + 1) {
		next = memchr(line, '\n', (size_t)(end - line));
		next = next ? next : end;
		*next = '\0';
		p.line++;
		r = take_line(&p, line, (size_t)(next - line));
	}
	return r;
}
