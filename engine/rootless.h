/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An ordinary user as root: in a user namespace in which he is 0, and the ids that /etc/subuid and
 * /etc/subgid give him are 1 and up, written by newuidmap(1) and newgidmap(1). So a container has
 * users of its own, each with files of its own, and none of them is anybody else's on the host.
 *
 * No process keeps the namespace: a run has one, with a mount namespace, and it ends with what was
 * started in it. All of a user's have the same ids, so a top that one of them wrote is read by the
 * next; what joins a running instance joins the one which that was made in.
 */
#ifndef ENGINE_ROOTLESS_H
#define ENGINE_ROOTLESS_H

#include <stdint.h>

/*
 * Makes this process, which has one thread, root of a new namespace. Nothing for who is root.
 * -EPERM with a text: he has no ids, or nobody may make user namespaces here.
 */
int rootless_enter(void);
/* Likewise of the one that the process behind @pidfd is in, with mounts of our own. */
int rootless_join(int pidfd);

/* How many he would have who runs this: 0 with a text when none. */
uint32_t rootless_ids_given(void);

#endif
