/* SPDX-License-Identifier: Apache-2.0 */
#include "imagestore/arrival/toc.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "imagestore/arrival/toc_scan.h"
#include "layer/layer.h"
#include <openssl/evp.h>

#define VERSION	  1
#define CHUNK_MAX (16u << 20) /* bytes: who fetches one holds it in memory until it is known */
#define MAJOR_MAX 0xfff	      /* Linux' dev_t has 12 and 20 bits */
#define MINOR_MAX 0xfffff
#define ID_MAX	  (UINT32_MAX - 1) /* the last one is "no id" to system calls */

/* ---- the descriptor ---- */

/* By its older name too: skopeo and podman of Debian 12. */
static const char *note(const json_t *descriptor, const char *key)
{
	const json_t *notes = json_get_object(descriptor, "annotations");
	char name[96];

	snprintf(name, sizeof(name), "io.github.containers.zstd-chunked.%s", key);
	if (!json_get_str(notes, name))
		snprintf(name, sizeof(name), "io.containers.zstd-chunked.%s", key);
	return json_get_str(notes, name);
}

/* "OFFSET:PACKED:SIZE:1" */
static bool parse_position(const char *text, struct toc_place *p)
{
	uint64_t *const to[] = { &p->offset, &p->packed, &p->size };

	for (size_t i = 0; i < ARRAY_SIZE(to); i++) {
		const char *colon = strchr(text, ':');
		_free_ char *number = colon ? strndup(text, (size_t)(colon - text)) : NULL;

		if (!number || str_u64(number, 1, INT64_MAX, to[i]) < 0)
			return false;
		text = colon + 1;
	}
	return streq(text, "1");
}

bool toc_place_of(const json_t *descriptor, uint64_t blob_size, struct toc_place *ret)
{
	const char *position = note(descriptor, "manifest-position");
	const char *checksum = note(descriptor, "manifest-checksum");

	return position && checksum && parse_position(position, ret) &&
	       digest_parse(checksum, &ret->digest) == 0 && ret->size <= TOC_MAX &&
	       ret->packed <= TOC_MAX && ret->offset <= blob_size &&
	       ret->packed <= blob_size - ret->offset;
}

/* ---- an entry's members ---- */

struct parsing {
	struct toc *t;
	uint64_t blob_size;
	uint64_t end;	   /* of what the contents so far have of the blob */
	uint64_t file_end; /* of the file under way, 0: none is */
	uint64_t have;	   /* of its bytes */
	size_t seen;	   /* entries */
};

static int number(const json_t *j, const char *key, int64_t max, uint64_t *ret)
{
	const json_t *value = json_object_get(j, key);
	int64_t n = json_get_int(j, key, value ? -1 : 0);

	if (n < 0 || n > max)
		return err(-EBADMSG, "\"%s\" is no number that it can be", key);
	*ret = (uint64_t)n;
	return 0;
}

static int digest(const json_t *j, const char *key, struct digest *ret)
{
	const char *text = json_get_str(j, key);

	return text && digest_parse(text, ret) == 0 ? 0 : err(-EBADMSG, "no \"%s\"", key);
}

/*
 * Go writes U+FFFD for bytes that are no UTF-8: what the archive has there is not known, so such a
 * layer has to come whole.
 */
static int path(const json_t *j, const char *key, char **ret)
{
	const char *text = json_get_str(j, key);

	if (!text || !*text || strlen(text) > TAR_PATH_MAX)
		return err(-EBADMSG, "no \"%s\", or one too long", key);
	if (strstr(text, "\xef\xbf\xbd"))
		return err(-EBADMSG, "a \"%s\" that is no UTF-8", key);
	*ret = strdup(text);
	return *ret ? 0 : -ENOMEM;
}

static int type(const json_t *j, struct tar_entry *e)
{
	static const char *const words[] = { "reg",   "hardlink", "symlink", "char",
					     "block", "dir",	  "fifo" };
	const char *word = json_get_str(j, "type");

	for (size_t i = 0; word && i < ARRAY_SIZE(words); i++) {
		if (streq(word, words[i])) {
			e->type = (char)('0' + (int)i);
			return 0;
		}
	}
	return err(-EBADMSG, "its type is not one of files");
}

static int device(const json_t *j, struct tar_entry *e)
{
	uint64_t major = 0, minor = 0;
	int r = number(j, "devMajor", MAJOR_MAX, &major);

	if (r >= 0)
		r = number(j, "devMinor", MINOR_MAX, &minor);
	if (r >= 0 && major == 0 && minor == 0)
		return err(-EBADMSG, "the device 0/0, which means \"deleted\" in a layer");
	e->major = (uint32_t)major;
	e->minor = (uint32_t)minor;
	return r;
}

/* base64, as RFC 4648 has it with its padding. */
static int unbase64(const char *text, struct tar_xattr *x)
{
	size_t len = strlen(text), pad = 0;
	uint8_t *bytes;
	int n;

	if (len % 4 || len > LAYER_XATTRS_MAX * 2)
		return err(-EBADMSG, "an xattr that is no base64");
	while (pad < 2 && pad < len && text[len - 1 - pad] == '=')
		pad++;
	bytes = malloc(len / 4 * 3 + 1);
	if (!bytes)
		return -ENOMEM;
	n = len ? EVP_DecodeBlock(bytes, (const uint8_t *)text, (int)len) : 0;
	if (n < 0) {
		free(bytes);
		return err(-EBADMSG, "an xattr that is no base64");
	}
	x->value = bytes;
	x->len = (size_t)n - pad;
	return 0;
}

static int xattrs(const json_t *j, struct tar_entry *e)
{
	json_t *list = json_get_object(j, "xattrs"), *value;
	struct tar_xattr *all;
	const char *key;
	int r = 0;

	if (!json_object_size(list))
		return 0;
	e->xattrs = all = mem_new(json_object_size(list), sizeof(*all));
	if (!all)
		return -ENOMEM;
	json_object_foreach(list, key, value)
	{
		const char *text = json_string_value(value);

		all[e->nxattrs].name = strdup(key);
		e->nxattrs++;
		if (!all[e->nxattrs - 1].name)
			return -ENOMEM;
		r = text && *key ? unbase64(text, &all[e->nxattrs - 1]) :
				   err(-EBADMSG, "an xattr that is no text");
		if (r < 0)
			return r;
	}
	return 0;
}

static int mtime(const json_t *j, struct tar_entry *e)
{
	const char *text = json_get_str(j, "modtime");

	/* Nobody leaves it out but for an archive that has none. */
	if (!text)
		return 0;
	return clock_parse(text, &e->mtime) < 0 ? err(-EBADMSG, "no time that it can be") : 0;
}

static int header(const json_t *j, struct tar_entry *e)
{
	uint64_t mode = 0, uid = 0, gid = 0;
	char *name = NULL, *link = NULL;
	int r = type(j, e);

	if (r >= 0)
		r = path(j, "name", &name);
	if (r >= 0 && (e->type == '1' || e->type == '2'))
		r = path(j, "linkName", &link);
	e->path = name;
	e->link = link;
	if (r >= 0)
		r = number(j, "mode", INT64_MAX, &mode);
	if (r >= 0)
		r = number(j, "uid", ID_MAX, &uid);
	if (r >= 0)
		r = number(j, "gid", ID_MAX, &gid);
	if (r >= 0)
		r = mtime(j, e);
	if (r >= 0 && (e->type == '3' || e->type == '4'))
		r = device(j, e);
	if (r >= 0 && e->type == '0')
		r = number(j, "size", LAYER_SIZE_MAX, &e->size);
	e->mode = (uint32_t)mode & 07777;
	e->uid = (uint32_t)uid;
	e->gid = (uint32_t)gid;
	e->stored = e->size;
	return r < 0 ? r : xattrs(j, e);
}

/* ---- chunks ---- */

static struct toc_entry *last(struct parsing *p)
{
	return &p->t->entries[p->t->n - 1];
}

/* Where a chunk begins in the blob, the one before it ends. */
static int chunk(struct parsing *p, const json_t *j)
{
	struct toc_entry *of = last(p);
	uint64_t at = 0, len = 0, offset = 0, left = of->e.size - p->have;
	const char *kind = json_get_str(j, "chunkType");
	struct toc_chunk c = { .zeros = kind && streq(kind, "zeros") };
	int r = number(j, "chunkOffset", INT64_MAX, &at);

	if (r >= 0)
		r = number(j, "chunkSize", INT64_MAX, &len);
	if (r >= 0)
		r = number(j, "offset", INT64_MAX, &offset);
	c.len = len ? len : left;
	c.offset = offset;
	if (r >= 0 && !c.zeros && c.len > CHUNK_MAX)
		return err(-EBADMSG, "a chunk of over %u bytes", CHUNK_MAX);
	if (r >= 0 &&
	    (at != p->have || !left || c.len > left || offset < p->end || offset >= p->file_end))
		return err(-EBADMSG, "its chunks do not follow one another");
	if (r >= 0 && (json_object_get(j, "chunkDigest") || c.len != of->e.size))
		r = digest(j, "chunkDigest", &c.digest);
	else
		c.digest = of->digest;
	if (r < 0)
		return r;
	if (mem_grow(&p->t->chunks, &p->t->chunks_cap, p->t->nchunks + 1, sizeof(c)) < 0)
		return -ENOMEM;
	if (of->nchunks)
		p->t->chunks[p->t->nchunks - 1].packed =
			offset - p->t->chunks[p->t->nchunks - 1].offset;
	c.packed = p->file_end - offset;
	p->t->chunks[p->t->nchunks++] = c;
	of->nchunks++;
	p->have += c.len;
	p->end = offset + 1;
	return 0;
}

/* The content before is over: it must have been whole. */
static int end_file(struct parsing *p)
{
	if (!p->file_end)
		return 0;
	if (p->have != last(p)->e.size)
		return err(-EBADMSG, "the chunks before it are not all of their file");
	p->end = p->file_end;
	p->file_end = 0;
	return 0;
}

static int begin_file(struct parsing *p, const json_t *j)
{
	struct toc_entry *of = last(p);
	int r = digest(j, "digest", &of->digest);

	if (r >= 0)
		r = number(j, "endOffset", INT64_MAX, &p->file_end);
	if (r < 0)
		return r;
	if (p->file_end <= p->end || p->file_end > p->blob_size)
		return err(-EBADMSG, "its content is not in the blob, or before others'");
	p->have = 0;
	of->chunk = p->t->nchunks;
	return chunk(p, j);
}

/* ---- the whole ---- */

static int entry(struct parsing *p, const json_t *j)
{
	struct toc *t = p->t;
	const char *word = json_get_str(j, "type");
	int r;

	if (word && streq(word, "chunk"))
		return p->file_end ? chunk(p, j) : err(-EBADMSG, "a chunk of no file");
	r = end_file(p);
	if (r < 0)
		return r;
	if (mem_grow(&t->entries, &t->entries_cap, t->n + 1, sizeof(*t->entries)) < 0)
		return -ENOMEM;
	t->n++;
	r = header(j, &last(p)->e);
	return r < 0 || !last(p)->e.size ? r : begin_file(p, j);
}

int toc_refuse(size_t i, int r)
{
	char why[ERR_TEXT_MAX];

	if (r != -EBADMSG && r != -EFBIG)
		return r;
	snprintf(why, sizeof(why), "%s", err_take(r));
	return err(r, "table of contents, entry %zu: %s", i, why);
}

static int on_entry(void *ctx, const json_t *j)
{
	struct parsing *p = ctx;

	return toc_refuse(p->seen++, entry(p, j));
}

static int parse(struct parsing *p, const char *text, size_t len)
{
	struct toc_scan scan = { .entry = on_entry, .ctx = p };
	int r = toc_scan(text, len, &scan);

	if (r >= 0 && (scan.version != VERSION || !scan.has_entries))
		return err(-EBADMSG, "table of contents: not of version %d", VERSION);
	return r < 0 ? r : toc_refuse(p->seen, end_file(p));
}

int toc_parse(const char *text, size_t len, uint64_t blob_size, struct toc *ret)
{
	struct toc t = { 0 };
	struct parsing p = { .t = &t, .blob_size = blob_size };
	int r = len > TOC_MAX ? err(-EBADMSG, "table of contents: over %u bytes", TOC_MAX) :
				parse(&p, text, len);

	if (r < 0) {
		toc_done(&t);
		return r;
	}
	*ret = t;
	return 0;
}

/* They are ours, whatever a reader of tars lends of its own. */
static void free_const(const void *p)
{
	free((void *)(uintptr_t)p);
}

static void free_texts(struct tar_entry *e)
{
	for (size_t i = 0; i < e->nxattrs; i++) {
		free_const(e->xattrs[i].name);
		free_const(e->xattrs[i].value);
	}
	free_const(e->xattrs);
	free_const(e->path);
	free_const(e->link);
}

void toc_done(struct toc *t)
{
	for (size_t i = 0; i < t->n; i++)
		free_texts(&t->entries[i].e);
	free(t->entries);
	free(t->chunks);
	*t = (struct toc){ 0 };
}
