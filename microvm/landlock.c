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
#include <sys/stat.h>
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

/* A rule for a file may speak of nothing that only a folder has. */
static int allow(int rules, const struct vm_folder *f, uint64_t all)
{
	struct landlock_path_beneath_attr a = { .allowed_access = all & ~FS_NEVER,
						.parent_fd = f->fd };
	struct stat st;

	if (fstat(f->fd, &st) < 0)
		return -errno;
	if (f->rdonly)
		a.allowed_access &= FS_READ;
	if (!S_ISDIR(st.st_mode))
		a.allowed_access &= FS_OF_FILES;
	return syscall(SYS_landlock_add_rule, rules, LANDLOCK_RULE_PATH_BENEATH, &a, 0) < 0 ?
		       -errno :
		       0;
}

int vm_landlock(const struct vm_folder *folders, size_t n)
{
	int abi = vm_landlock_abi(), r = 0;
	struct landlock_ruleset_attr attr = { .handled_access_fs = rights(abi) };
	_close_ int rules = -1;

	if (abi < 0)
		return 0;
	rules = (int)syscall(SYS_landlock_create_ruleset, &attr, sizeof(attr.handled_access_fs), 0);
	if (rules < 0)
		return -errno;
	for (size_t i = 0; r == 0 && i < n; i++)
		r = allow(rules, &folders[i], attr.handled_access_fs);
	if (r == 0 && syscall(SYS_landlock_restrict_self, rules, 0) < 0)
		r = -errno;
	return r;
}
