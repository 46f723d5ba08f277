/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the first run read, in that order: `touched/<hex>`, lines "FIRST END" of chunks. It outlives
 * the image, so that another pull of the same begins with it.
 */
#include "imagestore/arrival/fetcher.h"

#include "base/buf.h"
#include "base/log.h"
#include <sys/stat.h>

#define FILE_MAX   (1u << 20) /* bytes */
#define KEEP_EVERY 32	      /* entries: then the list is written */

void touched_note(struct fetcher *f, uint32_t first, uint32_t end)
{
	if (!f->recording || f->ntouched + 2 > READ_MAX)
		return;
	if (f->ntouched && f->touched[f->ntouched - 1] == first) {
		f->touched[f->ntouched - 1] = end;
		return;
	}
	if (mem_grow(&f->touched, &f->touched_cap, f->ntouched + 2, sizeof(*f->touched)) < 0)
		return; /* it is only a help */
	f->touched[f->ntouched++] = first;
	f->touched[f->ntouched++] = end;
	if (f->ntouched % KEEP_EVERY == 0)
		touched_keep(f);
}

void touched_keep(struct fetcher *f)
{
	_buf_done_ struct buf b = { 0 };
	_close_ int dir = -1;

	if (!f->recording || !f->ntouched)
		return;
	for (size_t i = 0; i < f->ntouched; i += 2)
		buf_addf(&b, "%u %u\n", f->touched[i], f->touched[i + 1]);
	if (b.failed || (mkdirat(f->s->dirfd, "touched", 0755) < 0 && errno != EEXIST))
		return;
	dir = openat(f->s->dirfd, "touched", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir >= 0)
		file_replace(dir, digest_hex(&f->manifest).s, b.data, b.len, 0644, false);
}

/* ---- fetched first, the next time ---- */

/* Whatever the file says, chunks that there are. */
static void add_line(const struct fetcher *f, const char *line, uint8_t *wanted)
{
	unsigned long first, end;
	char *rest;

	first = strtoul(line, &rest, 10);
	end = strtoul(rest, NULL, 10);
	for (end = MIN(end, (unsigned long)f->table.head->nchunks); first < end; first++)
		wanted[first] = 1;
}

static int by_place(const void *a, const void *b, void *ctx)
{
	const struct table_chunk *chunks = ctx;
	const struct table_chunk *x = &chunks[*(const uint32_t *)a],
				 *y = &chunks[*(const uint32_t *)b];

	if (x->blob != y->blob)
		return (x->blob > y->blob) - (x->blob < y->blob);
	return (x->offset > y->offset) - (x->offset < y->offset);
}

static int read_list(struct fetcher *f, uint32_t **ret, size_t *ret_n)
{
	_free_ char *text = NULL;
	_free_ uint8_t *wanted = mem_new(f->table.head->nchunks, 1);
	_free_ uint32_t *list = mem_new(f->table.head->nchunks, sizeof(*list));
	size_t n = 0;
	int r = wanted && list ? 0 : -ENOMEM;

	if (r >= 0)
		r = file_read_all(f->s->dirfd, touched_file(&f->manifest).s, FILE_MAX, &text, NULL);
	if (r < 0)
		return r;
	for (const char *line = text; *line; line++) {
		add_line(f, line, wanted);
		line = strchr(line, '\n');
		if (!line)
			break;
	}
	for (uint32_t i = 0; i < f->table.head->nchunks; i++) {
		if (wanted[i])
			list[n++] = i;
	}
	if (n)
		qsort_r(list, n, sizeof(*list), by_place, (void *)(uintptr_t)f->table.chunks);
	*ret = take_ptr(list);
	*ret_n = n;
	return 0;
}

void touched_fetch(struct fetcher *f)
{
	struct chunk_source c = { .f = f };
	_free_ uint32_t *list = NULL;
	size_t n = 0;
	int r = read_list(f, &list, &n);

	if (r >= 0)
		r = chunks_fetch(&c, list, n);
	if (r < 0 && r != -ENOENT)
		log_warn("what was read first the last time: %s", err_take(r));
	err_clear();
	chunk_source_done(&c);
}
