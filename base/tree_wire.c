/* SPDX-License-Identifier: Apache-2.0 */
/* Records of a tree: a kind, and what that has. Little-endian, as both sides are. */
#include "base/tree.h"

#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include <limits.h>
#include <sys/stat.h>

enum kind { ENTER = 1, LEAVE, FILE_, DATA, END, LINK, SPECIAL };

/* ENTER, FILE_, LINK, SPECIAL; then the name and, of a link, its target. The others are a u32. */
struct record {
	uint32_t kind;
	uint32_t mode, uid, gid;
	int64_t mtime;
	uint32_t mtime_ns, name_len;
	uint64_t rdev;
};

#define NAME_MAX_  255u
#define TARGET_MAX 4095u

/* ---- records from a tree ---- */

static int put_node(struct tree_encoder *e, enum kind kind, const char *name,
		    const struct tree_attr *a, const char *target)
{
	struct record r = { .kind = kind,
			    .mode = a->mode,
			    .uid = a->uid,
			    .gid = a->gid,
			    .mtime = a->mtime.tv_sec,
			    .mtime_ns = (uint32_t)a->mtime.tv_nsec,
			    .name_len = (uint32_t)strlen(name),
			    .rdev = a->rdev };
	const struct iovec iov[] = { { &r, sizeof(r) },
				     { (void *)(uintptr_t)name, r.name_len },
				     { (void *)(uintptr_t)target, strlen(target) } };

	return e->send(e->ctx, iov, ARRAY_SIZE(iov));
}

static int put_plain(struct tree_encoder *e, uint32_t kind, const void *data, size_t len)
{
	const struct iovec iov[] = { { &kind, sizeof(kind) }, { (void *)(uintptr_t)data, len } };

	return e->send(e->ctx, iov, ARRAY_SIZE(iov));
}

static int put_enter(void *ctx, const char *name, const struct tree_attr *a)
{
	return put_node(ctx, ENTER, name, a, "");
}

static int put_leave(void *ctx)
{
	return put_plain(ctx, LEAVE, "", 0);
}

static int put_file(void *ctx, const char *name, const struct tree_attr *a)
{
	return put_node(ctx, FILE_, name, a, "");
}

static int put_data(void *ctx, const void *data, size_t len)
{
	const size_t max = TREE_RECORD_MAX - sizeof(uint32_t);
	int r = 0;

	for (size_t at = 0; r >= 0 && at < len; at += max)
		r = put_plain(ctx, DATA, (const uint8_t *)data + at, MIN(len - at, max));
	return r;
}

static int put_end(void *ctx)
{
	return put_plain(ctx, END, "", 0);
}

static int put_link(void *ctx, const char *name, const struct tree_attr *a, const char *target)
{
	return put_node(ctx, LINK, name, a, target);
}

static int put_special(void *ctx, const char *name, const struct tree_attr *a)
{
	return put_node(ctx, SPECIAL, name, a, "");
}

const struct tree_sink tree_encoder_sink = {
	.enter = put_enter,
	.leave = put_leave,
	.file = put_file,
	.data = put_data,
	.end = put_end,
	.link = put_link,
	.special = put_special,
};

/* ---- a tree from records ---- */

static int bad(const char *what)
{
	return err(-EPROTO, "cp: a stream of files that is none: %s", what);
}

/* One component; the node itself, and nothing else, has none. */
static bool name_valid(const struct tree_decoder *d, const char *name, size_t len)
{
	if (strlen(name) != len || strchr(name, '/'))
		return false;
	if (!d->depth)
		return len == 0;
	return len && !streq(name, ".") && !streq(name, "..");
}

static bool kind_fits(uint32_t kind, mode_t mode)
{
	switch (kind) {
	case ENTER:
		return S_ISDIR(mode);
	case FILE_:
		return S_ISREG(mode);
	case LINK:
		return S_ISLNK(mode);
	default:
		return S_ISCHR(mode) || S_ISBLK(mode) || S_ISFIFO(mode);
	}
}

static int node(struct tree_decoder *d, const struct record *r, const char *name,
		const char *target)
{
	const struct tree_attr a = {
		r->mode, r->uid, r->gid, { r->mtime, (long)MIN(r->mtime_ns, 999999999u) }, r->rdev
	};

	d->begun = true;
	switch (r->kind) {
	case ENTER:
		d->depth++;
		return d->sink->enter(d->ctx, name, &a);
	case FILE_:
		d->in_file = true;
		return d->sink->file(d->ctx, name, &a);
	case LINK:
		return d->sink->link(d->ctx, name, &a, target);
	default:
		return d->sink->special(d->ctx, name, &a);
	}
}

static int decode_node(struct tree_decoder *d, const uint8_t *p, size_t len)
{
	char name[NAME_MAX_ + 1], target[TARGET_MAX + 1];
	struct record r;
	size_t target_len;

	if (len < sizeof(r) || d->in_file || (d->begun && !d->depth))
		return bad("out of place");
	memcpy(&r, p, sizeof(r));
	len -= sizeof(r);
	if (r.name_len > NAME_MAX_ || r.name_len > len)
		return bad("a name's length");
	memcpy(name, p + sizeof(r), r.name_len);
	name[r.name_len] = '\0';
	target_len = len - r.name_len;
	if (target_len > (r.kind == LINK ? TARGET_MAX : 0))
		return bad("a link's length");
	memcpy(target, p + sizeof(r) + r.name_len, target_len);
	target[target_len] = '\0';
	if (!name_valid(d, name, r.name_len) || !kind_fits(r.kind, r.mode) ||
	    (r.kind == LINK && (!target_len || strlen(target) != target_len)))
		return bad("a name");
	if (d->depth > TREE_DEPTH_MAX)
		return bad("too deep");
	return node(d, &r, name, target);
}

static int decode(struct tree_decoder *d, uint32_t kind, const uint8_t *p, size_t len)
{
	size_t data = len - sizeof(kind);

	switch (kind) {
	case DATA:
		return d->in_file ? d->sink->data(d->ctx, p + sizeof(kind), data) :
				    bad("out of place");
	case END:
		if (!d->in_file || data)
			return bad("out of place");
		d->in_file = false;
		return d->sink->end(d->ctx);
	case LEAVE:
		if (!d->depth || d->in_file || data)
			return bad("out of place");
		d->depth--;
		return d->sink->leave(d->ctx);
	case ENTER:
	case FILE_:
	case LINK:
	case SPECIAL:
		return decode_node(d, p, len);
	default:
		return bad("of no kind");
	}
}

int tree_decode(struct tree_decoder *d, const void *record, size_t len)
{
	uint32_t kind;
	int r;

	if (len < sizeof(kind))
		return bad("too short");
	memcpy(&kind, record, sizeof(kind));
	r = decode(d, kind, record, len);
	return r < 0 ? r : d->begun && !d->depth && !d->in_file;
}
