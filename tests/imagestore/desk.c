/* SPDX-License-Identifier: Apache-2.0 */
/* The desk: questions stand until they are answered, whoever comes and goes. */
#include "imagestore/arrival/desk.h"
#include "imagestore/arriving.h"
#include "tests/imagestore/kit.h"

#include <pthread.h>
#include <sys/socket.h>

#define ASKERS	  8
#define QUESTIONS 500

struct office {
	struct desk *desk;
	int fd, doors[2];
	_Atomic(unsigned) good, bad;
};

static void open_office(struct office *o)
{
	memset(o, 0, sizeof(*o));
	assert_done(arrival_desk_new(&o->fd));
	assert_done(desk_map(o->fd, &o->desk));
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, o->doors), 0);
}

static void close_office(struct office *o)
{
	desk_unmap(o->desk);
	fd_close(o->fd);
	fd_close(o->doors[0]);
	fd_close(o->doors[1]);
}

static void *ask(void *ctx)
{
	struct office *o = ctx;

	for (uint64_t i = 0; i < QUESTIONS; i++) {
		/* Even ones are to be done, odd ones to fail. */
		if (desk_ask(o->desk, o->doors[0], i, 2 * i, 3 * i) == (i % 2 == 0))
			o->good++;
		else
			o->bad++;
	}
	return NULL;
}

static void *ask_once(void *ctx)
{
	struct office *o = ctx;

	if (desk_ask(o->desk, o->doors[0], 1, 2, 3))
		o->good++;
	else
		o->bad++;
	return NULL;
}

static void wait_for(struct office *o, struct desk_question *q)
{
	for (int i = 0; i < 5000 && !desk_next(o->desk, 0, q); i++)
		usleep(1000);
}

static void many_ask(void **state)
{
	struct office o;
	pthread_t threads[ASKERS];
	struct desk_question q;
	char ring;

	(void)state;
	open_office(&o);
	for (int i = 0; i < ASKERS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, ask, &o), 0);
	while (o.good + o.bad < ASKERS * QUESTIONS) {
		recv(o.doors[1], &ring, 1, MSG_DONTWAIT);
		if (!desk_next(o.desk, 0, &q))
			continue;
		assert_true(q.off == 2 * q.nid && q.len == 3 * q.nid);
		desk_answer(o.desk, &q, q.nid % 2 == 0);
		/* Late, by another who had heard the same: nobody's answer any more. */
		desk_answer(o.desk, &q, q.nid % 2 != 0);
	}
	for (int i = 0; i < ASKERS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(o.bad, 0);
	close_office(&o);
}

static void it_is_shut(void **state)
{
	struct office o;
	struct desk_question q = { 0 };
	pthread_t thread;

	(void)state;
	open_office(&o);
	assert_int_equal(pthread_create(&thread, NULL, ask_once, &o), 0);
	wait_for(&o, &q);
	assert_int_equal(q.nid, 1);
	/* In a process of its own, as the keeper does it. */
	arrival_desk_shut(o.fd);
	pthread_join(thread, NULL);
	assert_int_equal(o.bad, 1);
	ask_once(&o);
	assert_int_equal(o.bad, 2);
	close_office(&o);
}

/* A VMM that its guest has taken over has it open: who fetches must not lose what he has mapped. */
static void its_size_stays(void **state)
{
	struct office o;

	(void)state;
	open_office(&o);
	assert_true(ftruncate(o.fd, 0) < 0 && errno == EPERM);
	assert_true(ftruncate(o.fd, 1 << 20) < 0 && errno == EPERM);
	assert_true(fcntl(o.fd, F_ADD_SEALS, F_SEAL_WRITE) < 0 && errno == EPERM);
	close_office(&o);
}

static void a_server_died(void **state)
{
	struct office o;
	struct desk_question q = { 0 }, none;
	pthread_t thread;

	(void)state;
	open_office(&o);
	assert_int_equal(pthread_create(&thread, NULL, ask_once, &o), 0);
	wait_for(&o, &q);
	/*
	 * Another takes over: what the first one asked is nobody's question, and its answer
	 * nobody's.
	 */
	desk_clear(o.desk);
	desk_answer(o.desk, &q, true);
	pthread_join(thread, NULL); /* it finds its slot another's */
	assert_int_equal(o.bad, 1);
	assert_false(desk_next(o.desk, 0, &none));
	close_office(&o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(many_ask),
		cmocka_unit_test(it_is_shut),
		cmocka_unit_test(its_size_stays),
		cmocka_unit_test(a_server_died),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
