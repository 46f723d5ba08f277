/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ids and capabilities. Root keeps the given set; another user is left with none, as execve would
 * leave him. Nothing is inheritable (CVE-2022-29162), so nothing is ambient either.
 */
#include "container/inner.h"

#include "base/mem.h"
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define CAP(n) (1ull << CAP_##n)

const uint64_t CTR_CAPS_DEFAULT = CAP(CHOWN) | CAP(DAC_OVERRIDE) | CAP(FSETID) | CAP(FOWNER) |
				  CAP(MKNOD) | CAP(NET_RAW) | CAP(SETGID) | CAP(SETUID) |
				  CAP(SETFCAP) | CAP(SETPCAP) | CAP(NET_BIND_SERVICE) |
				  CAP(SYS_CHROOT) | CAP(KILL) | CAP(AUDIT_WRITE);

int caps_drop_bounding(uint64_t keep)
{
	for (int cap = 0; cap < 64; cap++) {
		if (keep >> cap & 1)
			continue;
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0) {
			if (errno == EINVAL)
				return 0; /* the kernel has no more */
			return err_sys("cannot drop capability %d", cap);
		}
	}
	return 0;
}

/* Permitted and effective become what of @caps we have. */
static int set_caps(uint64_t caps)
{
	struct __user_cap_header_struct h = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct d[2];

	if (syscall(SYS_capget, &h, d) < 0)
		return err_sys("cannot read the capabilities");
	for (int i = 0; i < 2; i++) {
		d[i].permitted &= (uint32_t)(caps >> 32 * i);
		d[i].effective = d[i].permitted;
		d[i].inheritable = 0;
	}
	if (syscall(SYS_capset, &h, d) < 0)
		return err_sys("cannot set the capabilities");
	return 0;
}

/* The system calls: we are one thread, and glibc's would ask for others. */
int user_become(struct child *c)
{
	const struct user *u = &c->user;

	/*
	 * EPERM: a user namespace where groups may not be set (one id, mapped without privilege).
	 */
	if (syscall(SYS_setgroups, u->ngroups, u->groups) < 0 &&
	    !(c->spec->userns && errno == EPERM))
		return err_sys("cannot set the groups");
	if (syscall(SYS_setresgid, u->gid, u->gid, u->gid) < 0)
		return err_sys("cannot become group %u", u->gid);
	if (syscall(SYS_setresuid, u->uid, u->uid, u->uid) < 0)
		return errno == EINVAL ?
			       err(-EINVAL,
				   "cannot become user %u: this user namespace has no such id",
				   u->uid) :
			       err_sys("cannot become user %u", u->uid);
	return set_caps(u->uid ? 0 : c->spec->caps);
}
