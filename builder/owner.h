/* SPDX-License-Identifier: Apache-2.0 */
/* --chown: names and numbers of users and groups. */
#ifndef BUILDER_OWNER_H
#define BUILDER_OWNER_H

#include "builder/place.h"

/*
 * USER[:GROUP], names looked up in the image's own /etc/passwd and /etc/group. Without a group:
 * the user's own for a name, the same number for a number.
 */
int owner_parse(int root_fd, const char *text, struct owner *ret);

#endif
