/* SPDX-License-Identifier: Apache-2.0 */
/* A chain's merged index, opened with its packs; made when it is missing. */
#include "imagestore/arrival/folder.h"
#include "imagestore/txn.h"

#include <sys/stat.h>

#define TRIES_MAX 16 /* how often gc may take the merged index between its making and its opening */

/* ---- merging ---- */

/* Against the layer's record: what is merged of it is trusted for ever. */
static int check_index(int dirfd, const struct digest *diff_id, int fd)
{
	_json_ json_t *record = NULL;
	struct digest want, got;
	const char *text;
	int r = record_read(dirfd, layer_file(diff_id, "record").s, &record);

	if (r >= 0)
		r = sha256_of_fd(fd, 0, &got, NULL);
	if (r < 0)
		return err(r, "layer sha256:%s: index: %s", digest_hex(diff_id).s, strerror(-r));
	text = json_get_str(json_get_object(record, "files"), "index");
	if (!text || digest_parse(text, &want) < 0 || !digest_eq(&want, &got))
		return err(-EBADMSG,
			   "layer sha256:%s: its index is damaged: `strata fsck --repair` mends it",
			   digest_hex(diff_id).s);
	return 0;
}

int layer_index_at(int dirfd, const struct digest *diff_id, struct layer_index **ret)
{
	struct store_file path = layer_file(diff_id, "index");
	_close_ int fd = openat(dirfd, path.s, O_RDONLY | O_CLOEXEC);

	if (fd < 0 && errno == ENOENT)
		return err(-ENOENT,
			   "layer sha256:%s is not in the store: pull or load its image again",
			   digest_hex(diff_id).s);
	if (fd < 0)
		return err_sys("%s", path.s);
	return layer_index_open(fd, ret);
}

int layer_index_checked(int dirfd, const struct digest *diff_id, struct layer_index **ret)
{
	_close_ int fd = -1;
	int r = layer_index_at(dirfd, diff_id, ret);

	if (r < 0)
		return r;
	fd = openat(dirfd, layer_file(diff_id, "index").s, O_RDONLY | O_CLOEXEC);
	r = fd < 0 ? -errno : check_index(dirfd, diff_id, fd);
	if (r < 0)
		layer_index_close(*ret);
	return r;
}

/* What SIGBUS took while it was read came as zeros. */
static int check_lost(struct layer_index *const *stack, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (layer_index_lost(stack[i]))
			return err(-EIO, "a layer's index cannot be read");
	}
	return 0;
}

/* The stack of no layers: a root and nothing in it. */
static int merge_nothing(int fd)
{
	struct layer_tree *t;
	int r = layer_tree_new(&t);

	if (r < 0)
		return r;
	r = layer_tree_write(t, NULL, 0, fd);
	layer_tree_free(t);
	return r;
}

int stack_merge(int dirfd, const struct digest *diff_ids, size_t n, int fd)
{
	_free_ struct layer_index **stack = mem_new(n, sizeof(*stack));
	size_t opened = 0;
	int r = 0;

	if (!stack)
		return -ENOMEM;
	if (n == 0)
		return merge_nothing(fd);
	for (; r >= 0 && opened < n; opened += r >= 0)
		r = layer_index_checked(dirfd, &diff_ids[opened], &stack[opened]);
	if (r >= 0)
		r = layer_merge(stack, n, fd);
	if (r >= 0)
		r = check_lost(stack, n);
	while (opened-- > 0)
		layer_index_close(stack[opened]);
	return r;
}

static int make_in_store(struct store *s, const struct digest *diff_ids, size_t n)
{
	struct txn *t;
	int r = txn_begin(s, &t);

	if (r < 0)
		return r;
	for (size_t i = 0; r >= 0 && i < n; i++) {
		r = txn_pin_layer(t, &diff_ids[i]);
		if (r == -ENOENT)
			r = err(r,
				"layer sha256:%s is not in the store: pull or load its image again",
				digest_hex(&diff_ids[i]).s);
	}
	if (r >= 0)
		r = txn_merge(t, diff_ids, n);
	if (r >= 0)
		r = txn_commit(t);
	txn_abort(t);
	return r;
}

/* Where nothing can be written the merged index lives in memory, and is as good as that. */
static int make_in_memory(struct store *s, const struct digest *diff_ids, size_t n)
{
	_close_ int fd = fd_memfd("merged", NULL, 0);
	int r = fd < 0 ? fd : stack_merge(s->dirfd, diff_ids, n, fd);

	return r < 0 ? r : take_fd(fd);
}

/* ---- opening ---- */

/* Opens what the name says now: while we waited for gc's lease it may have gone. */
static int open_merged(struct store *s, const struct digest *chain)
{
	struct store_file path = merged_file(chain, "");
	_close_ int fd = openat(s->dirfd, path.s, O_RDONLY | O_CLOEXEC);
	struct stat opened, named;

	if (fd < 0)
		return errno == ENOENT ? -ENOENT : err_sys("%s/%s", s->path, path.s);
	if (fstat(fd, &opened) < 0)
		return -errno;
	if (fstatat(s->dirfd, path.s, &named, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? -ENOENT : -errno;
	return named.st_ino == opened.st_ino ? take_fd(fd) : -ENOENT;
}

/* From here on gc sees the pin; whether it was here before is seen by the layers. */
static int check_layers(struct store *s, const struct digest *diff_ids, size_t n)
{
	_close_ int lock = -1;
	int r = store_lock(s, false, &lock);

	for (size_t i = 0; r >= 0 && i < n; i++) {
		if (!store_has(s, layer_file(&diff_ids[i], "index").s))
			r = err(-ENOENT,
				"layer sha256:%s is not in the store: pull or load its image again",
				digest_hex(&diff_ids[i]).s);
	}
	return r;
}

static int open_or_make(struct store *s, const struct digest *diff_ids, size_t n,
			const struct digest *chain)
{
	for (int i = 0; i < TRIES_MAX; i++) {
		int r, fd = open_merged(s, chain);

		if (fd != -ENOENT)
			return fd;
		if (s->rdonly)
			return make_in_memory(s, diff_ids, n);
		r = make_in_store(s, diff_ids, n);
		if (r == -EROFS || r == -EACCES || r == -EPERM) {
			err_clear();
			return make_in_memory(s, diff_ids, n);
		}
		if (r < 0)
			return r;
	}
	return err(-EAGAIN,
		   "%s: the merged index of chain sha256:%s is collected as fast as it is made",
		   s->path, digest_hex(chain).s);
}

static int open_packs(struct store *s, struct layer_index *x, struct stack *k)
{
	size_t n = layer_index_ndevices(x);

	k->pack_fds = mem_new(n, sizeof(*k->pack_fds));
	if (!k->pack_fds)
		return -ENOMEM;
	for (; k->npacks < n; k->npacks++) {
		const struct digest *d = &layer_index_device(x, k->npacks)->diff_id;
		int fd = openat(s->dirfd, layer_file(d, "pack").s, O_RDONLY | O_CLOEXEC);

		if (fd < 0)
			return err_sys("%s: pack of layer sha256:%s", s->path, digest_hex(d).s);
		k->pack_fds[k->npacks] = fd;
	}
	return 0;
}

/* Of the index: beside it, or, of one in memory, made now. */
static int open_index_sums(struct store *s, const struct stack *k)
{
	struct store_file path = merged_file(&k->chain_id, ".sums");
	_close_ int fd = openat(s->dirfd, path.s, O_RDONLY | O_CLOEXEC);
	struct stat st;
	int r;

	if (fd >= 0)
		return take_fd(fd);
	if (errno != ENOENT || fstat(k->index_fd, &st) < 0 || st.st_nlink)
		return err(
			-EBADMSG,
			"%s/%s: the digests of the merged index: %s: `strata fsck` makes them "
			"again",
			s->path, path.s, strerror(errno));
	fd = fd_memfd("sums", NULL, 0);
	r = fd < 0 ? fd : layer_index_sums(k->index_fd, fd);
	return r < 0 ? r : take_fd(fd);
}

static int open_sums(struct store *s, struct stack *k)
{
	struct layer_index *x;
	int r = 0;

	k->sums[0] = open_index_sums(s, k);
	if (k->sums[0] < 0)
		return k->sums[0];
	r = layer_index_open_verified(k->index_fd, k->sums[0], &x);
	if (r < 0)
		return r;
	for (size_t i = 0; r >= 0 && i < k->npacks; i++) {
		const struct digest *d = &layer_index_device(x, i)->diff_id;
		int fd = openat(s->dirfd, layer_file(d, "packsum").s, O_RDONLY | O_CLOEXEC);

		if (fd < 0)
			r = err_sys("%s: packsum of layer sha256:%s", s->path, digest_hex(d).s);
		k->sums[1 + i] = fd;
	}
	layer_index_close(x);
	return r;
}

int stack_open_sums(struct store *s, struct stack *k)
{
	if (k->sums)
		return 0;
	k->sums = mem_new(k->npacks + 1, sizeof(*k->sums));
	if (!k->sums)
		return -ENOMEM;
	for (size_t i = 0; i <= k->npacks; i++)
		k->sums[i] = -1;
	return open_sums(s, k);
}

static int open_stack(struct store *s, const struct digest *diff_ids, size_t n, struct stack *k)
{
	struct layer_index *x;
	int r;

	k->index_fd = open_or_make(s, diff_ids, n, &k->chain_id);
	if (k->index_fd < 0)
		return k->index_fd;
	r = check_layers(s, diff_ids, n);
	if (r >= 0)
		r = layer_index_open(k->index_fd, &x);
	if (r < 0)
		return r;
	r = open_packs(s, x, k);
	layer_index_close(x);
	return r;
}

/* What is not there yet is not lost: a line that says what to do. */
static int still_arrives(struct store *s, const struct digest *diff_ids, size_t n, int r)
{
	if (r != -ENOENT || !arriving_has_chain(s, diff_ids, n))
		return r;
	err_clear();
	return err(-EBUSY, "its image is still arriving: `strata pull` of it brings the rest");
}

int stack_open(struct store *s, const struct digest *diff_ids, size_t n, struct stack *ret)
{
	struct stack k = { .index_fd = -1, .chain_id = image_chain_id(diff_ids, n) };
	int r = n > LAYERS_MAX ? err(-E2BIG, "%zu layers; at most %u are taken", n, LAYERS_MAX) : 0;

	if (r >= 0)
		r = open_stack(s, diff_ids, n, &k);
	if (r < 0) {
		stack_close(&k);
		return still_arrives(s, diff_ids, n, r);
	}
	*ret = k;
	return 0;
}

void stack_close(struct stack *k)
{
	for (size_t i = 0; i < k->npacks; i++)
		fd_close(k->pack_fds[i]);
	for (size_t i = 0; k->sums && i <= k->npacks; i++)
		fd_close(k->sums[i]);
	free(take_ptr(k->sums));
	free(k->pack_fds);
	arriving_close(take_ptr(k->arriving));
	k->index_fd = fd_close(k->index_fd);
	k->pack_fds = NULL;
	k->npacks = 0;
}

/* ---- paths ---- */

static int pack_paths(struct store *s, struct layer_index *x, char ***ret)
{
	for (size_t i = 0; i < layer_index_ndevices(x); i++) {
		const struct digest *d = &layer_index_device(x, i)->diff_id;

		if (strv_addf(ret, "%s/%s", s->path, layer_file(d, "pack").s) < 0)
			return -ENOMEM;
	}
	return 0;
}

int stack_paths(struct store *s, const struct digest *diff_ids, size_t n, char **ret_index,
		char ***ret_packs)
{
	_strv_free_ char **packs = NULL;
	_free_ char *index = NULL;
	struct layer_index *x;
	struct stack k;
	int r = stack_open(s, diff_ids, n, &k);

	if (r < 0)
		return r;
	index = str_fmt("%s/%s", s->path, merged_file(&k.chain_id, "").s);
	r = index ? layer_index_open(k.index_fd, &x) : -ENOMEM;
	if (r >= 0) {
		r = pack_paths(s, x, &packs);
		layer_index_close(x);
	}
	stack_close(&k);
	if (r < 0)
		return r;
	*ret_index = take_ptr(index);
	*ret_packs = take_ptr(packs);
	return 0;
}
