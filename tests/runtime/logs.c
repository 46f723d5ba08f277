/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/runtime/fixture.h"

#include "runtime/logfile.h"
#include <regex.h>

static void add(struct logfile *l, enum log_stream stream, const char *text)
{
	assert_int_equal(logfile_add(l, stream, text, strlen(text)), 0);
}

/* What inst_logs() prints to both streams, "out|err". */
static char *logs(struct inst *i, bool timestamps, int64_t tail)
{
	_close_ int out = fd_memfd("out", NULL, 0), errs = fd_memfd("err", NULL, 0);
	_free_ char *a = NULL, *b = NULL;

	assert_int_equal(inst_logs(i, false, timestamps, tail, out, errs), 0);
	lseek(out, 0, SEEK_SET);
	lseek(errs, 0, SEEK_SET);
	a = slurp(out, NULL);
	b = slurp(errs, NULL);
	return str_fmt("%s|%s", a, b);
}

static void check_logs(struct inst *i, int64_t tail, const char *expected)
{
	_free_ char *text = logs(i, false, tail);

	assert_string_equal(text, expected);
}

static void check_matches(const char *text, const char *pattern)
{
	regex_t regex;

	assert_int_equal(regcomp(&regex, pattern, REG_EXTENDED | REG_NOSUB), 0);
	if (regexec(&regex, text, 0, NULL, 0))
		fail_msg("%s\ndoes not match\n%s", text, pattern);
	regfree(&regex);
}

#define TIME "20[0-9]{2}-[01][0-9]-[0-3][0-9]T[0-2][0-9]:[0-5][0-9]:[0-5][0-9]\\.[0-9]{9}Z"

static void test_format(void **state)
{
	struct fixture *f = *state;
	struct inst *i = make_inst(f, "one", NULL);
	struct logfile l = LOGFILE_NONE;
	_free_ char *text = NULL;

	assert_int_equal(logfile_open(&l, inst_dirfd(i)), 0);
	add(&l, LOG_STDOUT, "hello\n\nworld");
	add(&l, LOG_STDERR, "oh\n");
	add(&l, LOG_STDOUT, "\n");
	logfile_close(&l);
	assert_int_equal(file_read_all(inst_dirfd(i), "log", 4096, &text, NULL), 0);
	check_matches(text, "^" TIME " stdout F hello\n" TIME " stdout F \n" TIME
			    " stdout P world\n" TIME " stderr F oh\n" TIME " stdout F \n$");
	inst_close(i);
}

static void test_none(void **state)
{
	struct fixture *f = *state;
	struct inst *i = make_inst(f, "one", NULL);

	check_logs(i, -1, "|");
	check_logs(i, 5, "|");
	inst_close(i);
}

/* No byte more or less than what was printed, over long lines and without a last end of line. */
static void test_exact(void **state)
{
	struct fixture *f = *state;
	struct inst *i = make_inst(f, "one", NULL);
	struct logfile l = LOGFILE_NONE;
	_free_ char *big = malloc(100001), *text = NULL;

	memset(big, 'x', 100000);
	big[100000] = '\0';
	assert_int_equal(logfile_open(&l, inst_dirfd(i)), 0);
	add(&l, LOG_STDOUT, big);
	add(&l, LOG_STDOUT, "\nend");
	logfile_close(&l);
	text = logs(i, false, -1);
	assert_int_equal(strlen(text), 100005);
	assert_memory_equal(text, big, 100000);
	assert_string_equal(text + 100000, "\nend|");
	check_logs(i, 1, "end|");
	inst_close(i);
}

static void test_tail(void **state)
{
	struct fixture *f = *state;
	struct inst *i = make_inst(f, "one", NULL);
	struct logfile l = LOGFILE_NONE;

	assert_int_equal(logfile_open(&l, inst_dirfd(i)), 0);
	add(&l, LOG_STDOUT, "a");
	add(&l, LOG_STDERR, "1\n");
	add(&l, LOG_STDOUT, "b\nc\n");
	add(&l, LOG_STDERR, "2");
	add(&l, LOG_STDOUT, "d\n");
	add(&l, LOG_STDERR, "3\n");
	logfile_close(&l);
	check_logs(i, -1, "ab\nc\nd\n|1\n23\n");
	check_logs(i, 0, "|");
	check_logs(i, 1, "d\n|");
	check_logs(i, 2, "d\n|23\n");
	check_logs(i, 3, "c\nd\n|23\n");
	/* Of the first line, which is left out, no second half either. */
	check_logs(i, 4, "c\nd\n|1\n23\n");
	check_logs(i, 5, "ab\nc\nd\n|1\n23\n");
	check_logs(i, 1000, "ab\nc\nd\n|1\n23\n");
	inst_close(i);
}

static void test_timestamps(void **state)
{
	struct fixture *f = *state;
	struct inst *i = make_inst(f, "one", NULL);
	struct logfile l = LOGFILE_NONE;
	_free_ char *text = NULL;

	assert_int_equal(logfile_open(&l, inst_dirfd(i)), 0);
	add(&l, LOG_STDOUT, "a");
	add(&l, LOG_STDOUT, "b\nc\n");
	logfile_close(&l);
	text = logs(i, true, -1);
	check_matches(text, "^" TIME " ab\n" TIME " c\n\\|$");
	inst_close(i);
}

/* Only the end of a long log is kept; it begins with a whole line. */
static void test_bounded(void **state)
{
	struct fixture *f = *state;
	struct inst *i = make_inst(f, "one", NULL);
	struct logfile l = LOGFILE_NONE;
	_free_ char *text = NULL;
	_close_ int out = -1;
	char chunk[4016];
	struct stat st;
	size_t len;

	assert_int_equal(logfile_open(&l, inst_dirfd(i)), 0);
	for (int n = 0; n < 20000; n++) {
		snprintf(chunk, sizeof(chunk), "%06d%03993d\n", n % 1000000, 0);
		add(&l, LOG_STDOUT, chunk);
	}
	assert_int_equal(fstat(l.fd, &st), 0);
	logfile_close(&l);
	assert_true(st.st_size > 80000000);
	if ((uint64_t)st.st_blocks * 512 > LOG_KEEP + (8u << 20))
		skip(); /* no holes in this file system */
	out = fd_memfd("out", NULL, 0);
	assert_int_equal(inst_logs(i, false, false, -1, out, -1), 0);
	lseek(out, 0, SEEK_SET);
	text = slurp(out, &len);
	assert_int_equal(len % 4000, 0);
	assert_true(len > 60000000);
	assert_memory_equal(text + len - 4000, "019999", 6);
	inst_close(i);
}

/* Lines that nobody of ours wrote are left out. */
static void test_garbage(void **state)
{
	struct fixture *f = *state;
	struct inst *i = make_inst(f, "one", NULL);
	static const char text[] =
		"\n\nx\n2026 stdout\n2026 stdout Q x\n2026 stdxxx F x\n2026 stdout F good\n"
		"2026 stdout F no end";

	assert_int_equal(file_replace(inst_dirfd(i), "log", text, strlen(text), 0600, false), 0);
	check_logs(i, -1, "good\n|");
	inst_close(i);
}

static void test_follow(void **state)
{
	struct fixture *f = *state;
	struct inst *i = make_inst(f, "one", NULL);
	struct monitor_options o = { .logged = true, .stdio = { -1, -1, -1 } };
	struct monitor m = monitor_start(
		i, "echo one; sleep 1; echo two; sleep 0.3; echo three >&2; printf end", o);
	_free_ char *text = NULL;
	int out[2], status;
	char first[5] = "";
	uint64_t t;
	pid_t pid;

	assert_int_equal(monitor_report(&m).kind, RUN_STARTED);
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	t = clock_ns();
	pid = fork();
	if (pid == 0)
		_exit(inst_logs(i, true, false, -1, out[1], out[1]) < 0);
	close(out[1]);
	/* What is printed comes at once, not at the end. */
	assert_int_equal(fd_read_full(out[0], first, 4), 4);
	assert_string_equal(first, "one\n");
	assert_true(clock_ns() - t < 900000000u);
	text = slurp(out[0], NULL);
	assert_string_equal(text, "two\nthree\nend");
	waitpid(pid, &status, 0);
	assert_int_equal(status, 0);
	assert_int_equal(monitor_end(&m), 0);
	close(out[0]);
	inst_close(i);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_format, setup, teardown),
		cmocka_unit_test_setup_teardown(test_none, setup, teardown),
		cmocka_unit_test_setup_teardown(test_exact, setup, teardown),
		cmocka_unit_test_setup_teardown(test_tail, setup, teardown),
		cmocka_unit_test_setup_teardown(test_timestamps, setup, teardown),
		cmocka_unit_test_setup_teardown(test_bounded, setup, teardown),
		cmocka_unit_test_setup_teardown(test_garbage, setup, teardown),
		cmocka_unit_test_setup_teardown(test_follow, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
