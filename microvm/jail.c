/* SPDX-License-Identifier: Apache-2.0 */
/* How the VMM gives up what it does not need, before the guest's first instruction. */
#include "base/err.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/str.h"
#include "microvm/jail.h"
#include "microvm/vm.h"
#include <grp.h>
#include <linux/capability.h>
#include <linux/securebits.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>

/* Far more than a machine has: its vCPUs, devices, and at most 16 for each file system. */
#define THREADS_MAX 1024

static void weakness(char *weak, size_t size, const char *what, int e)
{
	size_t len = strlen(weak);

	if (len < size)
		snprintf(weak + len, size - len, "%s%s: %s", len ? "; " : "", what, strerror(-e));
}

/* ---- namespaces and root ---- */

/*
 * In a user namespace of its own, where the caller has no privilege: itself and nobody else is
 * mapped.
 */
static int user_namespace(void)
{
	char map[64];
	uid_t uid = geteuid();
	gid_t gid = getegid();
	int r;

	if (unshare(CLONE_NEWUSER) < 0)
		return -errno;
	snprintf(map, sizeof(map), "%u %u 1", uid, uid);
	r = file_write(AT_FDCWD, "/proc/self/uid_map", map);
	if (r == 0)
		r = file_write(AT_FDCWD, "/proc/self/setgroups", "deny");
	snprintf(map, sizeof(map), "%u %u 1", gid, gid);
	return r == 0 ? file_write(AT_FDCWD, "/proc/self/gid_map", map) : r;
}

static int namespaces(void)
{
	const int flags = CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS;
	int r;

	if (unshare(flags) == 0)
		return 0;
	r = user_namespace();
	if (r < 0)
		return r;
	return unshare(flags) < 0 ? -errno : 0;
}

/*
 * An empty, read-only folder that exists nowhere else. It lies on top of the old root, where a path
 * that begins at "/" does not come; "/.." does. Then the old one goes below the new one and away;
 * an initramfs cannot be left so, only turned from.
 */
static int empty_root(void)
{
	if (mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL) < 0 ||
	    mount("strata", "/", "tmpfs", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0 ||
	    chdir("/..") < 0)
		return -errno;
	if (syscall(SYS_pivot_root, ".", ".") == 0)
		return umount2(".", MNT_DETACH) < 0 ? -errno : 0;
	return chroot(".") < 0 ? -errno : 0;
}

/* ---- privileges ---- */

static int ids(const struct vm_jail *j)
{
	if (setgroups(0, NULL) < 0 || setresgid(j->gid, j->gid, j->gid) < 0 ||
	    setresuid(j->uid, j->uid, j->uid) < 0)
		return err_sys("VM's jail: user %u", j->uid);
	return 0;
}

static int no_capabilities(void)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[2] = { 0 };

	if (syscall(SYS_capset, &head, none) < 0)
		return err_sys("VM's jail: capabilities");
	return 0;
}

/*
 * That user 0 is a user as any other, for ever: with no_new_privs, by which files give none, no
 * exec brings a capability back, and the bounding set, a call for each of 41, need not be emptied.
 * While there is CAP_SETPCAP for it; without, there is nothing that could come back.
 */
static void no_root(void)
{
	prctl(PR_SET_SECUREBITS, SECBIT_NOROOT | SECBIT_NO_CAP_AMBIENT_RAISE | SECURE_ALL_LOCKS, 0,
	      0, 0);
}

/*
 * When all else fails: no core file with the guest's memory in it, by a program of core(5)'s
 * neither; and of a user that nobody else is, no more threads than a machine has. After the change
 * of user, which makes the process dumpable as fs.suid_dumpable says.
 */
static int limits(bool own)
{
	const struct rlimit none = { 0, 0 }, threads = { THREADS_MAX, THREADS_MAX };

	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0 || setrlimit(RLIMIT_CORE, &none) < 0 ||
	    (!own && setrlimit(RLIMIT_NPROC, &threads) < 0))
		return err_sys("VM's jail: limits");
	return 0;
}

int vm_jail(const struct vm_jail *j, char *weak, size_t size)
{
	/* Noted before a namespace may show another. */
	bool own = geteuid() != 0 && j->uid == geteuid() && j->gid == getegid();
	int r;

	weak[0] = '\0';
	r = namespaces();
	if (r == 0)
		r = empty_root();
	if (r < 0)
		weakness(weak, size, "the VMM is not in an empty root and namespaces of its own",
			 r);
	no_root();
	r = own ? 0 : ids(j);
	if (r == 0)
		r = no_capabilities();
	if (r == 0)
		r = limits(own);
	if (r < 0)
		return r;
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_sys("VM's jail: no_new_privs");
	r = vm_landlock(j->folders, j->nfolders);
	if (r < 0)
		weakness(weak, size, "Landlock does not hold the VMM to its folders", r);
	r = vm_seccomp();
	if (r == 0)
		vm_jail_began();
	return r;
}
