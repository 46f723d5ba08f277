/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pax extended headers (POSIX.1-2001, pax, "pax Extended Header"): records "<length>
 * <key>=<value>\n".
 */
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "imagestore/tar_header.h"

/* star's and everybody's; libarchive's own says the same once more in base64. */
#define XATTR	    "SCHILY.xattr."
#define XATTRS_MAX  512 /* attributes of one file */
#define ID_MAX	    0xfffffffeu
#define NSEC_DIGITS 9

void tar_pax_done(struct tar_pax *p)
{
	free(p->records);
	free(p->xattrs);
	free(p->long_path);
	free(p->long_link);
	tar_sparse_done(&p->sparse);
	*p = (struct tar_pax){ 0 };
}

static int bad(const char *key)
{
	char shown[64];

	str_printable(shown, sizeof(shown), key);
	return err(-EBADMSG, "its pax header has a value of \"%s\" that cannot be", shown);
}

static int twice(const char *key)
{
	return err(-EBADMSG, "its pax header says \"%s\" twice", key);
}

/* ---- values ---- */

static int set_name(char **at, const char *key, char *value, size_t len)
{
	if (*at)
		return twice(key);
	if (strlen(value) != len)
		return err(-EBADMSG, "its pax header has a NUL in \"%s\"", key);
	if (len == 0)
		return bad(key);
	*at = value;
	return 0;
}

static int set_size(struct tar_pax *p, const char *key, const char *value)
{
	if (p->has_size)
		return twice(key);
	p->has_size = true;
	return str_u64(value, 0, INT64_MAX, &p->size) < 0 ? bad(key) : 0;
}

static int set_id(const char *key, const char *value, bool *has, uint32_t *at)
{
	uint64_t x;

	if (*has)
		return twice(key);
	if (str_u64(value, 0, ID_MAX, &x) < 0)
		return bad(key);
	*has = true;
	*at = (uint32_t)x;
	return 0;
}

/* "[-]seconds[.fraction]"; digits behind the ninth are dropped, towards the past. */
static int set_mtime(struct tar_pax *p, const char *key, const char *value)
{
	bool negative = value[0] == '-';
	const char *dot = strchr(value, '.'), *digits = value + negative;
	char whole[24] = { 0 };
	uint64_t seconds;
	long nsec = 0, unit = 100000000;

	if (p->has_mtime)
		return twice(key);
	if ((dot ? (size_t)(dot - digits) : strlen(digits)) >= sizeof(whole))
		return bad(key);
	memcpy(whole, digits, dot ? (size_t)(dot - digits) : strlen(digits));
	if (str_u64(whole, 0, INT64_MAX / 2, &seconds) < 0)
		return bad(key);
	for (const char *d = dot ? dot + 1 : ""; *d; d++, unit /= 10) {
		if (*d < '0' || *d > '9')
			return bad(key);
		nsec += (*d - '0') * unit;
	}
	p->has_mtime = true;
	p->mtime = (struct timespec){ .tv_sec = (time_t)seconds, .tv_nsec = nsec };
	if (negative) {
		p->mtime.tv_sec = -p->mtime.tv_sec - (nsec ? 1 : 0);
		p->mtime.tv_nsec = nsec ? 1000000000 - nsec : 0;
	}
	return 0;
}

static int add_xattr(struct tar_pax *p, const char *name, const char *value, size_t len)
{
	if (!*name)
		return bad(XATTR);
	for (size_t i = 0; i < p->nxattrs; i++) {
		if (streq(p->xattrs[i].name, name))
			return twice(name);
	}
	if (p->nxattrs >= XATTRS_MAX)
		return err(-EBADMSG, "it has over %d extended attributes", XATTRS_MAX);
	if (mem_grow(&p->xattrs, &p->cap, p->nxattrs + 1, sizeof(*p->xattrs)) < 0)
		return -ENOMEM;
	p->xattrs[p->nxattrs++] = (struct tar_xattr){ .name = name, .value = value, .len = len };
	return 0;
}

/* One record; @value has @len bytes and a NUL behind them. */
static int set(struct tar_pax *p, const char *key, char *value, size_t len)
{
	const char *xattr = str_after(key, XATTR), *sparse = str_after(key, "GNU.sparse.");

	if (xattr)
		return add_xattr(p, xattr, value, len);
	if (streq(key, "path"))
		return set_name(&p->path, key, value, len);
	if (streq(key, "linkpath"))
		return set_name(&p->link, key, value, len);
	if (sparse)
		return tar_sparse_record(&p->sparse, sparse, value, len);
	if (streq(key, "SCHILY.realsize"))
		return err(-EBADMSG, "a sparse file of star's, which is not taken");
	if (!streq(key, "size") && !streq(key, "uid") && !streq(key, "gid") && !streq(key, "mtime"))
		return 0; /* times of access, names of owners, comments and the like */
	if (strlen(value) != len)
		return bad(key);
	if (streq(key, "size"))
		return set_size(p, key, value);
	if (streq(key, "uid"))
		return set_id(key, value, &p->has_uid, &p->uid);
	if (streq(key, "gid"))
		return set_id(key, value, &p->has_gid, &p->gid);
	return set_mtime(p, key, value);
}

/*
 * What a global header may not say, since half of the field applies it to all that follows and half
 * does not.
 */
static int refuse_global(const char *key)
{
	static const char *const keys[] = { "path", "linkpath", "size",		  "uid",
					    "gid",  "mtime",	"SCHILY.realsize" };

	if (str_after(key, XATTR) || str_after(key, "GNU.sparse."))
		return err(-EBADMSG, "a global pax header that sets more than comments");
	for (size_t i = 0; i < ARRAY_SIZE(keys); i++) {
		if (streq(key, keys[i]))
			return err(-EBADMSG, "a global pax header that sets \"%s\"", key);
	}
	return 0;
}

/* ---- records ---- */

/* The length in front of a record: 0 and where it ends. */
static int record_length(const char *s, size_t left, size_t *ret_len, size_t *ret_head)
{
	size_t len = 0, i = 0;

	for (; i < left && s[i] >= '0' && s[i] <= '9'; i++) {
		len = len * 10 + (size_t)(s[i] - '0');
		if (len > left)
			return -EBADMSG;
	}
	if (i == 0 || i >= left || s[i] != ' ' || len <= i + 1 || s[len - 1] != '\n')
		return -EBADMSG;
	*ret_len = len;
	*ret_head = i + 1;
	return 0;
}

int tar_pax_parse(struct tar_pax *p, char *records, size_t len, bool global)
{
	size_t n, head;

	free(p->records);
	p->records = records;
	for (char *s = records, *end = records + len; s < end; s += n) {
		char *key, *equals;
		int r;

		if (record_length(s, (size_t)(end - s), &n, &head) < 0)
			return err(-EBADMSG, "its pax header is malformed");
		key = s + head;
		equals = memchr(key, '=', n - head);
		if (!equals || memchr(key, '\0', (size_t)(equals - key)))
			return err(-EBADMSG, "its pax header is malformed");
		*equals = '\0';
		s[n - 1] = '\0';
		r = global ? refuse_global(key) :
			     set(p, key, equals + 1, (size_t)(s + n - 1 - (equals + 1)));
		if (r < 0)
			return r;
	}
	return 0;
}
