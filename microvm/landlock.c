/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files held to folders, by the kernel's own rules (Linux
 * Documentation/userspace-api/landlock.rst): the names under a few folders, and no others, whatever
 * descriptor or path they are reached by. A name that leads out of one, should our own walk ever be
 * led astray, is EACCES.
 *
 * What was opened before stays as it is; files in memory have no name and are no business of its.
 */
#include "base/err.h"
#include "base/fd.h"
#include "base/mem.h"
#include "microvm/jail.h"
#include "microvm/vm.h"
#include <linux/landlock.h>
#include <sys/syscall.h>

/* Newer than Debian 12's linux/landlock.h. */
#define FS_TRUNCATE  (UINT64_C(1) << 14) /* ABI 3 */
#define FS_IOCTL_DEV (UINT64_C(1) << 15) /* ABI 5 */

#define ABI_RENAMES   2 /* renames between folders can be allowed, which a union needs */
#define ABI_TRUNCATE  3
#define ABI_IOCTL_DEV 5

#define FS_FIRST    ((UINT64_C(1) << 13) - 1) /* all of ABI 1: EXECUTE to MAKE_SYM */
#define FS_READ	    (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define FS_NEVER    (LANDLOCK_ACCESS_FS_EXECUTE | FS_IOCTL_DEV)
#define FS_OF_FILES (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | FS_TRUNCATE)

int vm_landlock_abi(void)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);

	return abi < ABI_RENAMES ? -EOPNOTSUPP : (int)abi;
}

static uint64_t rights(int abi)
{
	uint64_t all = FS_FIRST | LANDLOCK_ACCESS_FS_REFER;

	if (abi >= ABI_TRUNCATE)
		all |= FS_TRUNCATE;
	if (abi >= ABI_IOCTL_DEV)
		all |= FS_IOCTL_DEV;
	return all;
}

static int add_rule(int rules, const struct landlock_path_beneath_attr *a)
{
	return syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, a, 0) < 0 ?
		       -errno :
		       0;
}

/* A rule for a file may speak of nothing that only a folder has: EINVAL says that it is one. */
static int allow(int rules, const struct vm_folder *f, uint64_t all)
{
	struct landlock_path_beneath_attr a = { .allowed_access = all & ~FS_NEVER,
						.parent_fd = f->fd };
	int r;

	if (f->rdonly)
		a.allowed_access &= FS_READ;
	r = add_rule(rules, &a);
	if (r != -EINVAL)
		return r;
	a.allowed_access &= FS_OF_FILES;
	return add_rule(rules, &a);
}

static int rules_new(uint64_t all)
{
	const struct landlock_ruleset_attr attr = { .handled_access_fs = all };
	int fd =
		(int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr.handled_access_fs), 0);

	return fd < 0 ? -errno : fd;
}

/* All that is known here, or what is known to this kernel: only an older one is asked. */
int vm_landlock(const struct vm_folder *folders, size_t n)
{
	uint64_t all = rights(ABI_IOCTL_DEV);
	_close_ int rules = rules_new(all);
	int abi, r = 0;

	if (rules < 0) {
		abi = vm_landlock_abi();
		if (abi < 0)
			return 0;
		all = rights(abi);
		rules = rules_new(all);
	}
	if (rules < 0)
		return rules;
	for (size_t i = 0; r == 0 && i < n; i++)
		r = allow(rules, &folders[i], all);
	if (r == 0 && syscall(SYS_landlock_restrict_self, rules, 0) < 0)
		r = -errno;
	return r;
}
