/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/base/unit.h"
#include <sys/socket.h>

struct pair {
	int a, b;
};

static struct pair pair_open(int type)
{
	int fds[2];

	assert_ok(socketpair(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds));
	return (struct pair){ .a = fds[0], .b = fds[1] };
}

static void pair_close(struct pair *p)
{
	fd_close(p->a);
	fd_close(p->b);
}

static size_t count_fds(void)
{
	size_t n = 0;

	for (int fd = 0; fd < 1024; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static void descriptors_travel(_unused_ void **state)
{
	struct pair p = pair_open(SOCK_SEQPACKET);
	int sent[2] = { fd_memfd("one", "1", 1), fd_memfd("two", "2", 1) };
	int got[4] = { -1, -1, -1, -1 };
	char data[16] = { 0 }, c;
	size_t n = 99;

	assert_int_equal(fd_send(p.a, "hello", 5, sent, 2), 5);
	assert_int_equal(fd_recv(p.b, data, sizeof(data), got, 4, &n), 5);
	assert_string_equal(data, "hello");
	assert_int_equal(n, 2);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(fcntl(got[i], F_GETFD), FD_CLOEXEC);
		assert_int_equal(pread(got[i], &c, 1, 0), 1);
		assert_int_equal(c, '1' + i);
		fd_close(got[i]);
		fd_close(sent[i]);
	}
	pair_close(&p);
}

static void bytes_alone(_unused_ void **state)
{
	struct pair p = pair_open(SOCK_STREAM);
	char data[16];
	size_t n = 99;

	assert_int_equal(fd_recv(p.b, data, sizeof(data), NULL, 0, NULL), -EAGAIN);
	assert_int_equal(fd_send(p.a, "abc", 3, NULL, 0), 3);
	assert_int_equal(fd_recv(p.b, data, sizeof(data), NULL, 0, &n), 3);
	assert_int_equal(n, 0);
	p.a = fd_close(p.a);
	assert_int_equal(fd_recv(p.b, data, sizeof(data), NULL, 0, &n), 0);
	assert_int_equal(fd_send(p.b, "x", 1, NULL, 0), -EPIPE);
	pair_close(&p);
}

static void too_much_leaks_nothing(_unused_ void **state)
{
	struct pair p = pair_open(SOCK_SEQPACKET);
	int sent[3] = { 0, 0, 0 }, got[2] = { -7, -7 };
	size_t before = count_fds(), n = 99;
	char data[4];

	for (size_t max = 0; max <= 2; max++) {
		assert_int_equal(fd_send(p.a, "x", 1, sent, 3), 1);
		assert_int_equal(fd_recv(p.b, data, sizeof(data), got, max, &n), -EMSGSIZE);
	}
	assert_int_equal(fd_send(p.a, "12345", 5, sent, 2), 5);
	assert_int_equal(fd_recv(p.b, data, sizeof(data), got, 2, &n), -EMSGSIZE);
	assert_int_equal(count_fds(), before);
	assert_int_equal(got[0], -7);
	assert_int_equal(n, 99);
	pair_close(&p);
}

static void many(_unused_ void **state)
{
	struct pair p = pair_open(SOCK_SEQPACKET);
	int sent[254] = { 0 }, got[253];
	char data[4];
	size_t n;

	assert_int_equal(fd_send(p.a, "x", 1, sent, 254), -EINVAL);
	assert_int_equal(fd_send(p.a, "x", 1, sent, 253), 1);
	assert_int_equal(fd_recv(p.b, data, sizeof(data), got, 253, &n), 1);
	assert_int_equal(n, 253);
	while (n)
		fd_close(got[--n]);
	pair_close(&p);
}

/* What was sent comes before the end, though the other end read nothing of ours. */
static void unread(_unused_ void **state)
{
	struct pair p = pair_open(SOCK_SEQPACKET);
	char data[8];

	assert_int_equal(fd_send(p.b, "unread", 6, NULL, 0), 6);
	assert_int_equal(fd_send(p.a, "last", 4, NULL, 0), 4);
	p.a = fd_close(p.a);
	assert_int_equal(fd_recv(p.b, data, sizeof(data), NULL, 0, NULL), 4);
	assert_int_equal(fd_recv(p.b, data, sizeof(data), NULL, 0, NULL), 0);
	fd_close(p.b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(descriptors_travel),
		cmocka_unit_test(bytes_alone),
		cmocka_unit_test(too_much_leaks_nothing),
		cmocka_unit_test(many),
		cmocka_unit_test(unread),
	};

	return run_units(tests);
}
