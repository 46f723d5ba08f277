/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The filter, interpreted for every system call number against the rules one by one, and loaded for
 * real.
 */
#include "container/seccomp.h"

#include "base/err.h"
#include "base/mem.h"
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#define DENY	     (SECCOMP_RET_ERRNO | EPERM)
#define ABSENT	     (SECCOMP_RET_ERRNO | ENOSYS)
#define DEFAULT_CAPS 0xa80425fbull

static bool jumps(const struct sock_filter *i, uint32_t a)
{
	switch (BPF_OP(i->code)) {
	case BPF_JEQ:
		return a == i->k;
	case BPF_JGE:
		return a >= i->k;
	case BPF_JSET:
		return a & i->k;
	}
	fail();
	return false;
}

/* Classic BPF as far as the compiler uses it. */
static uint32_t interpret(const struct sock_filter *f, int len, const struct seccomp_data *d)
{
	uint32_t a = 0, x = 0;

	for (int pc = 0; pc < len; pc++) {
		const struct sock_filter *i = &f[pc];

		if (i->code == (BPF_LD | BPF_W | BPF_ABS))
			memcpy(&a, (const char *)d + i->k, sizeof(a));
		else if (i->code == (BPF_LD | BPF_IMM))
			a = i->k;
		else if (i->code == (BPF_MISC | BPF_TAX))
			x = a;
		else if (i->code == (BPF_ALU | BPF_SUB | BPF_K))
			a -= i->k;
		else if (i->code == (BPF_ALU | BPF_RSH | BPF_X))
			a = x < 32 ? a >> x : 0;
		else if (i->code == (BPF_JMP | BPF_JA))
			pc += (int)i->k;
		else if (BPF_CLASS(i->code) == BPF_JMP)
			pc += jumps(i, a) ? i->jt : i->jf;
		else if (i->code == (BPF_RET | BPF_K))
			return i->k;
		else
			fail();
	}
	fail();
	return 0;
}

static uint32_t decide(uint64_t caps, uint32_t arch, int nr, uint64_t arg0)
{
	struct sock_filter f[SECCOMP_INSNS_MAX];
	struct seccomp_data d = { .nr = nr, .arch = arch, .args = { arg0 } };
	int n = seccomp_compile(caps, f);

	assert_true(n > 0);
	return interpret(f, n, &d);
}

static uint32_t native(uint64_t caps, int nr, uint64_t arg0)
{
	return decide(caps, AUDIT_ARCH_X86_64, nr, arg0);
}

/* With 0 as its argument: no clone flag, PER_LINUX, AF_UNSPEC, all allowed. */
static uint32_t expected(uint64_t caps, unsigned int nr)
{
	uint32_t r = nr > seccomp_highest ? ABSENT : SECCOMP_RET_ALLOW;

	for (size_t i = 0; i < seccomp_nrules; i++) {
		const struct seccomp_rule *rule = &seccomp_rules[i];

		assert_true(rule->first <= rule->last && rule->last <= seccomp_highest);
		if (nr < rule->first || nr > rule->last || rule->unless & caps)
			continue;
		r = rule->verdict == SECCOMP_DENY   ? DENY :
		    rule->verdict == SECCOMP_ABSENT ? ABSENT :
						      SECCOMP_RET_ALLOW;
	}
	return r;
}

static void every_number(void **state _unused_)
{
	static const uint64_t caps[] = { 0, DEFAULT_CAPS, 1ull << CAP_SYS_ADMIN, 1ull << CAP_BPF,
					 ~0ull };

	for (size_t c = 0; c < ARRAY_SIZE(caps); c++) {
		for (unsigned int nr = 0; nr < 1024; nr++)
			assert_int_equal(native(caps[c], (int)nr, 0), expected(caps[c], nr));
	}
}

static void rules_do_not_overlap(void **state _unused_)
{
	for (size_t i = 0; i < seccomp_nrules; i++) {
		for (size_t j = 0; j < i; j++)
			assert_true(seccomp_rules[i].first > seccomp_rules[j].last ||
				    seccomp_rules[i].last < seccomp_rules[j].first);
	}
}

static void arguments(void **state _unused_)
{
	for (uint64_t family = 0; family < 100; family++) {
		bool no = family == 12 || family == 19 || family == 20 || family == 23 ||
			  family == 25 || family == 34 || family == 37 || family == 38 ||
			  family == 40 || family > 45;

		assert_int_equal(native(0, SYS_socket, family), no ? DENY : SECCOMP_RET_ALLOW);
	}
	assert_int_equal(native(0, SYS_socket, 0xffffffff), DENY);
	assert_int_equal(native(0, SYS_personality, 0xffffffff), SECCOMP_RET_ALLOW);
	assert_int_equal(native(0, SYS_personality, PER_LINUX32), SECCOMP_RET_ALLOW);
	assert_int_equal(native(0, SYS_personality, ADDR_NO_RANDOMIZE), DENY);
	assert_int_equal(native(0, SYS_clone, SIGCHLD), SECCOMP_RET_ALLOW);
	assert_int_equal(native(0, SYS_clone, CLONE_NEWUSER | SIGCHLD), DENY);
	assert_int_equal(native(1ull << CAP_SYS_ADMIN, SYS_clone, CLONE_NEWUSER),
			 SECCOMP_RET_ALLOW);
}

static void other_architectures(void **state _unused_)
{
	assert_int_equal(decide(~0ull, AUDIT_ARCH_I386, 1, 0), SECCOMP_RET_KILL_PROCESS);
	/* x32's read(2). */
	assert_int_equal(native(~0ull, 0x40000000, 0), ABSENT);
	assert_int_equal(native(~0ull, -1, 0), ABSENT);
}

static void is_small(void **state _unused_)
{
	struct sock_filter f[SECCOMP_INSNS_MAX];

	assert_in_range(seccomp_compile(0, f), 50, 320);
	assert_in_range(seccomp_compile(DEFAULT_CAPS, f), 50, 320);
}

/* In a child under the filter: 0, or the number of the first check that failed. */
static int checks(void)
{
	int n = 0;

#define CHECK(call, error)                                         \
	do {                                                       \
		n++;                                               \
		errno = 0;                                         \
		if ((call) >= 0 ? (error) != 0 : errno != (error)) \
			return n;                                  \
	} while (0)
	CHECK(getppid(), 0);
	CHECK(syscall(SYS_keyctl, 0, 0, 0, 0, 0), EPERM);
	CHECK(syscall(SYS_mount, NULL, NULL, NULL, 0, NULL), EPERM);
	CHECK(unshare(CLONE_NEWUSER), EPERM);
	CHECK(syscall(SYS_clone3, NULL, 0), ENOSYS);
	CHECK(syscall(SYS_io_uring_setup, 0, NULL), EPERM);
	CHECK(syscall(SYS_bpf, 0, NULL, 0), EPERM);
	CHECK(syscall(500), ENOSYS);
	CHECK(socket(AF_ALG, SOCK_SEQPACKET, 0), EPERM);
	CHECK(socket(AF_VSOCK, SOCK_STREAM, 0), EPERM);
	CHECK(socket(AF_UNIX, SOCK_STREAM, 0), 0);
	CHECK(personality(0xffffffff), 0);
	CHECK(personality(ADDR_NO_RANDOMIZE), EPERM);
	CHECK(syscall(0x40000000 | SYS_getpid), ENOSYS);
#undef CHECK
	return 0;
}

static int in_child(int (*fn)(void))
{
	pid_t pid = fork();
	int status;

	if (!pid) {
		if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
		    seccomp_load_default(DEFAULT_CAPS) < 0)
			_exit(99);
		_exit(fn());
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static void loaded(void **state _unused_)
{
	assert_int_equal(in_child(checks), 0);
}

static int int80(void)
{
	long r;

	/* getpid by the 32-bit ABI. */
	__asm__ volatile("int $0x80" : "=a"(r) : "a"(20L) : "memory");
	return r > 0;
}

static void int80_kills(void **state _unused_)
{
	int status = in_child(int80);

	/* A kernel without the 32-bit ABI faults instead. */
	assert_true(WIFSIGNALED(status));
	assert_true(WTERMSIG(status) == SIGSYS || WTERMSIG(status) == SIGSEGV);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_number), cmocka_unit_test(rules_do_not_overlap),
		cmocka_unit_test(arguments),	cmocka_unit_test(other_architectures),
		cmocka_unit_test(is_small),	cmocka_unit_test(loaded),
		cmocka_unit_test(int80_kills),
	};

	return cmocka_run_group_tests_name("seccomp", tests, NULL, NULL);
}
