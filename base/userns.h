/* SPDX-License-Identifier: Apache-2.0 */
/* The user namespace that we are in, as /proc/self/uid_map and gid_map have it (proc(5)). */
#ifndef BASE_USERNS_H
#define BASE_USERNS_H

#include <stdint.h>
#include <sys/types.h>

/*
 * How many ids it has from 0 on, as users and as groups, 1 at least; 0: all that there are, it is
 * the host's.
 */
uint32_t userns_ids(void);
/* What @uid, of its first range, is called outside of it. */
uid_t userns_outside(uid_t uid);

#endif
