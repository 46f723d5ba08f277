/* SPDX-License-Identifier: Apache-2.0 */
/*
 * System calls that the headers of the distributions we build on do not name yet: their numbers on
 * x86-64 (Linux arch/x86/entry/syscalls/syscall_64.tbl).
 */
#ifndef BASE_NR_H
#define BASE_NR_H

#define NR_URETPROBE	     335 /* Linux 6.11 */
#define NR_CACHESTAT	     451 /* 6.5 */
#define NR_FCHMODAT2	     452 /* 6.6 */
#define NR_LSM_GET_SELF_ATTR 459 /* 6.8 */
#define NR_LSM_LIST_MODULES  461 /* 6.8 */
#define NR_SETXATTRAT	     463 /* 6.13, and the three behind it */
#define NR_GETXATTRAT	     464
#define NR_LISTXATTRAT	     465
#define NR_REMOVEXATTRAT     466

#endif
