/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which thread reads the next request: one while one client asks, another one when that may take
 * long, several when several ask. The requests come by a pipe here, headers alone.
 */
#include "unionfs/readers.h"

#include "tap.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <unistd.h>

#define THREADS 4
#define SLOW	WIRE_STATFS /* takes until it is let go, and says so before */
#define STUCK	WIRE_ACCESS /* likewise, and says nothing */

static struct readers readers;
static int requests[2], answers[2], release[2];
static pthread_t threads[THREADS];

struct answer {
	uint64_t unique;
	pthread_t thread;
};

static void serve_one(const struct wire_in_header *h)
{
	struct answer a = { h->unique, pthread_self() };
	char c;

	if (h->opcode == SLOW)
		readers_let_others();
	if (h->opcode == SLOW || h->opcode == STUCK || h->opcode == WIRE_FSYNC)
		CHECK(read(release[0], &c, 1) == 1);
	CHECK(write(answers[1], &a, sizeof(a)) == sizeof(a));
}

static void *serve(void *unused)
{
	struct wire_in_header h;

	while (readers_wait(&readers)) {
		ssize_t n = read(requests[0], &h, sizeof(h));

		readers_took(&readers, n == sizeof(h) ? &h : NULL);
		if (n <= 0)
			break;
		serve_one(&h);
	}
	readers_end(&readers);
	return unused;
}

/* One reads, the others stand by: a thread that comes later would read beside the first. */
static bool in_place(void)
{
	bool all;

	pthread_mutex_lock(&readers.lock);
	all = readers.reading == 1 && readers.standing_by == THREADS - 1;
	pthread_mutex_unlock(&readers.lock);
	return all;
}

static void begin(void)
{
	CHECK(readers_init(&readers) == 0);
	CHECK(pipe2(requests, O_CLOEXEC) == 0 && pipe2(answers, O_CLOEXEC) == 0 &&
	      pipe2(release, O_CLOEXEC) == 0);
	for (int i = 0; i < THREADS; i++)
		CHECK(pthread_create(&threads[i], NULL, serve, NULL) == 0);
	while (!in_place())
		sched_yield();
}

/* All end when one finds the end. */
static void end(void)
{
	close(requests[1]);
	for (int i = 0; i < THREADS; i++)
		CHECK(pthread_join(threads[i], NULL) == 0);
	close(requests[0]);
	for (int i = 0; i < 2; i++) {
		close(answers[i]);
		close(release[i]);
	}
	readers_done(&readers);
}

static void ask(uint32_t opcode, uint32_t pid, uint64_t unique)
{
	struct wire_in_header h = {
		.len = sizeof(h), .opcode = opcode, .pid = pid, .unique = unique
	};

	CHECK(write(requests[1], &h, sizeof(h)) == sizeof(h));
}

static bool answered(int ms, struct answer *ret)
{
	struct pollfd p = { .fd = answers[0], .events = POLLIN };

	return poll(&p, 1, ms) == 1 && read(answers[0], ret, sizeof(*ret)) == sizeof(*ret);
}

static void let_go(void)
{
	CHECK(write(release[1], "", 1) == 1);
}

/* How many threads answer @n requests, that come one after the other. */
static int count_threads(int n, uint32_t (*pid)(int i))
{
	pthread_t seen[THREADS];
	struct answer a;
	int count = 0;

	for (int i = 0; i < n; i++) {
		int k = 0;

		ask(WIRE_LOOKUP, pid(i), (uint64_t)i);
		CHECK(answered(5000, &a) && a.unique == (uint64_t)i);
		while (k < count && !pthread_equal(seen[k], a.thread))
			k++;
		if (k == count)
			seen[count++] = a.thread;
	}
	return count;
}

static uint32_t one_pid(int i)
{
	(void)i;
	return 7;
}

static uint32_t pids_in_turn(int i)
{
	return 7 + (uint32_t)i % 2;
}

static void one_client_one_thread(void)
{
	begin();
	CHECK(count_threads(200, one_pid) == 1);
	end();
}

static void several_clients_several_threads(void)
{
	begin();
	CHECK(count_threads(200, pids_in_turn) > 1);
	end();
}

/* Those that read already take one request more each. */
static void alone_again(void)
{
	begin();
	count_threads(200, pids_in_turn);
	count_threads(20, one_pid);
	CHECK(count_threads(200, one_pid) == 1);
	end();
}

static void slow_lets_others(uint32_t opcode)
{
	struct answer a;

	begin();
	CHECK(count_threads(20, one_pid) == 1);
	ask(opcode, 7, 100);
	ask(WIRE_LOOKUP, 8, 101);
	CHECK(answered(5000, &a) && a.unique == 101);
	CHECK(!answered(20, &a));
	let_go();
	CHECK(answered(5000, &a) && a.unique == 100);
	end();
}

static void long_by_its_kind(void)
{
	slow_lets_others(WIRE_FSYNC);
}

static void long_as_it_says_itself(void)
{
	slow_lets_others(SLOW);
}

/* Several clients: whoever is stuck holds nobody up, though it does not say so. */
static void stuck_in_a_crowd(void)
{
	struct answer a;

	begin();
	count_threads(50, pids_in_turn);
	ask(STUCK, 7, 100);
	ask(STUCK, 8, 101);
	ask(WIRE_LOOKUP, 9, 102);
	CHECK(answered(5000, &a) && a.unique == 102);
	let_go();
	let_go();
	CHECK(answered(5000, &a) && answered(5000, &a));
	end();
}

int main(void)
{
	tap_run("readers", "one client is served by one thread", one_client_one_thread);
	tap_run("readers", "clients that ask in turn are served by several",
		several_clients_several_threads);
	tap_run("readers", "one client again, one thread again", alone_again);
	tap_run("readers", "while a sync is done another thread reads", long_by_its_kind);
	tap_run("readers", "so it does for what says that it takes long", long_as_it_says_itself);
	tap_run("readers", "in a crowd nobody waits for who is stuck", stuck_in_a_crowd);
	return tap_done();
}
