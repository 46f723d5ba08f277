/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a thread of each kind can call, and what it cannot. Each try is a child in the jail, and in
 * it a thread that narrows itself: the calls get arguments that make them fail or do nothing, so
 * what comes back says whether they were let in.
 */
#include "microvm/microvm.h"

#include "base/err.h"
#include "tests/base/unit.h"
#include <linux/kvm.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#define NOBODY	  65534
#define NO_FD	  (-1L)
#define THREAD_OK 0x50f00 /* CLONE_VM | FS | FILES | SIGHAND | THREAD, as threads have */

struct call {
	const char *name;
	long nr, args[6];
};

/* All fail without a filter too, but never by EPERM. */
static const struct call reads = { "read", SYS_read, { NO_FD } },
			 opens = { "openat2", SYS_openat2, { NO_FD, 0, 0, 0 } },
			 removes = { "unlinkat", SYS_unlinkat, { NO_FD } },
			 receives = { "recvmsg", SYS_recvmsg, { NO_FD } },
			 sends = { "sendmsg", SYS_sendmsg, { NO_FD } },
			 accepts = { "accept4", SYS_accept4, { NO_FD } },
			 closes = { "close", SYS_close, { NO_FD } },
			 polls = { "poll", SYS_poll, { 1, -1 } },
			 waits = { "epoll_wait", SYS_epoll_wait, { NO_FD } },
			 sets_timer = { "timerfd_settime", SYS_timerfd_settime, { NO_FD } },
			 draws = { "getrandom", SYS_getrandom, { 0, 0, 0xff } },
			 maps_file = { "mmap",
				       SYS_mmap,
				       { 0, 4096, PROT_READ, MAP_PRIVATE, NO_FD } },
			 runs_guest = { "KVM_RUN", SYS_ioctl, { NO_FD, KVM_RUN } },
			 reads_guest = { "KVM_GET_REGS", SYS_ioctl, { NO_FD, KVM_GET_REGS } },
			 interrupts = { "KVM_SIGNAL_MSI", SYS_ioctl, { NO_FD, KVM_SIGNAL_MSI } },
			 exits_again = { "KVM_UNREGISTER_COALESCED_MMIO",
					 SYS_ioctl,
					 { NO_FD, KVM_UNREGISTER_COALESCED_MMIO } },
			 writes = { "write", SYS_write, { NO_FD } },
			 stores = { "pwritev", SYS_pwritev, { NO_FD } },
			 syncs = { "fdatasync", SYS_fdatasync, { NO_FD } },
			 starts_thread = { "clone", SYS_clone, { THREAD_OK & ~0x100 } },
			 makes_eventfd = { "eventfd2", SYS_eventfd2, { 0, -1 } };

static const struct call *const all[] = {
	&reads,	     &opens,  &removes,	      &receives,      &sends,	  &accepts,    &closes,
	&polls,	     &waits,  &sets_timer,    &draws,	      &maps_file, &runs_guest, &reads_guest,
	&interrupts, &writes, &starts_thread, &makes_eventfd, &stores,	  &syncs,      &exits_again,
};

/* Everything that is not named is denied. */
static const struct {
	const char *kind;
	const struct call *may[16];
} kinds[] = {
	{ "vcpu", { &runs_guest, &interrupts, &exits_again, &writes } },
	{ "fs",
	  { &reads, &opens, &removes, &receives, &closes, &polls, &waits, &draws, &maps_file,
	    &interrupts, &exits_again, &writes, &stores, &syncs } },
	{ "console", { &sends, &polls, &waits, &interrupts, &exits_again, &writes } },
	{ "net", { &reads, &sends, &waits, &sets_timer, &interrupts, &exits_again, &writes } },
	{ "blk",
	  { &reads, &waits, &sets_timer, &stores, &syncs, &interrupts, &exits_again, &writes } },
	{ "vsock",
	  { &receives, &sends, &accepts, &closes, &waits, &interrupts, &exits_again, &writes } },
	{ "balloon", { &waits, &interrupts, &exits_again, &writes } },
	{ "rng", { &waits, &draws, &interrupts, &exits_again, &writes } },
	{ "control", { &reads, &receives, &closes, &polls, &interrupts, &exits_again, &writes } },
};

static bool may(size_t kind, const struct call *c)
{
	for (size_t i = 0; i < ARRAY_SIZE(kinds[kind].may); i++)
		if (kinds[kind].may[i] == c)
			return true;
	return false;
}

static bool let_in(const struct call *c)
{
	const long *a = c->args;

	return syscall(c->nr, a[0], a[1], a[2], a[3], a[4], a[5]) >= 0 || errno != EPERM;
}

/* The number of the call that is not as it should be, 0 = none. */
static void *try_all(void *arg)
{
	size_t kind = *(size_t *)arg;

	if (vm_jail_thread(kinds[kind].kind) < 0)
		return (void *)100;
	for (size_t i = 0; i < ARRAY_SIZE(all); i++)
		if (let_in(all[i]) != may(kind, all[i]))
			return (void *)(i + 1);
	return NULL;
}

static void *attack(void *arg)
{
	if (vm_jail_thread(arg) < 0)
		return NULL;
	syscall(SYS_socket, 1, 1, 0);
	return NULL;
}

static void *widen(void *arg)
{
	if (vm_jail_thread(arg) < 0 || vm_jail_thread("fs") == 0)
		return (void *)1;
	return let_in(&opens) ? (void *)2 : NULL;
}

/* Runs @fn in a thread of a child that is jailed: its wait status. */
static int in_jail(void *(*fn)(void *), void *arg)
{
	const struct vm_jail j = { NOBODY, NOBODY };
	char weak[256];
	int status;
	pid_t pid = fork();

	assert_true(pid >= 0);
	if (pid == 0) {
		void *r = (void *)101;
		pthread_t t;

		prctl(PR_SET_DUMPABLE, 1, 0, 0, 0);
		if (vm_jail(&j, weak, sizeof(weak)) == 0 && pthread_create(&t, NULL, fn, arg) == 0)
			pthread_join(t, &r);
		_exit((int)(intptr_t)r);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void each_its_own(_unused_ void **state)
{
	if (getuid() != 0)
		skip();
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		int s = in_jail(try_all, &i);

		if (s)
			print_error("%s: %s\n", kinds[i].kind,
				    WIFEXITED(s) && WEXITSTATUS(s) && WEXITSTATUS(s) < 100 ?
					    all[WEXITSTATUS(s) - 1]->name :
					    "no jail");
		assert_int_equal(s, 0);
	}
}

static void attackers_are_killed(_unused_ void **state)
{
	if (getuid() != 0)
		skip();
	for (size_t i = 0; i < ARRAY_SIZE(kinds); i++) {
		int s = in_jail(attack, (void *)kinds[i].kind);

		assert_true(WIFSIGNALED(s) && WTERMSIG(s) == SIGSYS);
	}
}

static void cannot_be_widened(_unused_ void **state)
{
	if (getuid() != 0)
		skip();
	assert_int_equal(in_jail(widen, (void *)"rng"), 0);
}

/* A device that nobody has thought about gets no thread, jail or not. */
static void unknown_kind(_unused_ void **state)
{
	assert_int_equal(vm_jail_thread("toaster"), -ENOSYS);
	err_clear();
	assert_int_equal(vm_jail_thread("fs"), 0);
	assert_true(let_in(&accepts));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_its_own),
		cmocka_unit_test(attackers_are_killed),
		cmocka_unit_test(cannot_be_widened),
		cmocka_unit_test(unknown_kind),
	};

	return cmocka_run_group_tests_name("microvm/jail_thread", tests, NULL, NULL);
}
