/* SPDX-License-Identifier: Apache-2.0 */
/*
 * POSIX ACLs as xattr values (Linux include/uapi/linux/posix_acl_xattr.h), and what they have to do
 * with modes.
 */
#ifndef UNIONFS_ACL_H
#define UNIONFS_ACL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define ACL_ACCESS  "system.posix_acl_access"
#define ACL_DEFAULT "system.posix_acl_default"
#define ACL_MAX	    (4 + 8 * 1024) /* bytes that we handle: 1,024 entries */

bool acl_is_name(const char *name);
/* Whether the value is a well-formed ACL: 0 or -EINVAL. */
int acl_check(const void *value, size_t len);
/* The permission bits (0777) that the ACL stands for. */
mode_t acl_mode(const void *value, size_t len);
/* Changes the entries that @mode has a say in, as chmod(2) does. */
void acl_chmod(void *value, size_t len, mode_t mode);
/*
 * The access ACL of what is made in a directory with this default ACL, in place; takes away from
 * *@mode what it does not grant. True: the ACL says more than the mode does, so it must be stored.
 */
bool acl_inherit(void *value, size_t len, mode_t *mode);

/* Gives each named user and group of a well-formed ACL the id that @fn makes of it. */
struct ids;
void acl_map(void *value, size_t len, uint32_t (*fn)(const struct ids *ids, uint32_t id),
	     const struct ids *uids, const struct ids *gids);

#endif
