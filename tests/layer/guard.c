/* SPDX-License-Identifier: Apache-2.0 */
/* An image that changes or shrinks under its map: each read says so, and nothing else happens. */
#include "layer/guard.h"
#include "tests/layer/help.h"
#include <pthread.h>
#include <signal.h>

#define FILES 2000

struct sample {
	int fd, sums;
	struct layer_index *x;
};

static struct sample sample_new(bool verified)
{
	struct sample s = { .fd = -1, .sums = fd_memfd("sums", NULL, 0) };
	struct layer_tree *t = NULL;
	char name[32];

	must(layer_tree_new(&t));
	for (int i = 0; i < FILES; i++) {
		snprintf(name, sizeof(name), "f%04d", i);
		tree_text(t, name, name);
	}
	layer_index_close(tree_index(t, NULL, 0, &s.fd));
	must(layer_index_sums(s.fd, s.sums));
	must(layer_index_open_verified(s.fd, verified ? s.sums : -1, &s.x));
	return s;
}

static void sample_done(struct sample *s)
{
	layer_index_close(s->x);
	close(s->fd);
	close(s->sums);
	err_clear();
}

/* Reads every file by its name: how many are right, and how many fail; none may be wrong. */
static void count(struct sample *s, unsigned *good, unsigned *bad)
{
	char name[32];

	*good = *bad = 0;
	for (int i = 0; i < FILES; i++) {
		unsigned lost = layer_index_lost(s->x);
		struct layer_content c = { 0 };
		uint64_t nid;
		int r;

		snprintf(name, sizeof(name), "f%04d", i);
		r = layer_lookup(s->x, LAYER_ROOT_NID, name, 5, &nid);
		if (r == 0)
			r = layer_content(s->x, nid, &c);
		if (r == 0 && c.kind == LAYER_INLINE && memcmp(c.data, name, 5) == 0) {
			++*good;
			continue;
		}
		/* Wrong only together with a page that went meanwhile. */
		assert_true(r < 0 || layer_index_lost(s->x) != lost);
		assert_true(r == 0 || r == -EBADMSG || r == -EIO || r == -ENOENT ||
			    layer_index_lost(s->x) != lost);
		err_clear();
		++*bad;
	}
}

static void sound(_unused_ void **state)
{
	struct sample s = sample_new(true);
	unsigned good, bad;

	count(&s, &good, &bad);
	assert_int_equal(good, FILES);
	sample_done(&s);
}

/* Each byte of a file's inode and content in turn: that file fails, by its own block alone. */
static void flipped(_unused_ void **state)
{
	unsigned good, bad;
	struct sample s = sample_new(true);
	uint64_t nid = index_at(s.x, "f1000");
	off_t at = 4096 + (off_t)nid * 32 + 70;
	char c;

	assert_int_equal(pread(s.fd, &c, 1, at), 1);
	c ^= 1;
	layer_index_close(s.x);
	assert_int_equal(pwrite(s.fd, &c, 1, at), 1);
	must(layer_index_open_verified(s.fd, s.sums, &s.x));
	count(&s, &good, &bad);
	assert_true(bad >= 1 && bad <= 4096 / 64);
	assert_int_equal(good + bad, FILES);
	assert_int_equal(index_at(s.x, "f1000") ?
				 layer_content(s.x, nid, &(struct layer_content){ 0 }) :
				 -EIO,
			 -EIO);
	sample_done(&s);
}

static void without_digest(_unused_ void **state)
{
	struct sample s = sample_new(true);

	layer_index_close(s.x);
	assert_ok(ftruncate(s.sums, 0));
	must_fail(layer_index_open_verified(s.fd, s.sums, &s.x), EBADMSG);
	must(layer_index_open(s.fd, &s.x));
	sample_done(&s);
}

static void cut(bool verified)
{
	struct sample s = sample_new(verified);
	unsigned good, bad;

	count(&s, &good, &bad);
	assert_int_equal(good, FILES);
	assert_ok(ftruncate(s.fd, 5 * 4096));
	count(&s, &good, &bad);
	assert_true(bad > 0 && layer_index_lost(s.x) > 0);
	/* It stays so when the bytes come back: they are zeros now. */
	assert_ok(ftruncate(s.fd, (off_t)layer_index_size(s.x)));
	count(&s, &good, &bad);
	assert_true(bad > 0);
	sample_done(&s);
}

static void cut_off(_unused_ void **state)
{
	cut(true);
	cut(false);
}

/* A SIGBUS that is not of a map of ours ends the process, as it would have. */
static void foreign(_unused_ void **state)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		struct sigaction dfl = { .sa_handler = SIG_DFL };
		struct sample s;
		int fd = fd_memfd("other", NULL, 0);
		volatile char *p;

		sigaction(SIGBUS, &dfl, NULL);
		s = sample_new(false);
		(void)s;
		if (ftruncate(fd, 4096) < 0)
			_exit(1);
		p = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
		if (ftruncate(fd, 0) < 0)
			_exit(1);
		_exit(*p);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGBUS);
}

#define ROUNDS 2000
#define PAGES  16u

static atomic_bool over;

static void *come_and_go(void *arg)
{
	static const char page[4096];

	while (!over) {
		struct guard *g = new0(struct guard);

		if (guard_init(g, page, sizeof(page), -1) < 0)
			return NULL;
		guard_done(g);
		free(g);
	}
	return arg;
}

/* Pages are lost while maps before this one in the handler's table go. */
static void beside_others(_unused_ void **state)
{
	pthread_t threads[3];
	void *r;

	for (int i = 0; i < 3; i++)
		assert_ok(-pthread_create(&threads[i], NULL, come_and_go, &over));
	for (int i = 0; i < ROUNDS; i++) {
		int fd = fd_memfd("lost", NULL, 0);
		struct guard g = { 0 };
		volatile char *p;

		assert_ok(ftruncate(fd, PAGES * 4096));
		p = mmap(NULL, PAGES * 4096, PROT_READ, MAP_SHARED, fd, 0);
		assert_ok(guard_init(&g, (void *)p, PAGES * 4096, -1));
		assert_ok(ftruncate(fd, 0));
		for (unsigned n = 0; n < PAGES; n++)
			assert_int_equal(p[n * 4096], 0);
		assert_int_equal(g.lost, PAGES);
		guard_done(&g);
		munmap((void *)p, PAGES * 4096);
		close(fd);
	}
	over = true;
	for (int i = 0; i < 3; i++) {
		assert_ok(-pthread_join(threads[i], &r));
		assert_non_null(r);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sound),	  cmocka_unit_test(flipped),
		cmocka_unit_test(without_digest), cmocka_unit_test(cut_off),
		cmocka_unit_test(foreign),	  cmocka_unit_test(beside_others),
	};

	return run_units(tests);
}
