/* SPDX-License-Identifier: Apache-2.0 */
/* Machines in the store: whole or not there, counted, collected when nobody begins from them. */
#include "tests/imagestore/kit.h"

#include <dirent.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>

static const struct digest key = { { 1, 2, 3 } };

static void make(struct kit *k, const char *text)
{
	_close_ int fd = -1;
	struct txn *t;

	assert_done(txn_begin(k->s, &t));
	fd = machine_create(t);
	assert_true(fd >= 0);
	assert_ok(fd_write_full(fd, text, strlen(text)));
	assert_int_equal(machine_open(k->s, &key), -ENOENT);
	assert_done(machine_publish(t, &key));
	txn_abort(t);
}

static void assert_has(struct kit *k, const char *text)
{
	_close_ int fd = machine_open(k->s, &key);
	char buf[32] = "";

	assert_true(fd >= 0);
	assert_int_equal(read(fd, buf, sizeof(buf)), strlen(text));
	assert_string_equal(buf, text);
}

static struct df_total df(struct kit *k)
{
	struct df_total t;

	assert_done(store_df(k->s, NULL, NULL, &t));
	return t;
}

static void made_opened_removed(void **state)
{
	struct kit *k = *state;

	make(k, "one");
	assert_has(k, "one");
	assert_int_equal(df(k).machines, 1);
	assert_true(df(k).machine_bytes > 0);
	assert_int_equal(df(k).machine_reclaimable, 0);
	assert_done(machine_remove(k->s, &key));
	assert_done(machine_remove(k->s, &key));
	assert_int_equal(machine_open(k->s, &key), -ENOENT);
	assert_int_equal(df(k).machines, 0);
}

static void the_last_one_made_stays(void **state)
{
	struct kit *k = *state;
	_close_ int fd = -1;
	struct txn *t;

	make(k, "one");
	assert_done(txn_begin(k->s, &t));
	fd = machine_create(t);
	assert_true(fd >= 0);
	assert_ok(fd_write_full(fd, "another", 7));
	assert_done(machine_publish(t, &key));
	txn_abort(t);
	assert_has(k, "another");
	assert_int_equal(df(k).machines, 1);
}

/* A store of an older strata has no folder for them. */
static void older_store(void **state)
{
	struct kit *k = *state;
	struct gc_result gc;

	assert_ok(unlinkat(k->dirfd, "machines", AT_REMOVEDIR));
	assert_int_equal(machine_open(k->s, &key), -ENOENT);
	assert_done(store_gc(k->s, &gc));
	assert_int_equal(df(k).machines, 0);
	make(k, "one");
	assert_has(k, "one");
}

static int count_entry(const char *root, const char *folder)
{
	_free_ char *path = str_fmt("%s/%s", root, folder);
	DIR *d = opendir(path);
	int n = 0;

	assert_non_null(d);
	while (readdir(d))
		n++;
	closedir(d);
	return n - 2; /* . and .. */
}

static void killed_maker_leaves_nothing(void **state)
{
	struct kit *k = *state;
	pid_t pid = fork();
	struct store *again;
	int status;

	assert_true(pid >= 0);
	if (pid == 0) {
		struct txn *t;
		int fd = txn_begin(k->s, &t) < 0 ? -1 : machine_create(t);

		if (fd >= 0 && write(fd, "half", 4) == 4)
			raise(SIGKILL);
		_exit(1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(count_entry(k->root, "tmp"), 1);
	assert_done(store_open(k->root, 0, &again)); /* any command */
	store_close(again);
	assert_int_equal(count_entry(k->root, "tmp"), 0);
	assert_int_equal(machine_open(k->s, &key), -ENOENT);
}

static void age(struct kit *k, time_t seconds)
{
	_free_ char *path = str_fmt("machines/%s", digest_hex(&key).s);
	struct timespec t[2] = { { .tv_sec = time(NULL) - seconds } };

	t[1] = t[0];
	assert_ok(utimensat(k->dirfd, path, t, 0));
}

static void collected_when_unused(void **state)
{
	struct kit *k = *state;
	struct gc_result gc;

	make(k, "one");
	age(k, 6 * 24 * 3600);
	assert_done(store_gc(k->s, &gc));
	assert_int_equal(gc.files, 0);
	assert_has(k, "one");
	age(k, 8 * 24 * 3600);
	assert_int_equal(df(k).machine_reclaimable, df(k).machine_bytes);
	assert_done(store_gc(k->s, &gc));
	assert_int_equal(gc.files, 1);
	assert_int_equal(machine_open(k->s, &key), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		kit_test(made_opened_removed),	 kit_test(the_last_one_made_stays),
		kit_test(older_store),		 kit_test(killed_maker_leaves_nothing),
		kit_test(collected_when_unused),
	};

	return run_units(tests);
}
