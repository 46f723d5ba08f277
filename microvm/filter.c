/* SPDX-License-Identifier: Apache-2.0 */
#include "microvm/filter.h"

#include "base/err.h"
#include "base/mem.h"
#include <errno.h>
#include <linux/audit.h>
#include <sys/syscall.h>
#include <unistd.h>

#define NR     offsetof(struct seccomp_data, nr)
#define ARCH   offsetof(struct seccomp_data, arch)
#define ARG(i) (offsetof(struct seccomp_data, args) + 8 * (size_t)(i)) /* its low half */

#define JUMP_MAX 255 /* instructions */

static void insn(struct filter *f, unsigned code, uint32_t k, uint8_t jt, uint8_t jf)
{
	if (f->n < ARRAY_SIZE(f->insns))
		f->insns[f->n++] = (struct sock_filter){ (uint16_t)code, jt, jf, k };
	else
		f->failed = true;
}

static void load(struct filter *f, size_t off)
{
	insn(f, BPF_LD | BPF_W | BPF_ABS, (uint32_t)off, 0, 0);
}

static void ret(struct filter *f, uint32_t action)
{
	insn(f, BPF_RET | BPF_K, action, 0, 0);
}

/* How far it is from the instruction behind @at to the next one made. */
static uint8_t distance(struct filter *f, unsigned short at)
{
	int n = f->n - at - 1;

	f->failed |= n > JUMP_MAX;
	return (uint8_t)n;
}

void filter_init(struct filter *f)
{
	f->n = f->rule = f->nexits = 0;
	f->failed = false;
	for (size_t i = 0; i < ARRAY_SIZE(f->actions); i++)
		f->actions[i] = FILTER_DENY;
	load(f, ARCH);
	insn(f, BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0);
	ret(f, FILTER_KILL);
	load(f, NR);
}

void filter_set(struct filter *f, const short *calls, size_t n, uint32_t action)
{
	for (size_t i = 0; i < n; i++)
		f->actions[calls[i]] = action;
}

/* ---- ways out ---- */

static void set_jump(struct filter *f, unsigned short at, bool yes, uint8_t by)
{
	if (f->failed)
		return;
	if (yes)
		f->insns[at].jt = by;
	else
		f->insns[at].jf = by;
}

/* Of the jump at @at, when it holds or does not. */
static void exit_by(struct filter *f, unsigned short at, bool yes, uint32_t action)
{
	if (!f->failed)
		f->exits[f->nexits++] = (struct filter_exit){ action, at, yes };
}

/* A return for each action that somebody waits for. */
static void returns(struct filter *f)
{
	while (f->nexits) {
		const uint32_t action = f->exits[0].action;
		unsigned short left = 0;

		for (unsigned short i = 0; i < f->nexits; i++) {
			const struct filter_exit e = f->exits[i];

			if (e.action == action)
				set_jump(f, e.at, e.yes, distance(f, e.at));
			else
				f->exits[left++] = e;
		}
		ret(f, action);
		f->nexits = left;
	}
}

/* ---- rules ---- */

void filter_rule(struct filter *f, int call, unsigned arg)
{
	f->rule = f->n;
	insn(f, BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)call, 0, 0);
	load(f, ARG(arg));
}

void filter_rule_end(struct filter *f)
{
	ret(f, FILTER_DENY);
	returns(f);
	set_jump(f, f->rule, false, distance(f, f->rule));
}

/* Answered by @action when it holds, or when it does not; else what comes next decides. */
static void compare(struct filter *f, unsigned how, uint32_t k, bool yes, uint32_t action)
{
	const unsigned short at = f->n;

	insn(f, BPF_JMP | how | BPF_K, k, 0, 0);
	exit_by(f, at, yes, action);
}

void filter_if_equal(struct filter *f, uint32_t k, uint32_t action)
{
	compare(f, BPF_JEQ, k, true, action);
}

void filter_if_set(struct filter *f, uint32_t bits, uint32_t action)
{
	compare(f, BPF_JSET, bits, true, action);
}

void filter_if_none_set(struct filter *f, uint32_t bits, uint32_t action)
{
	compare(f, BPF_JSET, bits, false, action);
}

void filter_call(struct filter *f, int call, uint32_t action)
{
	filter_if_equal(f, (uint32_t)call, action);
}

/* ---- the tree ---- */

/* From @first on numbers are answered by @action. */
struct range {
	uint32_t first, action;
};

static unsigned ranges_find(const struct filter *f, struct range *r)
{
	unsigned n = 0;

	for (unsigned nr = 0; nr < ARRAY_SIZE(f->actions); nr++)
		if (!n || f->actions[nr] != r[n - 1].action)
			r[n++] = (struct range){ nr, f->actions[nr] };
	r[n++] = (struct range){ FILTER_KNOWN + 1, SECCOMP_RET_ERRNO | ENOSYS };
	return n;
}

#define RETURNS_FAR 200 /* instructions: what else is on the way to a place for returns is less */

/* Where nothing arrives but by a jump. */
static void returns_if_far(struct filter *f)
{
	if (f->nexits && f->n - f->exits[0].at > RETURNS_FAR)
		returns(f);
}

/* Of two ranges at least; as deep as the numbers of a table of constants have digits. */
static void tree(struct filter *f, const struct range *r,
		 unsigned n) /* NOLINT(misc-no-recursion) */
{
	const unsigned low = n / 2, high = n - low;
	unsigned short at = f->n;

	insn(f, BPF_JMP | BPF_JGE | BPF_K, r[low].first, 0, 0);
	if (low == 1)
		exit_by(f, at, false, r->action);
	else
		tree(f, r, low);
	if (high == 1) {
		exit_by(f, at, true, r[low].action);
		return;
	}
	returns_if_far(f);
	set_jump(f, at, true, distance(f, at));
	tree(f, r + low, high);
}

int filter_install(struct filter *f, unsigned flags)
{
	struct range ranges[FILTER_KNOWN + 2];
	struct sock_fprog program;

	tree(f, ranges, ranges_find(f, ranges));
	returns(f);
	if (f->failed)
		return err(-E2BIG, "VM's jail: the seccomp filter is too long");
	program = (struct sock_fprog){ f->n, f->insns };
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, &program) != 0)
		return err_sys("VM's jail: seccomp");
	return 0;
}
