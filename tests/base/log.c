/* SPDX-License-Identifier: Apache-2.0 */
#include "base/log.h"

#include "base/str.h"
#include "tests/base/unit.h"

struct pipe {
	int in, out;
};

static struct pipe pipe_open(void)
{
	int fds[2];

	assert_ok(pipe2(fds, O_CLOEXEC | O_NONBLOCK));
	return (struct pipe){ .out = fds[0], .in = fds[1] };
}

static void expect(struct pipe p, const char *text)
{
	char got[8192];
	ssize_t n = read(p.out, got, sizeof(got) - 1);

	got[n < 0 ? 0 : n] = '\0';
	assert_string_equal(got, text);
}

static void lines(_unused_ void **state)
{
	struct pipe p = pipe_open();

	log_setup("monitor", p.in, LOG_WARN);
	errno = EXDEV;
	log_err("instance %d", 7);
	assert_int_equal(errno, EXDEV);
	expect(p, "monitor: instance 7\n");
	log_warn("w");
	log_info("i");
	log_debug("d");
	expect(p, "monitor: w\n");
	log_setup(NULL, p.in, LOG_DEBUG);
	log_debug("bare");
	expect(p, "bare\n");
	log_err("one\nmonitor: two\x1b[2J");
	expect(p, "one\\x0amonitor: two\\x1b[2J\n");
	close(p.in);
	close(p.out);
	log_setup(NULL, -1, LOG_DEBUG);
	log_err("to nobody");
}

static void long_lines_are_cut(_unused_ void **state)
{
	_free_ char *text = malloc(100001);
	struct pipe p = pipe_open();
	char got[8192];
	ssize_t n;

	memset(text, '\n', 100000);
	text[100000] = '\0';
	log_setup("m", p.in, LOG_ERR);
	log_err("%s", text);
	n = read(p.out, got, sizeof(got));
	assert_true(n > 1000 && n <= 2048);
	assert_int_equal(got[n - 1], '\n');
	assert_ptr_equal(memchr(got, '\n', (size_t)n), got + n - 1);
	close(p.in);
	close(p.out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines),
		cmocka_unit_test(long_lines_are_cut),
	};

	return run_units(tests);
}
