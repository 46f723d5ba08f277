/* SPDX-License-Identifier: Apache-2.0 */
/* A QEMU that is the test's: what it says is written before it is asked. */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "base/err.h"
#include "base/fd.h"
#include "base/json.h"
#include "engine/qmp.h"
#include <sys/socket.h>

#define GREETING "{\"QMP\":{\"version\":{}}}\n{\"return\":{},\"id\":1}\n"

static struct qmp q;
static int qemu;

static void says(const char *text)
{
	assert_int_equal(send(qemu, text, strlen(text), 0), strlen(text));
}

static int begin(_unused_ void **state)
{
	int pair[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	qemu = pair[1];
	says(GREETING);
	return qmp_begin(&q, pair[0]);
}

static int end(_unused_ void **state)
{
	fd_close(q.fd);
	fd_close(qemu);
	err_clear();
	return 0;
}

static void test_answers(_unused_ void **state)
{
	_json_ json_t *j = NULL;

	says("{\"event\":\"STOP\"}\n{\"return\":{\"actual\":7},\"id\":2}\n");
	assert_int_equal(qmp_ask(&q, "{\"execute\":\"query-balloon\"}", &j), 0);
	assert_int_equal(json_get_int(j, "actual", 0), 7);
	says("{\"error\":{\"class\":\"x\",\"desc\":\"no balloon\"},\"id\":3}\n");
	assert_int_equal(qmp_do(&q, "{\"execute\":\"query-balloon\"}"), -EIO);
	assert_string_equal(err_take(-EIO), "QEMU: no balloon");
}

/* The answer to what was given up on, be it an error, is nobody's. */
static void test_late(_unused_ void **state)
{
	_json_ json_t *j = NULL;

	says("{\"return\":{\"actual\":1},\"id\":1}\n{\"error\":{\"desc\":\"late\"},\"id\":1}\n"
	     "{\"return\":{\"actual\":2},\"id\":2}\n");
	assert_int_equal(qmp_ask(&q, "{\"execute\":\"query-balloon\"}", &j), 0);
	assert_int_equal(json_get_int(j, "actual", 0), 2);
}

static void test_hostile(_unused_ void **state)
{
	says("{\"return\":[[[\n");
	assert_int_equal(qmp_do(&q, "{\"execute\":\"quit\"}"), -EPROTO);
	qemu = fd_close(qemu);
	assert_int_equal(qmp_do(&q, "{\"execute\":\"quit\"}"), -EPIPE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_answers, begin, end),
		cmocka_unit_test_setup_teardown(test_late, begin, end),
		cmocka_unit_test_setup_teardown(test_hostile, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
