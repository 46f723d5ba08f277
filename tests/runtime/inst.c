/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/runtime/fixture.h"

static void write_file(int dir, const char *path, const char *text)
{
	assert_int_equal(file_replace(dir, path, text, strlen(text), 0600, false), 0);
}

static void test_create_open_delete(void **state)
{
	struct fixture *f = *state;
	struct inst *i = make_inst(f, "0123456789ab", "web"), *again = NULL;
	struct inst_state s = state_of(i);

	assert_string_equal(inst_id(i), "0123456789ab");
	assert_string_equal(inst_name(i), "web");
	assert_int_equal(s.status, INST_CREATED);
	assert_int_equal(s.exit_code, -1);
	assert_int_equal(s.pid, 0);
	assert_true(s.created.tv_sec > 0);
	assert_int_equal(s.started.tv_sec, 0);

	assert_int_equal(inst_open(f->runroot, "web", &again), 0);
	assert_string_equal(inst_id(again), "0123456789ab");
	assert_string_equal(json_get_str(inst_config(again), "image"), "test");
	assert_int_equal(inst_delete(again), 0);
	inst_close(again);
	assert_int_equal(inst_open(f->runroot, "web", &again), -ENOENT);
	assert_int_equal(inst_state(i, &s), -ENOENT);
	inst_close(i);
	assert_int_equal(faccessat(f->runroot, "names/web", F_OK, AT_SYMLINK_NOFOLLOW), -1);
}

static void test_oci_state(void **state)
{
	struct fixture *f = *state;
	struct inst *i = make_inst(f, "oci", NULL);
	_json_ json_t *j = NULL;

	assert_int_equal(json_parse_file(inst_dirfd(i), "state.json", "state", &j), 0);
	assert_string_equal(json_get_str(j, "ociVersion"), "1.2.0");
	assert_string_equal(json_get_str(j, "id"), "oci");
	assert_string_equal(json_get_str(j, "status"), "created");
	assert_non_null(strstr(json_get_str(j, "bundle"), "/instances/oci"));
	inst_close(i);
}

static void test_prefix(void **state)
{
	struct fixture *f = *state;
	struct inst *i = NULL;

	inst_close(make_inst(f, "aabb", NULL));
	inst_close(make_inst(f, "aacc", "aa"));
	inst_close(make_inst(f, "aac", NULL));
	assert_int_equal(inst_open(f->runroot, "aab", &i), 0);
	assert_string_equal(inst_id(i), "aabb");
	inst_close(i);
	/* A whole id, then a name, comes before a beginning. */
	assert_int_equal(inst_open(f->runroot, "aac", &i), 0);
	assert_string_equal(inst_id(i), "aac");
	inst_close(i);
	assert_int_equal(inst_open(f->runroot, "aa", &i), 0);
	assert_string_equal(inst_id(i), "aacc");
	inst_close(i);
	assert_int_equal(inst_open(f->runroot, "a", &i), -ENOTUNIQ);
	assert_int_equal(inst_open(f->runroot, "b", &i), -ENOENT);
	assert_int_equal(inst_open(f->runroot, "", &i), -ENOENT);
	assert_int_equal(inst_open(f->runroot, "../names", &i), -ENOENT);
}

static void test_bad_names(void **state)
{
	struct fixture *f = *state;
	static const char *const bad[] = { "", "-x", ".new", "a/b", "a b", "..", "\xc3\xa4" };
	_json_ json_t *config = json_pack("{s:s}", "name", "no/good");
	struct inst *i = NULL;

	for (size_t n = 0; n < ARRAY_SIZE(bad); n++)
		assert_int_equal(inst_create(f->runroot, bad[n], config, &i), -EINVAL);
	assert_int_equal(inst_create(f->runroot, "good", config, &i), -EINVAL);
	assert_int_equal(inst_open(f->runroot, "good", &i), -ENOENT);
	assert_int_not_equal(faccessat(f->runroot, "instances/.new", F_OK, 0), 0);
}

static void test_name_taken(void **state)
{
	struct fixture *f = *state;
	_json_ json_t *config = json_pack("{s:s}", "name", "web");
	struct inst *i = make_inst(f, "one", "web"), *other = NULL;

	assert_int_equal(inst_create(f->runroot, "two", config, &other), -EEXIST);
	err_clear();
	assert_int_equal(inst_create(f->runroot, "one", config, &other), -EEXIST);
	err_clear();
	assert_int_equal(inst_delete(i), 0);
	inst_close(i);
	assert_int_equal(inst_create(f->runroot, "two", config, &other), 0);
	inst_close(other);
}

/* What kill -9 may leave in the middle of making or removing one. */
static void test_half_made(void **state)
{
	struct fixture *f = *state;
	struct inst *i = NULL;

	assert_int_equal(fd_mkdir_p(f->runroot, "instances/.new/x", 0700), 0);
	assert_int_equal(fd_mkdir_p(f->runroot, "names", 0700), 0);
	assert_int_equal(symlinkat("nobody", f->runroot, "names/web"), 0);
	i = make_inst(f, "one", "web");
	assert_int_not_equal(faccessat(f->runroot, "instances/.new", F_OK, 0), 0);
	inst_close(i);
	/* A link to one that has another name. */
	assert_int_equal(symlinkat("one", f->runroot, "names/other"), 0);
	assert_int_equal(inst_open(f->runroot, "other", &i), -ENOENT);
	err_clear();
	i = make_inst(f, "two", "other");
	inst_close(i);
	assert_int_equal(inst_open(f->runroot, "other", &i), 0);
	assert_string_equal(inst_id(i), "two");
	inst_close(i);
}

static int count_one(void *ctx, struct inst *i)
{
	int *n = ctx;

	(*n)++;
	return inst_delete(i);
}

static void test_each(void **state)
{
	struct fixture *f = *state;
	int n = 0;

	assert_int_equal(inst_each(f->runroot, count_one, &n), 0);
	assert_int_equal(n, 0);
	for (int k = 0; k < 20; k++) {
		char id[INST_ID_LEN + 1];

		assert_int_equal(inst_new_id(f->runroot, id), 0);
		inst_close(make_inst(f, id, NULL));
	}
	assert_int_equal(fd_mkdir_p(f->runroot, "instances/.gone-x/y", 0700), 0);
	assert_int_equal(fd_mkdir_p(f->runroot, "instances/nothing-in-it", 0700), 0);
	assert_int_equal(inst_each(f->runroot, count_one, &n), 0);
	assert_int_equal(n, 20);
	assert_int_not_equal(faccessat(f->runroot, "instances/.gone-x", F_OK, 0), 0);
	n = 0;
	assert_int_equal(inst_each(f->runroot, count_one, &n), 0);
	assert_int_equal(n, 0);
}

static void test_damaged_hides_no_other(void **state)
{
	struct fixture *f = *state;
	int n = 0;

	inst_close(make_inst(f, "a", NULL));
	inst_close(make_inst(f, "b", NULL));
	inst_close(make_inst(f, "c", NULL));
	write_file(f->runroot, "config", "{");
	assert_int_equal(renameat(f->runroot, "config", f->runroot, "instances/b/config.json"), 0);
	/* Nothing is known of it, but it is listed, so that it can be removed. */
	assert_int_equal(inst_each(f->runroot, count_one, &n), 0);
	assert_int_equal(n, 3);
}

/* Many creators at once: each name goes to exactly one. */
static void test_concurrent(void **state)
{
	struct fixture *f = *state;
	enum { CREATORS = 8, ROUNDS = 20 };
	pid_t pids[CREATORS];
	int n = 0, made = 0;

	for (int c = 0; c < CREATORS; c++) {
		pids[c] = fork();
		if (pids[c])
			continue;
		for (int k = 0; k < ROUNDS; k++) {
			char name[16], id[INST_ID_LEN + 1];
			_json_ json_t *config = NULL;
			struct inst *i;

			snprintf(name, sizeof(name), "n%d", k);
			config = json_pack("{s:s}", "name", name);
			if (inst_new_id(f->runroot, id) < 0)
				_exit(200);
			if (inst_create(f->runroot, id, config, &i) == 0) {
				made++;
				inst_close(i);
			}
			err_clear();
		}
		_exit(made);
	}
	for (int c = 0; c < CREATORS; c++) {
		int status;

		waitpid(pids[c], &status, 0);
		made += WEXITSTATUS(status);
	}
	assert_int_equal(made, ROUNDS);
	assert_int_equal(inst_each(f->runroot, count_one, &n), 0);
	assert_int_equal(n, ROUNDS);
}

/* Creators and removers killed at random moments leave nothing that cannot be gone on from. */
static void test_killed_anywhere(void **state)
{
	struct fixture *f = *state;
	_json_ json_t *config = json_pack("{s:s}", "name", "web");
	struct inst *i = NULL;
	int n = 0, status;

	for (int k = 0; k < 60; k++) {
		pid_t pid = fork();

		if (pid == 0) {
			for (;;) {
				if (inst_create(f->runroot, "one", config, &i) == 0 ||
				    inst_open(f->runroot, "web", &i) == 0) {
					inst_delete(i);
					inst_close(i);
				}
				err_clear();
			}
		}
		usleep((useconds_t)(1000 + k * 137 % 4000));
		kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
	}
	inst_each(f->runroot, count_one, &n);
	assert_true(n <= 1);
	i = make_inst(f, "one", "web");
	assert_int_equal(inst_delete(i), 0);
	inst_close(i);
	assert_int_equal(inst_each(f->runroot, count_one, &n), 0);
}

static void rewrite_state(struct inst *i, const char *key, json_t *value)
{
	_json_ json_t *j = NULL;
	_free_ char *text = NULL;

	assert_int_equal(json_parse_file(inst_dirfd(i), "state.json", "state", &j), 0);
	json_object_set_new(json_get_object(j, "strata"), key, value);
	text = json_text(j, NULL);
	write_file(inst_dirfd(i), "state.json", text);
}

static void test_other_boot(void **state)
{
	struct fixture *f = *state;
	struct inst *i = make_inst(f, "one", NULL);
	struct inst_state s;

	rewrite_state(i, "bootId", json_string("00000000-0000-0000-0000-000000000000"));
	s = state_of(i);
	assert_int_equal(s.status, INST_STOPPED);
	assert_int_equal(s.exit_code, -1);
	assert_int_equal(inst_recover(i), 0);
	s = state_of(i);
	assert_int_equal(s.status, INST_STOPPED);
	assert_true(s.finished.tv_sec > 0);
	assert_int_equal(inst_kill(i, SIGTERM), -ESRCH);
	assert_int_equal(inst_wait(i, 0), 0);
	assert_int_equal(inst_delete(i), 0);
	inst_close(i);
}

static void test_rename(void **state)
{
	struct fixture *f = *state;
	struct inst *one = make_inst(f, "one", "first"), *two = make_inst(f, "two", "second"), *i;

	assert_int_equal(inst_rename(one, "second"), -EEXIST);
	assert_int_equal(inst_rename(one, "a/b"), -EINVAL);
	err_clear();
	assert_string_equal(inst_name(one), "first");
	assert_int_equal(inst_rename(one, "third"), 0);
	assert_string_equal(inst_name(one), "third");
	assert_int_equal(inst_open(f->runroot, "first", &i), -ENOENT);
	err_clear();
	assert_int_equal(inst_open(f->runroot, "third", &i), 0);
	assert_string_equal(inst_id(i), "one");
	inst_close(i);
	/* The old name is free again. */
	assert_int_equal(inst_rename(two, "first"), 0);
	inst_close(one);
	inst_close(two);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_create_open_delete, setup, teardown),
		cmocka_unit_test_setup_teardown(test_oci_state, setup, teardown),
		cmocka_unit_test_setup_teardown(test_prefix, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bad_names, setup, teardown),
		cmocka_unit_test_setup_teardown(test_name_taken, setup, teardown),
		cmocka_unit_test_setup_teardown(test_half_made, setup, teardown),
		cmocka_unit_test_setup_teardown(test_each, setup, teardown),
		cmocka_unit_test_setup_teardown(test_damaged_hides_no_other, setup, teardown),
		cmocka_unit_test_setup_teardown(test_concurrent, setup, teardown),
		cmocka_unit_test_setup_teardown(test_killed_anywhere, setup, teardown),
		cmocka_unit_test_setup_teardown(test_rename, setup, teardown),
		cmocka_unit_test_setup_teardown(test_other_boot, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
