/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rules as a balanced tree of "number >= n" over ranges of equal verdict: about eight
 * instructions a system call where a list takes hundreds, compiled in microseconds. Another
 * architecture's calls (32-bit x86, by int 0x80 or an i386 program) kill the process: an emulated
 * ABI is attack surface that images for x86-64 do not use. x32 is ENOSYS.
 */
#include "container/seccomp.h"

#include "base/err.h"
#include "base/mem.h"
#include <linux/audit.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NUMBERS_MAX 512 /* system calls, more than seccomp_highest */
#define JUMP_MAX    255 /* what a conditional jump reaches, in instructions */

#define RET_ALLOW  SECCOMP_RET_ALLOW
#define RET_DENY   (SECCOMP_RET_ERRNO | EPERM)
#define RET_ABSENT (SECCOMP_RET_ERRNO | ENOSYS)

/*
 * All that a new namespace can be asked with: clone's low bits are its exit signal, time is
 * unshare's alone.
 */
#define CLONE_NAMESPACES                                                               \
	(CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | \
	 CLONE_NEWPID | CLONE_NEWNET)

struct range {
	uint32_t from; /* the first number; the next range ends it */
	uint8_t verdict;
};

struct program {
	struct sock_filter *insns;
	size_t len;
	bool overflow;
	struct range ranges[NUMBERS_MAX + 1];
	size_t nranges;
};

static void emit(struct program *p, uint16_t code, uint32_t k, size_t jt, size_t jf)
{
	if (p->len >= SECCOMP_INSNS_MAX || jt > JUMP_MAX || jf > JUMP_MAX) {
		p->overflow = true;
		return;
	}
	p->insns[p->len++] = (struct sock_filter){ code, (uint8_t)jt, (uint8_t)jf, k };
}

static void emit_ret(struct program *p, uint32_t k)
{
	emit(p, BPF_RET | BPF_K, k, 0, 0);
}

/*
 * The low half of argument @n: the kernel takes all three judged here as 32 bits, or looks at no
 * higher flag.
 */
static void emit_arg(struct program *p, unsigned int n)
{
	emit(p, BPF_LD | BPF_W | BPF_ABS,
	     (uint32_t)(offsetof(struct seccomp_data, args) + n * sizeof(uint64_t)), 0, 0);
}

static void emit_personality(struct program *p)
{
	emit_arg(p, 0);
	for (size_t i = 0; i < seccomp_npersonalities; i++)
		emit(p, BPF_JMP | BPF_JEQ | BPF_K, seccomp_personalities[i],
		     seccomp_npersonalities - i, 0);
	emit_ret(p, RET_DENY);
	emit_ret(p, RET_ALLOW);
}

/* Looks the family up in a set of 64 bits, a word at a time. */
static void emit_socket(struct program *p)
{
	emit_arg(p, 0);
	emit(p, BPF_JMP | BPF_JGE | BPF_K, 64, 9, 0);
	emit(p, BPF_JMP | BPF_JGE | BPF_K, 32, 3, 0);
	emit(p, BPF_MISC | BPF_TAX, 0, 0, 0);
	emit(p, BPF_LD | BPF_IMM, (uint32_t)seccomp_families, 0, 0);
	emit(p, BPF_JMP | BPF_JA, 3, 0, 0);
	emit(p, BPF_ALU | BPF_SUB | BPF_K, 32, 0, 0);
	emit(p, BPF_MISC | BPF_TAX, 0, 0, 0);
	emit(p, BPF_LD | BPF_IMM, (uint32_t)(seccomp_families >> 32), 0, 0);
	emit(p, BPF_ALU | BPF_RSH | BPF_X, 0, 0, 0);
	emit(p, BPF_JMP | BPF_JSET | BPF_K, 1, 1, 0);
	emit_ret(p, RET_DENY);
	emit_ret(p, RET_ALLOW);
}

static void emit_clone(struct program *p)
{
	emit_arg(p, 0);
	emit(p, BPF_JMP | BPF_JSET | BPF_K, CLONE_NAMESPACES, 0, 1);
	emit_ret(p, RET_DENY);
	emit_ret(p, RET_ALLOW);
}

static void emit_verdict(struct program *p, uint8_t verdict)
{
	switch ((enum seccomp_verdict)verdict) {
	case SECCOMP_ALLOW:
		return emit_ret(p, RET_ALLOW);
	case SECCOMP_DENY:
		return emit_ret(p, RET_DENY);
	case SECCOMP_ABSENT:
		return emit_ret(p, RET_ABSENT);
	case SECCOMP_PERSONALITY:
		return emit_personality(p);
	case SECCOMP_SOCKET:
		return emit_socket(p);
	case SECCOMP_CLONE:
		return emit_clone(p);
	}
}

/* Puts one instruction at @at: jumps are relative, so what moves need not change. */
static void insert(struct program *p, size_t at, struct sock_filter insn)
{
	if (p->len >= SECCOMP_INSNS_MAX) {
		p->overflow = true;
		return;
	}
	memmove(&p->insns[at + 1], &p->insns[at], (p->len - at) * sizeof(insn));
	p->insns[at] = insn;
	p->len++;
}

/*
 * The ranges [lo, hi): below the middle one's first number the code that follows, else what comes
 * behind it.
 */
static void emit_tree(struct program *p, size_t lo, size_t hi)
{
	size_t mid = lo + (hi - lo) / 2, at = p->len, left;
	uint16_t jge = BPF_JMP | BPF_JGE | BPF_K;

	if (hi - lo == 1)
		return emit_verdict(p, p->ranges[lo].verdict);
	emit_tree(p, lo, mid);
	left = p->len - at;
	if (left > JUMP_MAX) {
		insert(p, at, (struct sock_filter){ BPF_JMP | BPF_JA, 0, 0, (uint32_t)left });
		insert(p, at, (struct sock_filter){ jge, 0, 1, p->ranges[mid].from });
	} else {
		insert(p, at, (struct sock_filter){ jge, (uint8_t)left, 0, p->ranges[mid].from });
	}
	emit_tree(p, mid, hi);
}

static void fill_ranges(struct program *p, uint64_t caps)
{
	uint8_t verdicts[NUMBERS_MAX] = { 0 };

	for (size_t i = 0; i < seccomp_nrules; i++) {
		const struct seccomp_rule *r = &seccomp_rules[i];

		if (r->unless & caps)
			continue;
		memset(verdicts + r->first, r->verdict, r->last - r->first + 1u);
	}
	for (uint32_t nr = 0; nr <= seccomp_highest; nr++) {
		if (!nr || verdicts[nr] != verdicts[nr - 1])
			p->ranges[p->nranges++] = (struct range){ nr, verdicts[nr] };
	}
	p->ranges[p->nranges++] = (struct range){ seccomp_highest + 1, SECCOMP_ABSENT };
}

int seccomp_compile(uint64_t caps, struct sock_filter *insns)
{
	struct program p = { .insns = insns };

	emit(&p, BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch), 0, 0);
	emit(&p, BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0);
	emit_ret(&p, SECCOMP_RET_KILL_PROCESS);
	emit(&p, BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr), 0, 0);
	fill_ranges(&p, caps);
	emit_tree(&p, 0, p.nranges);
	return p.overflow ? -E2BIG : (int)p.len;
}

int seccomp_load_default(uint64_t caps)
{
	struct sock_filter insns[SECCOMP_INSNS_MAX];
	struct sock_fprog prog = { .filter = insns };
	int n = seccomp_compile(caps, insns);

	if (n < 0)
		return err(n, "the seccomp filter is too long");
	prog.len = (unsigned short)n;
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &prog) < 0)
		return err_sys("cannot load the seccomp filter");
	return 0;
}
