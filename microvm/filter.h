/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A filter of system calls, as plain BPF: libseccomp takes longer to make one than the VMM to make
 * a VM. Rules about arguments come first and each is a chain of comparisons; the rest is a tree
 * over the ranges of numbers that are answered alike, since the kernel asks the filter about every
 * number once when it is installed, to know which are allowed whatever their arguments. Both
 * share few returns: what the kernel makes of a filter, machine code in the end, costs by its
 * length.
 */
#ifndef MICROVM_FILTER_H
#define MICROVM_FILTER_H

#include "base/nr.h"

#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FILTER_KNOWN NR_REMOVEXATTRAT /* programs try later ones and take ENOSYS for an answer */

#define FILTER_ALLOW SECCOMP_RET_ALLOW
#define FILTER_DENY  (SECCOMP_RET_ERRNO | 1u /* EPERM */)
#define FILTER_KILL  SECCOMP_RET_KILL_PROCESS

#define FILTER_MAX 512 /* instructions, and ways out: at most one of each range of numbers */
_Static_assert(FILTER_MAX >= FILTER_KNOWN + 2, "a way out of each range");

/* A way out that does not lead to its return yet. */
struct filter_exit {
	uint32_t action;
	unsigned short at; /* the jump */
	bool yes;	   /* when it holds */
};

struct filter {
	struct sock_filter insns[FILTER_MAX];
	unsigned short n;
	unsigned short rule; /* where the one that has begun does */
	bool failed;	     /* it does not fit */
	uint32_t actions[FILTER_KNOWN + 1];
	struct filter_exit exits[FILTER_MAX];
	unsigned short nexits;
};

/* All is denied, on this processor's system calls; those of another kill. */
void filter_init(struct filter *f);
/* Of system calls without a rule. */
void filter_set(struct filter *f, const short *calls, size_t n, uint32_t action);

/*
 * A rule about the low half of argument @arg of @call: from begin to end comparisons, of which the
 * first that holds decides; then it is denied.
 */
void filter_rule(struct filter *f, int call, unsigned arg);
void filter_if_equal(struct filter *f, uint32_t k, uint32_t action);
void filter_if_set(struct filter *f, uint32_t bits, uint32_t action);
void filter_if_none_set(struct filter *f, uint32_t bits, uint32_t action);
void filter_rule_end(struct filter *f);
/* @call is answered so, whatever its arguments. */
void filter_call(struct filter *f, int call, uint32_t action);

/*
 * After all rules: for this thread and those that it starts, or for all of the process with
 * SECCOMP_FILTER_FLAG_TSYNC in @flags; on top of what holds already. 0 or -errno with a text.
 */
int filter_install(struct filter *f, unsigned flags);

#endif
