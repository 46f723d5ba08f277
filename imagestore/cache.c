/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The build cache: one small file a key. Never synced: one that is lost or cut off by a power loss
 * is only a step built again.
 */
#include "imagestore/store.h"

#include <sys/stat.h>

#define ENTRY_MAX 128

static struct store_file cache_file(const struct digest *key)
{
	struct store_file f;

	snprintf(f.s, sizeof(f.s), "cache/%s", digest_hex(key).s);
	return f;
}

/* "layer sha256:<hex>\n" or "empty sha256:<hex>\n". */
static int parse(char *text, struct digest *ret, bool *ret_empty)
{
	const char *layer = str_after(text, "layer "), *empty = str_after(text, "empty ");
	char *end = strchr(text, '\n');

	if (!end || (!layer && !empty))
		return -ENOENT;
	*end = '\0';
	*ret_empty = empty;
	return digest_parse(layer ? layer : empty, ret) < 0 ? -ENOENT : 0;
}

int cache_get(struct store *s, const struct digest *key, struct digest *ret_diff_id,
	      bool *ret_empty)
{
	_free_ char *text = NULL;
	struct digest d;
	bool empty;
	int r = file_read_all(s->dirfd, cache_file(key).s, ENTRY_MAX, &text, NULL);

	if (r >= 0)
		r = parse(text, &d, &empty);
	if (r >= 0 && !empty && !store_has(s, layer_file(&d, "record").s))
		r = -ENOENT;
	if (r < 0)
		return r;
	/* So that `gc --keep-storage` knows it as used now; where that fails it is only older. */
	if (!empty)
		utimensat(s->dirfd, layer_file(&d, NULL).s, NULL, 0);
	*ret_diff_id = d;
	*ret_empty = empty;
	return 0;
}

int cache_put(struct store *s, const struct digest *key, const struct digest *diff_id, bool empty)
{
	_close_ int dirfd = openat(s->dirfd, "cache", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char text[ENTRY_MAX];
	int r, len;

	if (dirfd < 0)
		return err_sys("%s/cache", s->path);
	len = snprintf(text, sizeof(text), "%s sha256:%s\n", empty ? "empty" : "layer",
		       digest_hex(diff_id).s);
	r = file_replace(dirfd, digest_hex(key).s, text, (size_t)len, 0644, false);
	return r < 0 ? err(r, "%s/cache: %s", s->path, strerror(-r)) : 0;
}
