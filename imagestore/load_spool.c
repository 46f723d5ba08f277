/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An archive of a layout: its members come in any order, so the blobs are kept until index.json
 * says what they are.
 */
#include "imagestore/decompress.h"
#include "imagestore/load.h"
#include "imagestore/tar.h"
#include "imagestore/unpack.h"

#define ARCHIVE_MAX (1ull << 42)
#define ENTRIES_MAX 100000

enum member { MEMBER_OTHER, MEMBER_DOCUMENT, MEMBER_BLOB };

struct spool {
	struct load *l;
	struct tar_reader *tar;
	enum member member;
	struct buf *document;
	struct out_file blob;
	struct digest digest;
	bool named; /* by a digest; else it is the last of the members */
	unsigned entries;
};

static int take_raw(void *ctx, const void *data, size_t len)
{
	(void)ctx;
	(void)data;
	(void)len;
	return 0;
}

static int begin_document(struct spool *p, struct buf *at, uint64_t size)
{
	if (at->data)
		return err(-EBADMSG, "it stands in the archive twice");
	if (size > JSON_MAX)
		return err(-EBADMSG, "a document of %llu bytes", (unsigned long long)size);
	if (buf_adds(at, "") < 0)
		return -ENOMEM;
	p->member = MEMBER_DOCUMENT;
	p->document = at;
	return 0;
}

/* In an archive of docker's old form, a config or a layer. */
static int add_member(struct spool *p, const char *path, uint64_t size)
{
	struct load *l = p->l;

	if (mem_grow(&l->members, &l->cap, l->nmembers + 1, sizeof(*l->members)) < 0)
		return -ENOMEM;
	l->members[l->nmembers] = (struct load_member){ .path = strdup(path), .size = size };
	return l->members[l->nmembers++].path ? 0 : -ENOMEM;
}

/* Folders and links are passed over. */
static int take_entry(void *ctx, const struct tar_entry *e)
{
	struct spool *p = ctx;
	char path[TAR_PATH_MAX + 1];
	const char *hex;
	int r = unpack_plain_path(e->path, path);

	p->member = MEMBER_OTHER;
	if (++p->entries > ENTRIES_MAX)
		return err(-EBADMSG, "over %d entries", ENTRIES_MAX);
	if (r < 0 || e->type != '0')
		return r;
	if (streq(path, "oci-layout"))
		return begin_document(p, &p->l->layout, e->size);
	if (streq(path, "index.json"))
		return begin_document(p, &p->l->index, e->size);
	if (e->size > p->l->bounds.max_layer_bytes)
		return err(-EFBIG, "a file of %llu bytes; the bound is %llu",
			   (unsigned long long)e->size,
			   (unsigned long long)p->l->bounds.max_layer_bytes);
	hex = str_after(path, "blobs/sha256/");
	p->named = hex && digest_parse_hex(hex, strlen(hex), &p->digest) == 0;
	if (!p->named) {
		r = add_member(p, path, e->size);
		if (r < 0)
			return r;
	}
	p->member = MEMBER_BLOB;
	return out_file_open(p->l->t, true, &p->blob);
}

static int take_data(void *ctx, const void *data, size_t len)
{
	struct spool *p = ctx;

	switch (p->member) {
	case MEMBER_DOCUMENT:
		return buf_add(p->document, data, len);
	case MEMBER_BLOB:
		return out_file_write(&p->blob, data, len);
	default:
		return 0;
	}
}

static int end_entry(void *ctx)
{
	struct spool *p = ctx;
	struct digest got;
	int r;

	if (p->member != MEMBER_BLOB)
		return 0;
	r = out_file_close(&p->blob, &got);
	if (r >= 0 && !p->named)
		p->l->members[p->l->nmembers - 1].digest = got;
	else if (r >= 0 && !digest_eq(&got, &p->digest))
		r = err(-EBADMSG, "blob sha256:%s: digest mismatch: it is sha256:%s",
			digest_hex(&p->digest).s, digest_hex(&got).s);
	if (r >= 0)
		r = txn_seal_blob(p->l->t, &p->blob.name, &got);
	if (r >= 0)
		p->blob = OUT_FILE_NONE;
	return r;
}

static int feed(void *ctx, const void *data, size_t len)
{
	struct spool *p = ctx;

	return tar_reader_feed(p->tar, data, len);
}

static int spool_fd(struct spool *p, int fd)
{
	const struct decompress_bounds bounds = { .max_bytes = ARCHIVE_MAX,
						  .max_ratio = p->l->bounds.max_ratio };
	struct decompress *d;
	int r = decompress_new(&bounds, feed, p, &d);

	if (r < 0)
		return r;
	r = decompress_fd(d, fd);
	decompress_free(d);
	return r < 0 ? r : tar_reader_finish(p->tar);
}

int load_spool(struct load *l, int fd)
{
	static const struct tar_ops ops = {
		.raw = take_raw,
		.entry = take_entry,
		.data = take_data,
		.entry_end = end_entry,
	};
	struct spool p = { .l = l, .blob = OUT_FILE_NONE };
	int r = tar_reader_new(&ops, &p, &p.tar);

	if (r < 0)
		return r;
	r = spool_fd(&p, fd);
	tar_reader_free(p.tar);
	out_file_drop(&p.blob);
	return r;
}
