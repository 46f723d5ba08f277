/* SPDX-License-Identifier: Apache-2.0 */
#include "imagestore/tar_header.h"

#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"

#define SIZE_MAX_USTAR 077777777777ll /* what 11 octal digits can say: 8 GiB - 1 */
#define ID_MAX	       0xfffffffell   /* (uid_t)-1 means "leave as it is" to chown(2) */
#define MAJOR_MAX      0xfff	      /* a dev_t of Linux: 12 bits and 20 bits */
#define MINOR_MAX      0xfffff

bool tar_header_is_zero(const void *block)
{
	const uint8_t *b = block;

	return b[0] == 0 && memcmp(b, b + 1, TAR_BLOCK - 1) == 0;
}

/* ---- numbers ---- */

/* GNU: the first bit is set, the others are a big-endian number in two's complement. */
static int base256(const char *field, size_t len, int64_t *ret)
{
	const uint8_t *b = (const uint8_t *)field;
	bool negative = b[0] & 0x40;
	uint64_t x = negative ? ~0ull : 0;

	for (size_t i = 0; i < len; i++) {
		uint8_t byte = i == 0 ? (negative ? b[0] : b[0] & 0x7f) : b[i];

		if ((x >> 55) != (negative ? 0x1ffu : 0))
			return -ERANGE;
		x = x << 8 | byte;
	}
	*ret = (int64_t)x;
	return 0;
}

int tar_header_number(const char *field, size_t len, int64_t *ret)
{
	int64_t x = 0;
	size_t i = 0;

	if (field[0] & 0x80)
		return base256(field, len, ret);
	while (i < len && (field[i] == ' ' || field[i] == '\0'))
		i++;
	for (; i < len && field[i] >= '0' && field[i] <= '7'; i++)
		x = x * 8 + (field[i] - '0');
	for (; i < len; i++) {
		if (field[i] != ' ' && field[i] != '\0')
			return -EINVAL;
	}
	*ret = x;
	return 0;
}

static int number(const char *field, size_t len, const char *what, int64_t min, int64_t max,
		  int64_t *ret)
{
	int64_t x;

	if (tar_header_number(field, len, &x) < 0 || x < min || x > max)
		return err(-EBADMSG, "its %s is no number that can be", what);
	*ret = x;
	return 0;
}

/* The sum of all bytes with the field itself as spaces; old tars added them as signed. */
int tar_header_checksum(const struct tar_header *h)
{
	const uint8_t *b = (const uint8_t *)h;
	int64_t want, sum = 0, sum_signed = 0;

	for (size_t i = 0; i < TAR_BLOCK; i++) {
		bool own = i >= offsetof(struct tar_header, chksum) &&
			   i < offsetof(struct tar_header, typeflag);
		uint8_t byte = own ? ' ' : b[i];

		sum += byte;
		sum_signed += (int8_t)byte;
	}
	if (tar_header_number(h->chksum, sizeof(h->chksum), &want) < 0 ||
	    (want != sum && want != sum_signed))
		return -EBADMSG;
	return 0;
}

/* ---- names ---- */

/* The name of a ustar or star header: its prefix, '/', its name. GNU's and v7's have no prefix. */
static void header_path(const struct tar_header *h, char *out)
{
	size_t len = strnlen(h->name, sizeof(h->name)), prefix = 0;

	if (memcmp(h->magic, "ustar", 6) == 0) {
		bool star = memcmp(h->pad + 8, "tar", 4) == 0;

		prefix = strnlen(h->prefix, star ? 131 : sizeof(h->prefix));
	}
	if (prefix) {
		memcpy(out, h->prefix, prefix);
		out[prefix++] = '/';
	}
	memcpy(out + prefix, h->name, len);
	out[prefix + len] = '\0';
}

static int find_names(const struct tar_header *h, const struct tar_pax *p, char *names,
		      struct tar_entry *e)
{
	char *link = names + TAR_PATH_MAX + 1;
	size_t len = strnlen(h->linkname, sizeof(h->linkname));

	if ((p->path && p->long_path) || (p->link && p->long_link))
		return err(-EBADMSG, "its name stands in a pax and in a GNU header");
	header_path(h, names);
	memcpy(link, h->linkname, len);
	link[len] = '\0';
	e->path = p->path ? p->path : p->long_path ? p->long_path : names;
	if (p->sparse.name) /* the others are made up */
		e->path = p->sparse.name;
	e->link = p->link ? p->link : p->long_link ? p->long_link : link;
	if (!*e->path)
		return err(-EBADMSG, "it has no name");
	if (strlen(e->path) > TAR_PATH_MAX || strlen(e->link) > TAR_PATH_MAX)
		return err(-EBADMSG, "its name or link has over %u bytes", TAR_PATH_MAX);
	return 0;
}

/* ---- types and sizes ---- */

static int find_type(const struct tar_header *h, struct tar_entry *e)
{
	bool slash = str_ends(e->path, "/");

	switch (h->typeflag) {
	case '\0': /* v7 has no directories but by their name */
		e->type = slash ? '5' : '0';
		return 0;
	case 'S': /* GNU: a sparse file */
	case '0':
	case '7': /* contiguous: a file like others */
		if (slash)
			return err(-EBADMSG, "a file whose name ends with '/'");
		e->type = '0';
		return 0;
	case '1':
	case '2':
		if (!*e->link)
			return err(-EBADMSG, "a link to nothing");
		/* fall through */
	case '3':
	case '4':
	case '5':
	case '6':
		e->type = h->typeflag;
		return 0;
	default:
		return err(-EBADMSG, "its type 0x%02x is not one of files",
			   (unsigned char)h->typeflag);
	}
}

/* The two places of a size must agree, but for one that the header has no room for. */
static int find_size(const struct tar_header *h, const struct tar_pax *p, struct tar_entry *e)
{
	int64_t size = 0;
	int r = number(h->size, sizeof(h->size), "size", 0, INT64_MAX, &size);

	if (r < 0)
		return r;
	if (p->has_size && p->size != (uint64_t)size && p->size <= SIZE_MAX_USTAR)
		return err(-EBADMSG, "its size is %lld in the header and %llu in its pax header",
			   (long long)size, (unsigned long long)p->size);
	e->size = e->stored = p->has_size ? p->size : (uint64_t)size;
	if (e->type != '0' && e->size)
		return err(-EBADMSG, "%llu bytes of content for what has none",
			   (unsigned long long)e->size);
	return 0;
}

static const struct tar_segment no_segments;

static int find_sparse(struct tar_pax *p, struct tar_entry *e)
{
	int r;

	if (!p->sparse.is)
		return 0;
	if (e->type != '0')
		return err(-EBADMSG, "a sparse file that is no file");
	r = tar_sparse_check(&p->sparse, e->stored, &e->stored);
	e->size = p->sparse.size;
	e->segments = p->sparse.n ? p->sparse.segments : &no_segments;
	e->nsegments = p->sparse.n;
	return r;
}

static int find_owner(const struct tar_header *h, const struct tar_pax *p, struct tar_entry *e)
{
	int64_t uid = p->uid, gid = p->gid, mtime = 0;
	int r = 0;

	if (!p->has_uid)
		r = number(h->uid, sizeof(h->uid), "uid", 0, ID_MAX, &uid);
	if (r >= 0 && !p->has_gid)
		r = number(h->gid, sizeof(h->gid), "gid", 0, ID_MAX, &gid);
	if (r >= 0 && !p->has_mtime)
		r = number(h->mtime, sizeof(h->mtime), "mtime", INT64_MIN, INT64_MAX, &mtime);
	e->uid = (uint32_t)uid;
	e->gid = (uint32_t)gid;
	e->mtime = p->has_mtime ? p->mtime : (struct timespec){ .tv_sec = mtime };
	return r;
}

static int find_device(const struct tar_header *h, struct tar_entry *e)
{
	int64_t major = 0, minor = 0;
	int r;

	if (e->type != '3' && e->type != '4')
		return 0;
	r = number(h->devmajor, sizeof(h->devmajor), "device number", 0, MAJOR_MAX, &major);
	if (r >= 0)
		r = number(h->devminor, sizeof(h->devminor), "device number", 0, MINOR_MAX, &minor);
	if (r < 0)
		return r;
	if (major == 0 && minor == 0)
		return err(-EBADMSG, "the device 0/0, which means \"deleted\" in a layer");
	e->major = (uint32_t)major;
	e->minor = (uint32_t)minor;
	return 0;
}

int tar_header_entry(const struct tar_header *h, struct tar_pax *p, char *names,
		     struct tar_entry *ret)
{
	struct tar_entry e = { .path = "", .link = "", .xattrs = p->xattrs, .nxattrs = p->nxattrs };
	int64_t mode = 0;
	int r = find_names(h, p, names, &e);

	ret->path = e.path; /* for the error */
	if (r >= 0)
		r = find_type(h, &e);
	if (r >= 0)
		r = find_size(h, p, &e);
	if (r >= 0)
		r = find_sparse(p, &e);
	if (r >= 0)
		r = find_owner(h, p, &e);
	if (r >= 0)
		r = number(h->mode, sizeof(h->mode), "mode", 0, INT64_MAX, &mode);
	if (r >= 0)
		r = find_device(h, &e);
	if (r < 0)
		return r;
	e.mode = (uint32_t)mode & 07777;
	*ret = e;
	return 0;
}
