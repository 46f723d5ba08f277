/* SPDX-License-Identifier: Apache-2.0 */
#include "unionfs/acl.h"

#include <endian.h>
#include <errno.h>
#include <stddef.h>
#include <string.h>

#define ACL_VERSION 2

enum acl_tag {
	ACL_USER_OBJ = 0x01,
	ACL_USER = 0x02,
	ACL_GROUP_OBJ = 0x04,
	ACL_GROUP = 0x08,
	ACL_MASK = 0x10,
	ACL_OTHER = 0x20,
};

struct acl_entry {
	uint16_t tag, perm;
	uint32_t id;
};

bool acl_is_name(const char *name)
{
	return strcmp(name, ACL_ACCESS) == 0 || strcmp(name, ACL_DEFAULT) == 0;
}

static size_t count(size_t len)
{
	return (len - sizeof(uint32_t)) / sizeof(struct acl_entry);
}

static struct acl_entry load(const void *value, size_t i)
{
	struct acl_entry e;

	memcpy(&e, (const char *)value + sizeof(uint32_t) + i * sizeof(e), sizeof(e));
	e.tag = le16toh(e.tag);
	e.perm = le16toh(e.perm);
	return e;
}

static void store_perm(void *value, size_t i, uint16_t perm)
{
	struct acl_entry e;
	char *at = (char *)value + sizeof(uint32_t) + i * sizeof(e);

	memcpy(&e, at, sizeof(e));
	e.perm = htole16(perm & 7);
	memcpy(at, &e, sizeof(e));
}

int acl_check(const void *value, size_t len)
{
	uint32_t version;

	if (len < sizeof(version) || len > ACL_MAX ||
	    (len - sizeof(version)) % sizeof(struct acl_entry))
		return -EINVAL;
	memcpy(&version, value, sizeof(version));
	return le32toh(version) == ACL_VERSION ? 0 : -EINVAL;
}

static bool has_mask(const void *value, size_t len)
{
	for (size_t i = 0; i < count(len); i++) {
		if (load(value, i).tag == ACL_MASK)
			return true;
	}
	return false;
}

/* How far the bits of this entry are shifted in a mode, or -1: the mode has no say in it. */
static int shift_of(uint16_t tag, bool masked)
{
	switch (tag) {
	case ACL_USER_OBJ:
		return 6;
	case ACL_MASK:
		return 3;
	case ACL_GROUP_OBJ:
		return masked ? -1 : 3;
	case ACL_OTHER:
		return 0;
	default:
		return -1;
	}
}

mode_t acl_mode(const void *value, size_t len)
{
	bool masked = has_mask(value, len);
	mode_t mode = 0;

	for (size_t i = 0; i < count(len); i++) {
		struct acl_entry e = load(value, i);
		int shift = shift_of(e.tag, masked);

		if (shift >= 0)
			mode |= (mode_t)(e.perm & 7) << shift;
	}
	return mode;
}

void acl_chmod(void *value, size_t len, mode_t mode)
{
	bool masked = has_mask(value, len);

	for (size_t i = 0; i < count(len); i++) {
		int shift = shift_of(load(value, i).tag, masked);

		if (shift >= 0)
			store_perm(value, i, (uint16_t)(mode >> shift));
	}
}

/* Linux fs/posix_acl.c, posix_acl_create_masq(). */
bool acl_inherit(void *value, size_t len, mode_t *mode)
{
	bool masked = has_mask(value, len), more = false;
	mode_t granted = 0;

	for (size_t i = 0; i < count(len); i++) {
		struct acl_entry e = load(value, i);
		int shift = shift_of(e.tag, masked);

		if (e.tag == ACL_USER || e.tag == ACL_GROUP || e.tag == ACL_MASK)
			more = true;
		if (shift < 0)
			continue;
		e.perm &= (uint16_t)(*mode >> shift);
		store_perm(value, i, e.perm);
		granted |= (mode_t)(e.perm & 7) << shift;
	}
	*mode = (*mode & ~0777u) | granted;
	return more;
}

void acl_map(void *value, size_t len, uint32_t (*fn)(const struct ids *ids, uint32_t id),
	     const struct ids *uids, const struct ids *gids)
{
	if (acl_check(value, len) < 0)
		return;
	for (size_t i = 0; i < count(len); i++) {
		char *at = (char *)value + sizeof(uint32_t) + i * sizeof(struct acl_entry);
		struct acl_entry e = load(value, i);
		uint32_t id;

		if (e.tag != ACL_USER && e.tag != ACL_GROUP)
			continue;
		id = htole32(fn(e.tag == ACL_USER ? uids : gids, le32toh(e.id)));
		memcpy(at + offsetof(struct acl_entry, id), &id, sizeof(id));
	}
}
