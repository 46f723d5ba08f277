/* SPDX-License-Identifier: Apache-2.0 */
#include "imagestore/tar_write.h"

#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "imagestore/tar_header.h"

#define ID_USTAR_MAX 07777777u
#define OCTAL11_MAX  077777777777ull

static const uint8_t zeros[2 * TAR_BLOCK];

int tar_write_data(const struct tar_writer *w, const void *data, size_t len)
{
	return w->sink(w->ctx, data, len);
}

int tar_write_pad(const struct tar_writer *w, uint64_t size)
{
	size_t n = (size_t)(ROUND_UP(size, TAR_BLOCK) - size);

	return n ? w->sink(w->ctx, zeros, n) : 0;
}

int tar_write_end(const struct tar_writer *w)
{
	return w->sink(w->ctx, zeros, 2 * TAR_BLOCK);
}

/* ---- pax records ---- */

/* "<length> <key>=<value>\n", where the length counts its own digits. */
static void record(struct buf *b, const char *key, const void *value, size_t len)
{
	size_t rest = 1 + strlen(key) + 1 + len + 1, total = rest + 1, digits = 1;

	for (size_t limit = 10; total >= limit; limit *= 10) {
		digits++;
		total = rest + digits;
	}
	buf_addf(b, "%zu %s=", total, key);
	buf_add(b, value, len);
	buf_addc(b, '\n');
}

static void record_text(struct buf *b, const char *key, const char *value)
{
	record(b, key, value, strlen(value));
}

static void record_number(struct buf *b, const char *key, uint64_t x)
{
	char text[24];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)x);
	record_text(b, key, text);
}

static bool mtime_fits(const struct timespec *t)
{
	return t->tv_nsec == 0 && t->tv_sec >= 0 && (uint64_t)t->tv_sec <= OCTAL11_MAX;
}

static void record_mtime(struct buf *b, const struct timespec *t)
{
	bool back = t->tv_sec < 0 && t->tv_nsec;
	long long sec = (long long)t->tv_sec + back;
	long nsec = back ? 1000000000 - t->tv_nsec : t->tv_nsec;
	char text[48];
	int n = snprintf(text, sizeof(text), "%s%lld", back && sec == 0 ? "-" : "", sec);

	if (nsec)
		n += snprintf(text + n, sizeof(text) - (size_t)n, ".%09ld", nsec);
	while (nsec && text[n - 1] == '0')
		text[--n] = '\0';
	record_text(b, "mtime", text);
}

static void records(struct buf *b, const struct tar_entry *e)
{
	if (strlen(e->path) > sizeof(((struct tar_header *)0)->name))
		record_text(b, "path", e->path);
	if (e->link && strlen(e->link) > sizeof(((struct tar_header *)0)->linkname))
		record_text(b, "linkpath", e->link);
	if (e->size > OCTAL11_MAX)
		record_number(b, "size", e->size);
	if (e->uid > ID_USTAR_MAX)
		record_number(b, "uid", e->uid);
	if (e->gid > ID_USTAR_MAX)
		record_number(b, "gid", e->gid);
	if (!mtime_fits(&e->mtime))
		record_mtime(b, &e->mtime);
	for (size_t i = 0; i < e->nxattrs; i++) {
		_buf_done_ struct buf key = { 0 };

		buf_addf(&key, "SCHILY.xattr.%s", e->xattrs[i].name);
		if (key.data)
			record(b, key.data, e->xattrs[i].value, e->xattrs[i].len);
		b->failed |= key.failed;
	}
}

/* ---- headers ---- */

static void octal(char *field, size_t size, uint64_t x)
{
	char text[32];

	snprintf(text, sizeof(text), "%0*llo", (int)size - 1, (unsigned long long)x);
	memcpy(field, text, size - 1);
}

static void checksum(struct tar_header *h)
{
	const uint8_t *b = (const uint8_t *)h;
	unsigned sum = 0;

	memset(h->chksum, ' ', sizeof(h->chksum));
	for (size_t i = 0; i < TAR_BLOCK; i++)
		sum += b[i];
	octal(h->chksum, sizeof(h->chksum) - 1, sum);
	h->chksum[6] = '\0';
}

static int write_header(const struct tar_writer *w, const struct tar_entry *e)
{
	struct tar_header h = { .typeflag = e->type, .magic = "ustar", .version = { '0', '0' } };

	memcpy(h.name, e->path, MIN(strlen(e->path), sizeof(h.name)));
	if (e->link)
		memcpy(h.linkname, e->link, MIN(strlen(e->link), sizeof(h.linkname)));
	octal(h.mode, sizeof(h.mode), e->mode);
	octal(h.uid, sizeof(h.uid), e->uid <= ID_USTAR_MAX ? e->uid : 0);
	octal(h.gid, sizeof(h.gid), e->gid <= ID_USTAR_MAX ? e->gid : 0);
	octal(h.size, sizeof(h.size), e->size <= OCTAL11_MAX ? e->size : 0);
	octal(h.mtime, sizeof(h.mtime),
	      mtime_fits(&(struct timespec){ .tv_sec = e->mtime.tv_sec }) ?
		      (uint64_t)e->mtime.tv_sec :
		      0);
	octal(h.devmajor, sizeof(h.devmajor), e->major);
	octal(h.devminor, sizeof(h.devminor), e->minor);
	checksum(&h);
	return w->sink(w->ctx, &h, TAR_BLOCK);
}

static int write_pax(const struct tar_writer *w, const struct buf *b)
{
	struct tar_entry pax = { .type = 'x', .path = "PaxHeaders", .mode = 0644, .size = b->len };
	int r = write_header(w, &pax);

	if (r == 0)
		r = w->sink(w->ctx, b->data, b->len);
	return r ? r : tar_write_pad(w, b->len);
}

int tar_write_entry(const struct tar_writer *w, const struct tar_entry *e)
{
	_buf_done_ struct buf b = { 0 };
	int r;

	records(&b, e);
	if (b.failed)
		return -ENOMEM;
	if (b.len) {
		r = write_pax(w, &b);
		if (r)
			return r;
	}
	return write_header(w, e);
}
