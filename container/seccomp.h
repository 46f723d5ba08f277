/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A seccomp filter for x86-64 from docker's default profile (seccomp_default.c), as a tree over
 * system call numbers.
 */
#ifndef CONTAINER_SECCOMP_H
#define CONTAINER_SECCOMP_H

#include <linux/filter.h>
#include <stddef.h>
#include <stdint.h>

enum seccomp_verdict {
	SECCOMP_ALLOW,	     /* what is in no rule */
	SECCOMP_DENY,	     /* EPERM */
	SECCOMP_ABSENT,	     /* ENOSYS */
	SECCOMP_PERSONALITY, /* by its argument: only those that change no protection */
	SECCOMP_SOCKET,	     /* by its family */
	SECCOMP_CLONE,	     /* by its flags: no new namespaces */
};

struct seccomp_rule {
	uint16_t first, last; /* system call numbers */
	enum seccomp_verdict verdict;
	uint64_t unless; /* any of these capabilities: allowed */
};

/* Numbers above are ENOSYS, as is x32, whose numbers have bit 30 set. */
extern const unsigned int seccomp_highest;
extern const struct seccomp_rule seccomp_rules[];
extern const size_t seccomp_nrules;
extern const uint32_t seccomp_personalities[];
extern const size_t seccomp_npersonalities;
/* Address families from 0 on, one bit each, that socket(2) may ask for. */
extern const uint64_t seccomp_families;

#define SECCOMP_INSNS_MAX 768

/*
 * Writes the filter for a container that has @caps to @insns (room for SECCOMP_INSNS_MAX); how
 * many, or -E2BIG.
 */
int seccomp_compile(uint64_t caps, struct sock_filter *insns);
/*
 * Compiles and loads it for this process and what it becomes. Needs no_new_privs or CAP_SYS_ADMIN.
 */
int seccomp_load_default(uint64_t caps);

#endif
