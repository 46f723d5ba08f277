/* SPDX-License-Identifier: Apache-2.0 */
#include "imagestore/arrival/settle.h"

#include "base/log.h"
#include "imagestore/arrival/folder.h"
#include <sys/mman.h>
#include <sys/stat.h>

#define PIECE (256u << 10)

struct settling {
	struct store *s;
	int dirfd;
	struct table table;
	struct state state;
	int state_fd, data_fd;
	struct stack stack; /* the whole one */
	struct layer_index *index;
	uint8_t ours[PIECE], theirs[PIECE];
};

/* ---- the index: the same bytes, but for contents inside of it ---- */

/* Puts the contents that came into a copy of the index that was made before them. */
static int fill_in(const struct settling *g, uint8_t *copy, size_t len)
{
	for (uint32_t i = 0; i < g->table.head->ncontents; i++) {
		const struct table_content *c = &g->table.contents[i];
		struct layer_content at;
		struct layer_attr a;
		uint64_t off;

		if (layer_stat(g->index, c->nid, &a) < 0 ||
		    layer_content(g->index, c->nid, &at) < 0 || a.size != c->size)
			return -EBADMSG;
		if (at.kind != LAYER_INLINE)
			continue;
		off = layer_index_offset(g->index, at.data);
		if (off > len || c->size > len - off)
			return -EBADMSG;
		memcpy(copy + off, at.data, c->size);
	}
	return 0;
}

static int compare_index(struct settling *g)
{
	_free_ char *ours = NULL, *theirs = NULL;
	size_t len, other;
	int r = file_read_all(g->dirfd, "index", SIZE_MAX / 2, &ours, &len);

	if (r >= 0)
		r = fd_read_all(g->stack.index_fd, SIZE_MAX / 2, &theirs, &other);
	if (r < 0)
		return r;
	r = len == other ? fill_in(g, (uint8_t *)ours, len) : -EBADMSG;
	return r < 0 || memcmp(ours, theirs, len) != 0 ? -EBADMSG : 0;
}

/* ---- contents: of what was read, the bytes that the layers have ---- */

/* @len bytes of inode @nid from @off on. */
static int read_whole(struct settling *g, uint64_t nid, uint64_t off, size_t len)
{
	struct layer_content c;
	int r = layer_content(g->index, nid, &c);
	_close_ int fd = -1;
	ssize_t n;

	if (r < 0)
		return r;
	switch (c.kind) {
	case LAYER_INLINE:
		memcpy(g->theirs, (const uint8_t *)c.data + off, len);
		return 0;
	case LAYER_PACK:
		n = fd_pread_full(g->stack.pack_fds[c.device - 1], g->theirs, len,
				  (off_t)((uint64_t)c.block * LAYER_BLOCK + off));
		return n == (ssize_t)len ? 0 : -EIO;
	case LAYER_OBJECT:
		fd = store_object_open(g->s, &c.digest);
		n = fd < 0 ? fd : fd_pread_full(fd, g->theirs, len, (off_t)off);
		return n == (ssize_t)len ? 0 : -EIO;
	default:
		memset(g->theirs, 0, len);
		return 0;
	}
}

static int compare_chunk(struct settling *g, const struct table_content *c,
			 const struct table_chunk *k)
{
	for (uint64_t done = 0; done < k->len; done += PIECE) {
		size_t len = (size_t)MIN(k->len - done, (uint64_t)PIECE);
		int r = read_whole(g, c->nid, k->at - c->at + done, len);

		if (r < 0)
			return r;
		if (fd_pread_full(g->data_fd, g->ours, len, (off_t)(k->at + done)) != (ssize_t)len)
			return -EIO;
		if (memcmp(g->ours, g->theirs, len) != 0)
			return -EBADMSG;
	}
	return 0;
}

static int compare_contents(struct settling *g)
{
	for (uint32_t i = 0; i < g->table.head->ncontents; i++) {
		const struct table_content *c = &g->table.contents[i];

		for (uint32_t k = c->first; k < c->first + c->n; k++) {
			int r = 0;

			if (state_has(&g->state, k, k + 1))
				r = compare_chunk(g, c, &g->table.chunks[k]);
			if (r < 0)
				return r;
		}
	}
	return 0;
}

/* ---- the end ---- */

static int open_stack(struct settling *g, const struct digest *manifest)
{
	_free_ struct digest *ids = NULL;
	size_t n = 0;
	int r = digests_read(g->dirfd, "layers", &ids, &n);

	if (r >= 0)
		r = stack_open(g->s, ids, n, &g->stack);
	if (r >= 0)
		r = layer_index_open(g->stack.index_fd, &g->index);
	return r < 0 ? err(r, "sha256:%.12s", digest_hex(manifest).s) : 0;
}

static int open_all(struct settling *g, const struct digest *manifest)
{
	_close_ int fd = openat(g->dirfd, "table", O_RDONLY | O_CLOEXEC);
	int r = fd < 0 ? err_sys("table of an arriving image") : table_read(fd, &g->table);

	if (r >= 0)
		r = arrival_open_state(g->dirfd, &g->table, true, &g->state_fd, &g->data_fd);
	if (r >= 0)
		r = state_map(g->state_fd, &g->table, true, &g->state);
	return r < 0 ? r : open_stack(g, manifest);
}

static int compare(struct settling *g, const struct digest *manifest)
{
	int r = open_all(g, manifest);

	if (r >= 0)
		r = compare_index(g);
	if (r >= 0)
		r = compare_contents(g);
	if (r == -EBADMSG && g->state.head)
		atomic_store(&g->state.head->refused, 1);
	return r;
}

static void settling_free(struct settling *g)
{
	layer_index_close(g->index);
	stack_close(&g->stack);
	state_done(&g->state);
	table_done(&g->table);
	fd_close(g->state_fd);
	fd_close(g->data_fd);
	fd_close(g->dirfd);
	free(g);
}

static void mark_whole(int dirfd)
{
	fd_close(openat(dirfd, "whole", O_WRONLY | O_CREAT | O_CLOEXEC, 0444));
}

void arrival_settle(struct store *s, const struct digest *manifest)
{
	int dirfd = store_has(s, "arriving") ? arrival_dir(s, manifest) : -ENOENT;
	struct settling *g = dirfd < 0 ? NULL : new0(struct settling);

	if (!g) {
		fd_close(dirfd);
		err_clear();
		return;
	}
	g->s = s;
	g->dirfd = dirfd;
	g->state_fd = g->data_fd = g->stack.index_fd = -1;
	if (!arrival_is_whole(dirfd)) {
		int r = compare(g, manifest);

		if (r == -EBADMSG)
			log_err("image sha256:%.12s: its tables of contents say other things than "
				"its layers: what is still read by them gives errors",
				digest_hex(manifest).s);
		else if (r < 0)
			log_err("image sha256:%.12s: %s", digest_hex(manifest).s, err_take(r));
		mark_whole(dirfd);
	}
	settling_free(g);
	arrival_drop(s, manifest);
	err_clear();
}
