/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A stream of files that is the fuzzer's: what comes out of the decoder is a tree, with names that
 * are one component each, whatever goes in.
 */
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/tree.h"
#include <sys/stat.h>

struct state {
	unsigned depth;
	bool in_file;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool ok)
{
	if (!ok)
		abort();
}

static void check(const struct state *s, const char *name)
{
	require(!s->in_file && !strchr(name, '/') && !streq(name, ".") && !streq(name, ".."));
	require(s->depth ? *name : !*name);
	require(s->depth <= TREE_DEPTH_MAX);
}

static int enter(void *ctx, const char *name, _unused_ const struct tree_attr *a)
{
	struct state *s = ctx;

	check(s, name);
	s->depth++;
	return 0;
}

static int leave(void *ctx)
{
	struct state *s = ctx;

	require(s->depth && !s->in_file);
	s->depth--;
	return 0;
}

static int file(void *ctx, const char *name, const struct tree_attr *a)
{
	struct state *s = ctx;

	check(s, name);
	require(S_ISREG(a->mode));
	s->in_file = true;
	return 0;
}

static int data_(void *ctx, _unused_ const void *data, _unused_ size_t len)
{
	require(((struct state *)ctx)->in_file);
	return 0;
}

static int end(void *ctx)
{
	struct state *s = ctx;

	require(s->in_file);
	s->in_file = false;
	return 0;
}

static int link_(void *ctx, const char *name, _unused_ const struct tree_attr *a,
		 const char *target)
{
	check(ctx, name);
	require(*target);
	return 0;
}

static int special(void *ctx, const char *name, const struct tree_attr *a)
{
	check(ctx, name);
	require(S_ISCHR(a->mode) || S_ISBLK(a->mode) || S_ISFIFO(a->mode));
	return 0;
}

static const struct tree_sink sink = { enter, leave, file, data_, end, link_, special };

/* Records behind their lengths, of 16 bits. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct state s = { 0 };
	struct tree_decoder d = { .sink = &sink, .ctx = &s };

	while (size >= 2) {
		size_t len = MIN((size_t)(data[0] | data[1] << 8), size - 2);

		if (tree_decode(&d, data + 2, len) < 0)
			break;
		data += 2 + len;
		size -= 2 + len;
	}
	err_clear();
	return 0;
}
