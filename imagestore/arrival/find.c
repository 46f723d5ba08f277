/* SPDX-License-Identifier: Apache-2.0 */
/* Images that arrive: by name, by chain, opened to be served. */
#include "imagestore/arrival/folder.h"

#define DIGITS_MIN 4 /* of a digest, as image_open() takes it */

/* ---- by reference ---- */

struct by_ref {
	struct store *s;
	const char *digits;
	char *name;
	struct digest found;
	bool has;
};

/* The digits of "sha256:<hex>", or of a piece of it: NULL, when it is none. */
static const char *digits_of(const char *ref)
{
	const char *at = strrchr(ref, '@');
	const char *digits = str_after(at ? at + 1 : ref, "sha256:") ?: ref;
	size_t n = strspn(digits, "0123456789abcdef");

	return !digits[n] && n >= DIGITS_MIN && n <= 64 ? digits : NULL;
}

static bool begins(const struct digest *d, const char *digits)
{
	return strncmp(digest_hex(d).s, digits, strlen(digits)) == 0;
}

static int match(void *ctx, const struct digest *manifest, int dirfd)
{
	struct by_ref *b = ctx;
	struct image *i;

	if (arrival_has_come(b->s, manifest, dirfd))
		return 0;
	if (arrival_image(dirfd, manifest, &i) < 0) {
		err_clear(); /* it hides nobody else's name */
		return 0;
	}
	b->has = (b->name && i->name && streq(b->name, i->name)) ||
		 (b->digits &&
		  (begins(manifest, b->digits) || begins(&i->config_digest, b->digits)));
	image_close(i);
	if (b->has)
		b->found = *manifest;
	return b->has;
}

int arrival_find_ref(struct store *s, const char *ref, struct digest *ret)
{
	struct by_ref b = { .s = s, .digits = digits_of(ref) };
	int r;

	if (!store_has(s, "arriving"))
		return -ENOENT;
	if (image_name_canonical(ref, &b.name) < 0)
		err_clear();
	r = arrival_each(s, match, &b);
	free(b.name);
	if (r < 0)
		return r;
	*ret = b.found;
	return b.has ? 0 : -ENOENT;
}

int arriving_open(struct store *s, const char *ref, struct image **ret)
{
	_close_ int dirfd = -1;
	struct digest manifest;
	int r = arrival_find_ref(s, ref, &manifest);

	if (r < 0)
		return r;
	dirfd = arrival_dir(s, &manifest);
	return dirfd < 0 ? dirfd : arrival_image(dirfd, &manifest, ret);
}

struct each {
	struct store *s;
	int (*fn)(void *ctx, struct image *i);
	void *ctx;
};

static int give(void *ctx, const struct digest *manifest, int dirfd)
{
	struct each *e = ctx;
	struct image *i;
	int r;

	if (arrival_has_come(e->s, manifest, dirfd))
		return 0;
	r = arrival_image(dirfd, manifest, &i);
	if (r < 0)
		return r;
	r = e->fn(e->ctx, i);
	image_close(i);
	return r;
}

int arriving_each(struct store *s, int (*fn)(void *ctx, struct image *i), void *ctx)
{
	struct each e = { .s = s, .fn = fn, .ctx = ctx };

	return arrival_each(s, give, &e);
}

/* ---- by chain ---- */

struct by_chain {
	const struct digest *ids;
	size_t n;
	struct digest found;
	bool has;
};

static int same_chain(void *ctx, const struct digest *manifest, int dirfd)
{
	struct by_chain *c = ctx;
	_free_ struct digest *ids = NULL;
	size_t n = 0;

	if (digests_read(dirfd, "layers", &ids, &n) < 0) {
		err_clear();
		return 0;
	}
	c->has = n == c->n && (n == 0 || memcmp(ids, c->ids, n * sizeof(*ids)) == 0);
	if (c->has)
		c->found = *manifest;
	return c->has;
}

static int find_chain(struct store *s, const struct digest *ids, size_t n, struct digest *ret)
{
	struct by_chain c = { .ids = ids, .n = n };
	int r = arrival_each(s, same_chain, &c);

	if (r < 0)
		return r;
	*ret = c.found;
	return c.has ? 0 : -ENOENT;
}

bool arriving_has_chain(struct store *s, const struct digest *diff_ids, size_t n)
{
	struct digest d;

	return find_chain(s, diff_ids, n, &d) == 0;
}

/* ---- opened ---- */

void arriving_close(struct arriving *a)
{
	if (!a)
		return;
	fd_close(a->table_fd);
	fd_close(a->state_fd);
	fd_close(a->data_fd);
	fd_close(a->use_fd);
	free(a);
}

static int open_file(int dirfd, const char *name)
{
	int fd = openat(dirfd, name, O_RDONLY | O_CLOEXEC);

	return fd < 0 ? err_sys("%s of an arriving image", name) : fd;
}

static int open_arriving(int dirfd, struct arriving *a)
{
	struct table t;
	int r;

	a->use_fd = open_file(dirfd, "use");
	r = a->use_fd < 0 ? a->use_fd : fd_lock(a->use_fd, false, true);
	if (r < 0)
		return r;
	a->table_fd = open_file(dirfd, "table");
	r = a->table_fd < 0 ? a->table_fd : table_read(a->table_fd, &t);
	if (r < 0)
		return r;
	r = arrival_open_state(dirfd, &t, false, &a->state_fd, &a->data_fd);
	table_done(&t);
	return r;
}

/* A layer's pack, when it is here; what arrives lies in the data alone. */
static int open_pack(struct store *s, const struct digest *diff_id, const char *name, int data)
{
	int fd = openat(s->dirfd, layer_file(diff_id, name).s, O_RDONLY | O_CLOEXEC);

	return fd < 0 && errno == ENOENT ? fcntl(data, F_DUPFD_CLOEXEC, 3) : fd;
}

static int open_packs(struct store *s, struct layer_index *x, struct stack *k)
{
	size_t n = layer_index_ndevices(x);

	k->pack_fds = mem_new(n, sizeof(*k->pack_fds));
	if (!k->pack_fds)
		return -ENOMEM;
	while (k->npacks < n) {
		const struct digest *d = &layer_index_device(x, k->npacks)->diff_id;
		int *pack = &k->pack_fds[k->npacks++], *sums = &k->sums[k->npacks];

		*pack = open_pack(s, d, "pack", k->arriving->data_fd);
		*sums = *pack < 0 ? -1 : open_pack(s, d, "packsum", k->arriving->data_fd);
		if (*sums < 0)
			return err_sys("%s: pack of layer sha256:%s", s->path, digest_hex(d).s);
	}
	return 0;
}

static int open_stack(struct store *s, int dirfd, struct stack *k)
{
	struct layer_index *x;
	int r;

	k->index_fd = open_file(dirfd, "index");
	if (k->index_fd < 0)
		return k->index_fd;
	k->sums = mem_new(LAYERS_MAX + 1, sizeof(*k->sums));
	if (!k->sums)
		return -ENOMEM;
	k->sums[0] = open_file(dirfd, "sums");
	if (k->sums[0] < 0)
		return k->sums[0];
	r = layer_index_open_verified(k->index_fd, k->sums[0], &x);
	if (r < 0)
		return r;
	r = open_packs(s, x, k);
	layer_index_close(x);
	return r;
}

static int open_found(struct store *s, const struct digest *manifest, struct stack *k)
{
	_close_ int dirfd = arrival_dir(s, manifest);
	int r;

	if (dirfd < 0)
		return dirfd;
	k->arriving = new0(struct arriving);
	if (!k->arriving)
		return -ENOMEM;
	*k->arriving = (struct arriving){ -1, -1, -1, -1, *manifest };
	r = open_arriving(dirfd, k->arriving);
	if (r >= 0)
		r = open_stack(s, dirfd, k);
	return r >= 0 && !arrival_is_named(s, manifest, dirfd) ? -ENOENT : r;
}

static bool all_here(struct store *s, const struct digest *ids, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (!store_has(s, layer_file(&ids[i], "index").s))
			return false;
	}
	return true;
}

int stack_open_arriving(struct store *s, const struct digest *diff_ids, size_t n, struct stack *ret)
{
	struct stack k = { .index_fd = -1, .chain_id = image_chain_id(diff_ids, n) };
	struct digest manifest;
	int r = all_here(s, diff_ids, n) ? -ENOENT : find_chain(s, diff_ids, n, &manifest);

	if (r >= 0)
		r = open_found(s, &manifest, &k);
	if (r >= 0) {
		*ret = k;
		return 0;
	}
	stack_close(&k);
	if (r != -ENOENT)
		return r;
	err_clear(); /* whole, perhaps, in this moment */
	return stack_open(s, diff_ids, n, ret);
}
