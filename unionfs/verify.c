/* SPDX-License-Identifier: Apache-2.0 */
#include "unionfs/verify.h"

#include "base/err.h"
#include "base/fd.h"
#include "base/hash.h"
#include "base/log.h"
#include "unionfs/readers.h"

#include <errno.h>
#include <stdarg.h>

#define LINES_MAX \
	100 /* different ones; a client could fill the log by reading what is bad for ever */
#define AT_ONCE 16u /* blocks; a content of a pack has no more (LAYER_PACK_MAX) */

/* Whether it is one line too many, or was told before. */
static bool told(const char *text)
{
	static _Atomic(uint64_t) lines[LINES_MAX];
	uint64_t key = hash_bytes(text, strlen(text)) | 1;

	for (size_t i = 0; i < LINES_MAX; i++) {
		uint64_t none = 0;

		if (atomic_compare_exchange_strong(&lines[i], &none, key))
			return false;
		if (none == key)
			return true;
	}
	return true;
}

void verify_tell(const char *fmt, ...)
{
	char text[ERR_TEXT_MAX];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	if (!told(text))
		log_err("%s: answered with an I/O error; `strata fsck` says what it touches", text);
}

/* ---- bits ---- */

static bool has_bit(_Atomic(uint8_t) *bits, uint64_t i)
{
	return atomic_load_explicit(&bits[i / 8], memory_order_relaxed) & 1u << i % 8;
}

static void set_bit(_Atomic(uint8_t) *bits, uint64_t i)
{
	atomic_fetch_or_explicit(&bits[i / 8], (uint8_t)(1u << i % 8), memory_order_relaxed);
}

/* ---- life ---- */

/* A bit for each block: none is known, or all are good to us. */
static _Atomic(uint8_t) *bits_of(int pack, uint32_t blocks)
{
	size_t n = blocks / 8 + 1;
	_Atomic(uint8_t) *bits = mem_new(n, 1);

	if (bits && fd_is_verity(pack))
		memset((void *)bits, 0xff, n);
	return bits;
}

int verify_init(struct verify *v, const struct layer_index *x, const int *packs, const int *sums)
{
	size_t n = layer_index_ndevices(x);

	*v = (struct verify){ 0 };
	if (!sums)
		return 0;
	v->max_nid = layer_index_size(x) / 32; /* layer.h: a nid is a byte offset / 32 */
	v->sums = mem_new(n + 1, sizeof(*v->sums));
	v->blocks = mem_new(n + 1, sizeof(*v->blocks));
	v->objects = mem_new(v->max_nid / 8 + 1, 1);
	if (!v->sums || !v->blocks || !v->objects)
		return -ENOMEM;
	for (; v->npacks < n; v->npacks++) {
		size_t i = v->npacks;

		v->blocks[i] = bits_of(packs[i], layer_index_device(x, i)->blocks);
		if (!v->blocks[i])
			return -ENOMEM;
		v->sums[i] = fcntl(sums[i], F_DUPFD_CLOEXEC, 3);
		if (v->sums[i] < 0) {
			free((void *)v->blocks[i]);
			return err_sys("union: digests of pack %zu", i);
		}
	}
	return 0;
}

void verify_done(struct verify *v)
{
	for (size_t i = 0; i < v->npacks; i++) {
		fd_close(v->sums[i]);
		free((void *)v->blocks[i]);
	}
	free(v->sums);
	free(v->blocks);
	free((void *)v->objects);
	*v = (struct verify){ 0 };
}

/* ---- packs ---- */

static int bad_block(const struct layer_index *x, uint16_t device, uint64_t block, const char *why)
{
	verify_tell("pack of layer sha256:%s, block %llu: %s",
		    digest_hex(&layer_index_device(x, device - 1u)->diff_id).s,
		    (unsigned long long)block, why);
	return -EIO;
}

static int check_some(struct verify *v, const struct layer_index *x, int fd, uint16_t device,
		      uint32_t first, size_t n)
{
	uint8_t data[AT_ONCE * LAYER_BLOCK];
	struct digest want[AT_ONCE], got;
	ssize_t d = fd_pread_full(fd, data, n * LAYER_BLOCK, (off_t)first * LAYER_BLOCK);
	ssize_t s = fd_pread_full(v->sums[device - 1u], want, n * sizeof(*want),
				  (off_t)(first * sizeof(*want)));

	if (d != (ssize_t)(n * LAYER_BLOCK) || s != (ssize_t)(n * sizeof(*want)))
		return bad_block(x, device, first,
				 d < 0 || s < 0 ? strerror((int)-MIN(d, s)) : "cut off");
	for (size_t i = 0; i < n; i++) {
		got = sha256_of(data + i * LAYER_BLOCK, LAYER_BLOCK);
		if (!digest_eq(&got, &want[i]))
			return bad_block(x, device, first + i, "digest mismatch");
		set_bit(v->blocks[device - 1u], first + i);
	}
	return 0;
}

int verify_blocks(struct verify *v, const struct layer_index *x, int fd, uint16_t device,
		  uint32_t first, uint64_t n)
{
	int r = 0;

	while (v->sums && r == 0 && n) {
		size_t run = 0;

		while (run < n && run < AT_ONCE && !has_bit(v->blocks[device - 1u], first + run))
			run++;
		if (run)
			r = check_some(v, x, fd, device, first, run);
		run += run == 0;
		first += (uint32_t)run;
		n -= run;
	}
	return r;
}

/* ---- objects ---- */

int verify_object(struct verify *v, int fd, uint64_t nid, const struct digest *want)
{
	struct digest got;
	int r;

	if (!v->sums || nid > v->max_nid || has_bit(v->objects, nid))
		return 0;
	readers_let_others();
	r = fd_is_verity(fd) ? 1 : sha256_of_fd(fd, 0, &got, NULL);
	if (r == 1 || (r == 0 && digest_eq(&got, want))) {
		set_bit(v->objects, nid);
		return 0;
	}
	verify_tell("object sha256:%s: %s", digest_hex(want).s,
		    r < 0 ? strerror(-r) : "digest mismatch");
	return -EIO;
}
