/* SPDX-License-Identifier: Apache-2.0 */
#include "base/loop.h"

#include "tests/base/unit.h"
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

struct play {
	struct loop *loop;
	int fds[3];
	int calls[3];
	int replaced;
};

static struct play play_open(void)
{
	struct play p = { 0 };

	assert_ok(loop_new(&p.loop));
	for (int i = 0; i < 3; i++) {
		p.fds[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		assert_true(p.fds[i] >= 0);
	}
	return p;
}

static void play_close(struct play *p)
{
	loop_free(p->loop);
	for (int i = 0; i < 3; i++)
		fd_close(p->fds[i]);
}

static void ring(int fd)
{
	assert_ok(eventfd_write(fd, 1));
}

static void quiet(int fd)
{
	eventfd_t n;

	eventfd_read(fd, &n);
}

static int count(void *ctx, int fd, uint32_t events)
{
	struct play *p = ctx;

	assert_true(events & EPOLLIN);
	quiet(fd);
	for (int i = 0; i < 3; i++)
		p->calls[i] += fd == p->fds[i];
	return p->calls[0] + p->calls[1] + p->calls[2] == 3 ? 42 : 0;
}

static void calls_back(_unused_ void **state)
{
	struct play p = play_open();

	for (int i = 0; i < 3; i++) {
		assert_ok(loop_add(p.loop, p.fds[i], EPOLLIN, count, &p));
		ring(p.fds[i]);
	}
	assert_int_equal(loop_run(p.loop), 42);
	for (int i = 0; i < 3; i++)
		assert_int_equal(p.calls[i], 1);
	play_close(&p);
}

/* Whichever of the ready ones comes first removes all: it is the only one called. */
static int remove_all(void *ctx, int fd, _unused_ uint32_t events)
{
	struct play *p = ctx;

	for (int i = 0; i < 3; i++) {
		p->calls[i] += fd == p->fds[i];
		loop_remove(p->loop, p->fds[i]);
	}
	return 0;
}

static int stop(_unused_ void *ctx, _unused_ int fd, _unused_ uint32_t events)
{
	return 7;
}

static void removal_in_a_callback(_unused_ void **state)
{
	struct play p = play_open();
	_close_ int last = eventfd(1, EFD_CLOEXEC);

	for (int i = 0; i < 3; i++) {
		assert_ok(loop_add(p.loop, p.fds[i], EPOLLIN, remove_all, &p));
		ring(p.fds[i]);
	}
	assert_ok(loop_add(p.loop, last, EPOLLIN | EPOLLONESHOT, stop, NULL));
	assert_int_equal(loop_run(p.loop), 7);
	assert_int_equal(p.calls[0] + p.calls[1] + p.calls[2], 1);
	play_close(&p);
}

static int never(void *ctx, _unused_ int fd, _unused_ uint32_t events)
{
	((struct play *)ctx)->replaced++;
	return 0;
}

/* Closes the others, and puts new silent ones in the place of the very same numbers. */
static int replace_others(void *ctx, int fd, _unused_ uint32_t events)
{
	struct play *p = ctx;

	loop_remove(p->loop, fd);
	for (int i = 0; i < 3; i++) {
		int silent;

		if (fd == p->fds[i])
			continue;
		loop_remove(p->loop, p->fds[i]);
		silent = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		assert_int_equal(dup3(silent, p->fds[i], O_CLOEXEC), p->fds[i]);
		fd_close(silent);
		assert_ok(loop_add(p->loop, p->fds[i], EPOLLIN, never, p));
	}
	return 0;
}

static void a_number_used_again(_unused_ void **state)
{
	struct play p = play_open();
	_close_ int last = eventfd(1, EFD_CLOEXEC);

	for (int i = 0; i < 3; i++) {
		assert_ok(loop_add(p.loop, p.fds[i], EPOLLIN, replace_others, &p));
		ring(p.fds[i]);
	}
	assert_ok(loop_add(p.loop, last, EPOLLIN, stop, NULL));
	assert_int_equal(loop_run(p.loop), 7);
	assert_int_equal(p.replaced, 0);
	play_close(&p);
}

/* Adds a watch of a high number, which moves the table under the callback. */
static int add_high(void *ctx, int fd, _unused_ uint32_t events)
{
	struct play *p = ctx;

	loop_remove(p->loop, fd);
	p->replaced = fcntl(p->fds[1], F_DUPFD_CLOEXEC, 200);
	ring(p->replaced);
	return loop_add(p->loop, p->replaced, EPOLLIN, stop, p);
}

static void adding_in_a_callback(_unused_ void **state)
{
	struct play p = play_open();

	assert_ok(loop_add(p.loop, p.fds[0], EPOLLIN, add_high, &p));
	ring(p.fds[0]);
	assert_int_equal(loop_run(p.loop), 7);
	fd_close(p.replaced);
	play_close(&p);
}

static int to_write(void *ctx, int fd, uint32_t events)
{
	struct play *p = ctx;

	if (events & EPOLLOUT)
		return 9;
	quiet(fd);
	return loop_modify(p->loop, fd, EPOLLOUT);
}

static void modifies(_unused_ void **state)
{
	struct play p = play_open();

	assert_int_equal(loop_modify(p.loop, p.fds[0], EPOLLIN), -ENOENT);
	assert_ok(loop_add(p.loop, p.fds[0], EPOLLIN, to_write, &p));
	ring(p.fds[0]);
	assert_int_equal(loop_run(p.loop), 9);
	play_close(&p);
}

static void mistakes(_unused_ void **state)
{
	struct play p = play_open();

	assert_int_equal(loop_add(p.loop, -1, EPOLLIN, count, &p), -EBADF);
	assert_int_equal(loop_add(p.loop, 999, EPOLLIN, count, &p), -EBADF);
	assert_ok(loop_add(p.loop, p.fds[0], EPOLLIN, count, &p));
	assert_int_equal(loop_add(p.loop, p.fds[0], EPOLLIN, count, &p), -EEXIST);
	loop_remove(p.loop, p.fds[0]);
	loop_remove(p.loop, p.fds[0]);
	loop_remove(p.loop, -1);
	loop_remove(p.loop, 100000);
	assert_ok(loop_add(p.loop, p.fds[0], EPOLLIN, count, &p));
	play_close(&p);
	loop_free(NULL);
}

static int on_signal(void *ctx, const struct signalfd_siginfo *si)
{
	int *seen = ctx;

	*seen |= 1 << si->ssi_signo;
	return *seen == (1 << SIGUSR1 | 1 << SIGTERM) ? 5 : 0;
}

static void signals(_unused_ void **state)
{
	static const int both[] = { SIGUSR1, SIGTERM, 0 };
	struct play p = play_open();
	sigset_t old;
	int seen = 0;

	pthread_sigmask(SIG_SETMASK, NULL, &old);
	assert_ok(loop_signals(p.loop, both, on_signal, &seen));
	assert_int_equal(loop_signals(p.loop, both, on_signal, &seen), -EBUSY);
	raise(SIGUSR1);
	raise(SIGTERM);
	assert_int_equal(loop_run(p.loop), 5);
	play_close(&p);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(calls_back),
		cmocka_unit_test(removal_in_a_callback),
		cmocka_unit_test(a_number_used_again),
		cmocka_unit_test(adding_in_a_callback),
		cmocka_unit_test(modifies),
		cmocka_unit_test(mistakes),
		cmocka_unit_test(signals),
	};

	return run_units(tests);
}
