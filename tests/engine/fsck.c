/* SPDX-License-Identifier: Apache-2.0 */
/* fsck of what microVMs leave in the store: machines and checkpoints. */
#include "engine/checkpoint.h"
#include "engine/engine_.h"
#include "microvm/snapshot_file.h"
#include "tests/imagestore/kit.h"

#define PAGES 4u

static uint64_t fsck(struct kit *k, bool repair, struct said *ret)
{
	struct engine e = { .store = k->s };
	struct fsck_result r;

	ret->text[0] = '\0';
	assert_done(engine_fsck(&e, repair, keep_line, ret, &r));
	assert_true(r.checked > 0);
	return r.damaged;
}

/* A machine of a few pages of memory. */
static void write_machine(int fd, const struct digest *key)
{
	static uint8_t memory[PAGES * SNAPSHOT_PAGE] = { 1, 2, 3 };
	const struct snapshot_extent all = { 0, sizeof(memory) };
	struct snapshot_writer w = { 0 };

	snapshot_writer_add(&w, SNAPSHOT_NOTE, 0, "note", 4);
	assert_done(snapshot_writer_finish(&w, fd, key, memory, sizeof(memory), &all, 1));
	snapshot_writer_done(&w);
}

static void put_machine(struct kit *k, const struct digest *key)
{
	struct txn *t;
	_close_ int fd = -1;

	assert_done(txn_begin(k->s, &t));
	fd = machine_create(t);
	assert_true(fd >= 0);
	write_machine(fd, key);
	assert_done(machine_publish(t, key));
	txn_abort(t);
}

static void put_checkpoint(struct kit *k, const char *id)
{
	const struct digest key = checkpoint_key(id);
	_close_ int fd = -1;

	assert_done(snapshot_create(k->s, id, NULL, 0));
	fd = checkpoint_create(k->s, id);
	assert_true(fd >= 0);
	write_machine(fd, &key);
	assert_done(checkpoint_publish(k->s, id));
}

static void spoil(struct kit *k, const char *path, off_t at)
{
	_free_ char *whole = str_fmt("%s/%s", k->root, path);
	_close_ int fd = -1;

	assert_ok(chmod(whole, 0600));
	fd = open(whole, O_RDWR | O_CLOEXEC);
	assert_int_equal(pwrite(fd, "~", 1, at), 1);
}

static bool has_machine(struct kit *k, const struct digest *key)
{
	_close_ int fd = machine_open(k->s, key);

	return fd >= 0;
}

/* In its head, its records, its memory; one of another version is not a damaged one. */
static void machines(void **state)
{
	static const off_t places[] = { 40, SNAPSHOT_PAGE + 2, 2 * SNAPSHOT_PAGE + 5000 };
	struct kit *k = *state;
	const struct digest key = sha256_of("key", 3), other = sha256_of("other", 5);
	_free_ char *path = str_fmt("machines/%s", digest_hex(&key).s);
	struct said said;

	put_machine(k, &other);
	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		put_machine(k, &key);
		assert_int_equal(fsck(k, false, &said), 0);
		assert_string_equal(said.text, "");
		spoil(k, path, places[i]);
		assert_int_equal(fsck(k, i == 1, &said), i == 1 ? 0 : 1);
		assert_non_null(strstr(said.text, "dropped, the next microVM makes another"));
		assert_non_null(strstr(said.text, "machine "));
		assert_false(has_machine(k, &key));
		assert_true(has_machine(k, &other));
		assert_int_equal(fsck(k, false, &said), 0);
	}
	put_machine(k, &key);
	spoil(k, path, 8); /* the version */
	assert_int_equal(fsck(k, true, &said), 0);
	assert_true(has_machine(k, &key));
}

static void checkpoints(void **state)
{
	struct kit *k = *state;
	struct said said;
	int lock, upper, work;

	put_checkpoint(k, "abc");
	put_checkpoint(k, "def");
	assert_int_equal(fsck(k, false, &said), 0);
	spoil(k, "snapshots/abc/machine", 2 * SNAPSHOT_PAGE + 100);
	assert_int_equal(fsck(k, false, &said), 1);
	assert_string_equal(said.text, "checkpoint of abc: snapshot: its memory is damaged\n");
	/* Its instance runs: it is left to it. */
	assert_done(snapshot_open(k->s, "abc", &lock, &upper, &work));
	assert_int_equal(fsck(k, true, &said), 1);
	assert_true(checkpoint_exists(k->s, "abc"));
	assert_ok(close(lock) | close(upper) | close(work));
	assert_int_equal(fsck(k, true, &said), 0);
	assert_non_null(strstr(said.text, "dropped, `strata start` boots it"));
	assert_false(checkpoint_exists(k->s, "abc"));
	assert_true(checkpoint_exists(k->s, "def"));
}

int main(void)
{
	const struct CMUnitTest tests[] = { kit_test(machines), kit_test(checkpoints) };

	return run_units(tests);
}
