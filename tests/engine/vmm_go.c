/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/vmm_go.h"

#include "base/fd.h"
#include "tests/base/unit.h"
#include <sys/socket.h>

static struct {
	unsigned n;
	uint32_t kinds[4];
	int values[4], fds[4];
} heard;

static void hear(void *ctx, const struct vmm_message *m, int fd)
{
	assert_ptr_equal(ctx, &heard);
	assert_true(heard.n < ARRAY_SIZE(heard.kinds));
	heard.kinds[heard.n] = m->kind;
	heard.values[heard.n] = m->value;
	heard.fds[heard.n++] = fd;
}

static void tell(int sock, enum vmm_kind kind, int value, int fd)
{
	const struct vmm_message m = { .kind = kind, .value = value };

	assert_int_equal(fd_send(sock, &m, sizeof(m), &fd, fd >= 0), sizeof(m));
}

static void setup_pair(int pair[2])
{
	memset(&heard, 0, sizeof(heard));
	assert_ok(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair));
}

/* What was said before is heard in order, and what comes behind GO is left for the next reader. */
static void goes_on(_unused_ void **state)
{
	int pair[2], null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	struct vmm_message rest;

	setup_pair(pair);
	tell(pair[0], VMM_SIGNAL, 10, -1);
	tell(pair[0], VMM_STATS, 0, null);
	tell(pair[0], VMM_MEMORY, 64, -1);
	tell(pair[0], VMM_GO, 0, -1);
	tell(pair[0], VMM_SIGNAL, 12, -1);
	assert_true(vmm_await_go(pair[1], hear, &heard));
	assert_int_equal(heard.n, 3);
	assert_int_equal(heard.kinds[0], VMM_SIGNAL);
	assert_int_equal(heard.values[0], 10);
	assert_int_equal(heard.fds[0], -1);
	assert_int_equal(heard.kinds[1], VMM_STATS);
	assert_true(heard.fds[1] >= 0);
	assert_int_equal(fcntl(heard.fds[1], F_GETFD), -1); /* closed by now */
	assert_int_equal(heard.values[2], 64);
	assert_int_equal(recv(pair[1], &rest, sizeof(rest), MSG_DONTWAIT), sizeof(rest));
	assert_int_equal(rest.value, 12);
	fd_close(pair[0]);
	fd_close(pair[1]);
	fd_close(null);
}

static void supervisor_has_gone(_unused_ void **state)
{
	int pair[2];

	setup_pair(pair);
	tell(pair[0], VMM_SIGNAL, 10, -1);
	fd_close(pair[0]);
	assert_false(vmm_await_go(pair[1], hear, &heard));
	assert_int_equal(heard.n, 1);
	fd_close(pair[1]);
	/* Or what comes is no message of it. */
	setup_pair(pair);
	assert_int_equal(send(pair[0], "short", 5, 0), 5);
	assert_false(vmm_await_go(pair[1], hear, &heard));
	assert_int_equal(heard.n, 0);
	fd_close(pair[0]);
	fd_close(pair[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(goes_on),
					    cmocka_unit_test(supervisor_has_gone) };

	return cmocka_run_group_tests_name("engine/vmm_go", tests, NULL, NULL);
}
