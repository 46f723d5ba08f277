/* SPDX-License-Identifier: Apache-2.0 */
#include "microvm/snapshot_file.h"

#include "base/err.h"
#include "base/fd.h"
#include "base/mem.h"
#include <sys/stat.h>

#define MAGIC	   "STRTSNAP"
#define VERSION	   2u
#define STATE_MAX  (8u << 20) /* 32 vCPUs with the largest XSAVE area take 1 MiB */
#define MEMORY_MAX (UINT64_C(1) << 40)

struct head {
	char magic[8];
	uint32_t version, nrecords;
	uint8_t key[32];
	uint64_t memory;
	uint32_t nextents, nruns;
	uint64_t records_len, data_len;
	struct digest state, data;
	struct digest head; /* of all before */
};

struct record {
	uint32_t type, index;
	uint64_t len; /* without what rounds it up to ALIGN */
};
#define ALIGN 8u

static uint64_t state_len(const struct head *h)
{
	return h->records_len + h->nextents * sizeof(struct snapshot_extent);
}

static uint64_t runs_len(const struct head *h)
{
	return h->nruns * sizeof(struct snapshot_run);
}

static uint64_t data_off(const struct head *h)
{
	return SNAPSHOT_PAGE + ROUND_UP(state_len(h), SNAPSHOT_PAGE);
}

static struct digest head_digest(const struct head *h)
{
	return sha256_of(h, offsetof(struct head, head));
}

/* ---- writing ---- */

void snapshot_writer_done(struct snapshot_writer *w)
{
	buf_done(&w->records);
}

void snapshot_writer_add(struct snapshot_writer *w, enum snapshot_record_type type, uint32_t index,
			 const void *data, size_t len)
{
	struct record r = { type, index, len };

	buf_add(&w->records, &r, sizeof(r));
	buf_add(&w->records, data, len);
	buf_zero(&w->records, ROUND_UP(len, ALIGN) - len);
	w->nrecords++;
}

static int write_memory(int fd, const uint8_t *memory, const struct snapshot_extent *extents,
			struct head *h)
{
	uint64_t off = data_off(h);
	struct sha256 hash;

	sha256_init(&hash);
	for (size_t i = 0; i < h->nextents; i++) {
		const struct snapshot_extent *e = &extents[i];
		int r = fd_pwrite_full(fd, memory + e->off, e->len, (off_t)off);

		if (r < 0)
			return err(r, "snapshot: %s", strerror(-r));
		sha256_update(&hash, memory + e->off, e->len);
		off += e->len;
	}
	h->data_len = off - data_off(h);
	h->data = sha256_final(&hash);
	return 0;
}

int snapshot_writer_finish(struct snapshot_writer *w, int fd, const struct digest *key,
			   const uint8_t *memory, uint64_t size,
			   const struct snapshot_extent *extents, size_t n)
{
	struct head h = { .magic = MAGIC,
			  .version = VERSION,
			  .nrecords = w->nrecords,
			  .memory = size,
			  .nextents = (uint32_t)n,
			  .records_len = w->records.len };
	int r;

	buf_add(&w->records, extents, n * sizeof(*extents));
	if (w->records.failed)
		return err(-ENOMEM, "snapshot: no memory");
	if (w->records.len > STATE_MAX || n > SNAPSHOT_EXTENTS_MAX)
		return err(-EFBIG, "snapshot: more state than a machine has");
	memcpy(h.key, key->b, sizeof(h.key));
	h.state = sha256_of(w->records.data, w->records.len);
	r = write_memory(fd, memory, extents, &h);
	if (r < 0)
		return r;
	h.head = head_digest(&h);
	r = fd_pwrite_full(fd, w->records.data, w->records.len, SNAPSHOT_PAGE);
	if (r >= 0)
		r = fd_pwrite_full(fd, &h, sizeof(h), 0);
	/* Where nothing was written zeroes are read. */
	if (r >= 0 && ftruncate(fd, (off_t)(data_off(&h) + h.data_len)) < 0)
		r = -errno;
	return r < 0 ? err(r, "snapshot: %s", strerror(-r)) : 0;
}

/* ---- reading ---- */

static int bad(const char *what)
{
	return err(-EBADMSG, "snapshot: %s", what);
}

static int head_read(int fd, const struct digest *key, struct head *h)
{
	struct digest d;
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_sys("snapshot");
	if (!S_ISREG(st.st_mode) || fd_pread_full(fd, h, sizeof(*h), 0) != sizeof(*h))
		return bad("cut off");
	if (memcmp(h->magic, MAGIC, sizeof(h->magic)) != 0)
		return bad("not a snapshot");
	if (h->version != VERSION)
		return err(-ESTALE, "snapshot: of format %u, not %u", h->version, VERSION);
	d = head_digest(h);
	if (!digest_eq(&d, &h->head))
		return bad("its head is damaged");
	if (key && memcmp(h->key, key->b, sizeof(h->key)) != 0)
		return err(-ESTALE, "snapshot: of another machine");
	if (h->nextents > SNAPSHOT_EXTENTS_MAX || h->records_len > STATE_MAX ||
	    h->records_len % ALIGN || state_len(h) > STATE_MAX || h->memory > MEMORY_MAX ||
	    h->data_len > h->memory || h->nruns > SNAPSHOT_RUNS_MAX)
		return bad("impossible sizes");
	return (uint64_t)st.st_size != data_off(h) + h->data_len + runs_len(h) ? bad("cut off") : 0;
}

/* Ascending, apart, inside the memory, and as long as the data. */
static int extents_check(const struct snapshot_file *f)
{
	uint64_t at = 0, sum = 0;

	for (uint32_t i = 0; i < f->nextents; i++) {
		const struct snapshot_extent *e = &f->extents[i];

		if (e->off < at || !e->len || e->off > f->memory || e->len > f->memory - e->off ||
		    e->off % SNAPSHOT_PAGE || e->len % SNAPSHOT_PAGE)
			return bad("impossible extent");
		at = e->off + e->len;
		sum += e->len;
	}
	return sum != f->data_len ? bad("extents of another length") : 0;
}

/* The same, and no more than a machine should have ahead. */
static int runs_check(const struct snapshot_file *f, const struct snapshot_run *runs, uint32_t n)
{
	uint64_t at = 0, sum = 0;

	for (uint32_t i = 0; i < n; i++) {
		const struct snapshot_run *r = &runs[i];

		if (r->page < at || !r->n || r->written > 1 ||
		    (uint64_t)r->page + r->n > f->memory / SNAPSHOT_PAGE)
			return bad("impossible run of pages");
		at = (uint64_t)r->page + r->n;
		sum += r->n;
	}
	return sum > SNAPSHOT_TOUCHED_MAX ? bad("too many pages ahead") : 0;
}

/* Each record is whole, and they fill their place. */
static int records_check(const struct snapshot_file *f)
{
	size_t at = 0;

	for (uint32_t i = 0; i < f->nrecords; i++) {
		struct record r;

		if (f->records_len - at < sizeof(r))
			return bad("records cut off");
		memcpy(&r, f->state + at, sizeof(r));
		at += sizeof(r);
		if (r.len > f->records_len - at)
			return bad("record cut off");
		at += ROUND_UP(r.len, ALIGN);
	}
	return at != f->records_len ? bad("more than its records") : 0;
}

static int state_read(struct snapshot_file *f, const struct head *h)
{
	size_t len = state_len(h), runs = runs_len(h);
	struct digest d;

	f->state = mem_new(1, len + runs);
	if (!f->state)
		return err(-ENOMEM, "snapshot: no memory");
	if (fd_pread_full(f->fd, f->state, len, SNAPSHOT_PAGE) != (ssize_t)len ||
	    fd_pread_full(f->fd, f->state + len, runs, (off_t)(data_off(h) + h->data_len)) !=
		    (ssize_t)runs)
		return bad("cut off");
	d = sha256_of(f->state, len + runs);
	if (!digest_eq(&d, &h->state))
		return bad("its state is damaged");
	f->extents = (struct snapshot_extent *)(f->state + f->records_len);
	f->runs = (struct snapshot_run *)(f->state + len);
	return 0;
}

int snapshot_file_open(int fd, const struct digest *key, struct snapshot_file *ret)
{
	struct snapshot_file f = { .fd = fd };
	struct head h;
	int r = head_read(fd, key, &h);

	if (r < 0)
		return r;
	f.memory = h.memory;
	f.nrecords = h.nrecords;
	f.records_len = h.records_len;
	f.nextents = h.nextents;
	f.nruns = h.nruns;
	f.data_off = data_off(&h);
	f.data_len = h.data_len;
	f.data_digest = h.data;
	f.head = h.head;
	r = state_read(&f, &h);
	if (r == 0)
		r = records_check(&f);
	if (r == 0)
		r = extents_check(&f);
	if (r == 0)
		r = runs_check(&f, f.runs, f.nruns);
	if (r < 0) {
		snapshot_file_done(&f);
		return r;
	}
	*ret = f;
	return 0;
}

void snapshot_file_done(struct snapshot_file *f)
{
	free(f->state);
	f->state = NULL;
}

const void *snapshot_file_find(const struct snapshot_file *f, enum snapshot_record_type type,
			       uint32_t index, size_t *ret_len)
{
	size_t at = 0;

	for (uint32_t i = 0; i < f->nrecords; i++) {
		struct record r;

		memcpy(&r, f->state + at, sizeof(r));
		at += sizeof(r);
		if (r.type == (uint32_t)type && r.index == index) {
			*ret_len = r.len;
			return f->state + at;
		}
		at += ROUND_UP(r.len, ALIGN);
	}
	return NULL;
}

int snapshot_file_get(const struct snapshot_file *f, enum snapshot_record_type type, uint32_t index,
		      void *data, size_t len)
{
	size_t have = 0;
	const void *p = snapshot_file_find(f, type, index, &have);

	if (!p || have != len)
		return err(-EBADMSG, "snapshot: record %u of %u is missing", type, index);
	memcpy(data, p, len);
	return 0;
}

/* ---- what is learnt later ---- */

/* Runs first: until the head says that they are there, the file is one that is cut off. */
int snapshot_file_add_runs(const struct snapshot_file *f, const struct snapshot_run *runs,
			   uint32_t n)
{
	const size_t len = n * sizeof(*runs);
	struct sha256 state;
	struct digest d;
	struct head h;
	int r = n > SNAPSHOT_RUNS_MAX || f->nruns ? bad("runs that it cannot have") :
						    runs_check(f, runs, n);

	if (r < 0)
		return r;
	if (fd_pread_full(f->fd, &h, sizeof(h), 0) != sizeof(h))
		return bad("cut off");
	d = head_digest(&h);
	if (!digest_eq(&d, &f->head))
		return bad("its head is another than it was");
	sha256_init(&state);
	sha256_update(&state, f->state, state_len(&h));
	sha256_update(&state, runs, len);
	h.nruns = n;
	h.state = sha256_final(&state);
	h.head = head_digest(&h);
	r = fd_pwrite_full(f->fd, runs, len, (off_t)(f->data_off + f->data_len));
	if (r >= 0)
		r = fd_pwrite_full(f->fd, &h, sizeof(h), 0);
	return r < 0 ? err(r, "snapshot: %s", strerror(-r)) : 0;
}

/* ---- the memory ---- */

int snapshot_file_verify(const struct snapshot_file *f)
{
	struct digest d;
	uint64_t len;
	int r = sha256_of_part(f->fd, f->data_off, f->data_len, &d, &len);

	if (r < 0)
		return err(r, "snapshot: %s", strerror(-r));
	return len != f->data_len || !digest_eq(&d, &f->data_digest) ?
		       bad("its memory is damaged") :
		       0;
}
