/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of digests in files: text (`base`, `.layers`) and binary (`objects` of a layer). */
#include "base/buf.h"
#include "imagestore/store.h"

#define LIST_MAX    (LAYERS_MAX * 80u) /* bytes of a text list: a line is 72 */
#define OBJECTS_MAX (256u << 20)       /* bytes of a binary one: 8 M objects */

#define NONE "none\n" /* an empty text list: an empty file is one that a power loss cut off */

static int parse_lines(char *text, struct digest **ret, size_t *ret_n)
{
	_free_ struct digest *list = NULL;
	size_t n = 0, cap = 0;

	if (!*text)
		return -EBADMSG;
	for (char *next, *line = streq(text, NONE) ? text + strlen(NONE) : text; *line;
	     line = next) {
		next = strchr(line, '\n');
		if (!next)
			return -EBADMSG;
		*next++ = '\0';
		if (mem_grow(&list, &cap, n + 1, sizeof(*list)) < 0)
			return -ENOMEM;
		if (digest_parse(line, &list[n++]) < 0)
			return -EBADMSG;
	}
	*ret = take_ptr(list);
	*ret_n = n;
	return 0;
}

int digests_read(int dirfd, const char *path, struct digest **ret, size_t *ret_n)
{
	_free_ char *text = NULL;
	int r = file_read_all(dirfd, path, LIST_MAX, &text, NULL);

	if (r >= 0)
		r = parse_lines(text, ret, ret_n);
	if (r == -EBADMSG)
		return err(r, "%s: not a list of digests: the file is damaged", path);
	return r < 0 ? err(r, "%s: %s", path, strerror(-r)) : 0;
}

char *digests_text(const struct digest *list, size_t n)
{
	_buf_done_ struct buf b = { 0 };

	if (n == 0)
		buf_adds(&b, NONE);
	for (size_t i = 0; i < n; i++)
		buf_addf(&b, "sha256:%s\n", digest_hex(&list[i]).s);
	return buf_take(&b);
}

int layer_objects(int dirfd, const char *path, struct digest **ret, size_t *ret_n)
{
	_free_ char *data = NULL;
	size_t len;
	int r = file_read_all(dirfd, path, OBJECTS_MAX, &data, &len);

	if (r == -ENOENT) {
		*ret = NULL;
		*ret_n = 0;
		return 0;
	}
	if (r >= 0 && len % sizeof(struct digest))
		r = -EBADMSG;
	if (r < 0)
		return err(r, "%s: %s", path,
			   r == -EBADMSG ? "cut off: the file is damaged" : strerror(-r));
	*ret_n = len / sizeof(struct digest);
	*ret = (struct digest *)(void *)take_ptr(data);
	return 0;
}
