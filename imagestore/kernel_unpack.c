/* SPDX-License-Identifier: Apache-2.0 */
/* Compressed pieces of files, by libarchive's filters. */
#include "imagestore/kernel_.h"

#include <archive.h>
#include <archive_entry.h>

#define CHUNK (256u << 10)

struct piece {
	struct kernel_bytes left;
	char *buf;
};

static la_ssize_t read_piece(struct archive *a, void *ctx, const void **ret)
{
	struct piece *p = ctx;
	size_t n = (size_t)MIN(p->left.len, (uint64_t)CHUNK);
	ssize_t got = fd_pread_full(p->left.fd, p->buf, n, (off_t)p->left.off);

	if (got < 0 || (size_t)got < n) {
		archive_set_error(a, EIO, "it cannot be read");
		return ARCHIVE_FATAL;
	}
	p->left.off += n;
	p->left.len -= n;
	*ret = p->buf;
	return got;
}

/* Those that libarchive does itself: no program is started for a file's sake. */
static struct archive *open_piece(struct piece *p)
{
	struct archive *a = archive_read_new();

	if (!a)
		return NULL;
	archive_read_support_filter_gzip(a);
	archive_read_support_filter_bzip2(a);
	archive_read_support_filter_xz(a);
	archive_read_support_filter_lzma(a);
	archive_read_support_filter_lz4(a);
	archive_read_support_filter_zstd(a);
	archive_read_support_format_raw(a);
	archive_read_open(a, p, NULL, read_piece, NULL);
	return a;
}

static int copy(struct archive *a, const char *what, int out, uint64_t max, uint64_t *ret_len)
{
	_free_ char *buf = malloc(CHUNK);
	struct archive_entry *e;
	uint64_t len = 0;
	la_ssize_t n;

	if (!buf)
		return -ENOMEM;
	n = archive_read_next_header(a, &e);
	n = n == ARCHIVE_OK || n == ARCHIVE_WARN ? 1 : -1;
	while (n > 0 && (n = archive_read_data(a, buf, CHUNK)) > 0) {
		int r;

		len += (uint64_t)n;
		if (len > max)
			return err(-EFBIG, "%s: more than %llu bytes when unpacked", what,
				   (unsigned long long)max);
		r = fd_write_full(out, buf, (size_t)n);
		if (r < 0)
			return err(r, "%s: cannot be written: %s", what, strerror(-r));
	}
	if (n < 0)
		return err(-EBADMSG, "%s: it cannot be unpacked: %s", what,
			   archive_error_string(a) ? archive_error_string(a) : "no reason given");
	*ret_len = len;
	return 0;
}

int kernel_unpack(const struct kernel_bytes *from, const char *what, int out, uint64_t max,
		  uint64_t *ret_len)
{
	_free_ char *buf = malloc(CHUNK);
	struct piece p = { *from, buf };
	struct archive *a = buf ? open_piece(&p) : NULL;
	int r = a ? copy(a, what, out, max, ret_len) : -ENOMEM;

	archive_read_free(a);
	return r;
}
