/* SPDX-License-Identifier: Apache-2.0 */
#include "builder/path.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include <limits.h>

struct cleaned {
	char s[PATH_MAX];
	size_t n;
	bool above;
};

static void go_up(struct cleaned *c)
{
	if (!c->n)
		c->above = true;
	while (c->n && c->s[--c->n] != '/')
		;
}

static int go_down(struct cleaned *c, const char *part, size_t len)
{
	if (c->n + len + 2 > sizeof(c->s))
		return err(-ENAMETOOLONG, "a path longer than %d bytes", PATH_MAX - 1);
	if (c->n)
		c->s[c->n++] = '/';
	memcpy(c->s + c->n, part, len);
	c->n += len;
	return 0;
}

int path_clean(const char *s, char **ret, bool *ret_above)
{
	struct cleaned c = { .n = 0 };
	char *copy;

	while (*s) {
		size_t len = strcspn(s, "/");
		int r = 0;

		if (len == 2 && s[0] == '.' && s[1] == '.')
			go_up(&c);
		else if (len && !(len == 1 && s[0] == '.'))
			r = go_down(&c, s, len);
		if (r < 0)
			return r;
		s += len;
		s += *s == '/';
	}
	copy = strndup(c.s, c.n);
	if (!copy)
		return -ENOMEM;
	if (ret_above)
		*ret_above = c.above;
	*ret = copy;
	return 0;
}

int path_join(const char *base, const char *path, char **ret)
{
	_free_ char *joined = str_fmt("%s/%s", *path == '/' ? "" : base, path);

	return joined ? path_clean(joined, ret, NULL) : -ENOMEM;
}

const char *path_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

char *path_parent(const char *path)
{
	const char *slash = strrchr(path, '/');

	return strndup(path, slash ? (size_t)(slash - path) : 0);
}
