/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ids and the five sets of capabilities of a given container. A filter without no_new_privs takes
 * CAP_SYS_ADMIN, so that one is kept until the filter is loaded, which is the last thing before the
 * command: a profile may allow little more than what the command calls.
 */
#include "container/inner.h"

#include "base/mem.h"
#include <linux/capability.h>
#include <linux/seccomp.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

/* What we have not got cannot be given (a runtime that itself is in a container). */
static int set_caps(const struct ctr_caps *c)
{
	struct __user_cap_header_struct h = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct d[2];

	if (syscall(SYS_capget, &h, d) < 0)
		return err_sys("cannot read the capabilities");
	for (int i = 0; i < 2; i++) {
		d[i].permitted &= (uint32_t)(c->permitted >> 32 * i);
		d[i].effective = (uint32_t)(c->effective >> 32 * i) & d[i].permitted;
		d[i].inheritable = (uint32_t)(c->inheritable >> 32 * i) &
				   (d[i].permitted | (uint32_t)(c->bounding >> 32 * i));
	}
	return syscall(SYS_capset, &h, d) < 0 ? err_sys("cannot set the capabilities") : 0;
}

/* A capability is ambient only while it is permitted and inheritable: else it is left out. */
static int set_ambient(const struct ctr_caps *c)
{
	uint64_t ambient = c->ambient & c->permitted & c->inheritable;

	for (unsigned long cap = 0; cap < 64; cap++) {
		/* EPERM: what set_caps() could not give. */
		if (ambient >> cap & 1 &&
		    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, cap, 0, 0) < 0 && errno != EPERM)
			return err_sys("cannot raise the ambient capability %lu", cap);
	}
	return 0;
}

static bool filter_needs_admin(const struct child *c)
{
	return c->spec->given->filter && !c->spec->no_new_privs;
}

static int load_filter(struct child *c)
{
	const struct ctr_given *g = c->spec->given;

	if (g->filter &&
	    syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, g->filter_flags, g->filter) < 0)
		return err_sys("cannot load the seccomp filter");
	return 0;
}

int given_restrict(struct child *c)
{
	const struct ctr_given *g = c->spec->given;
	int r = rlimit_apply(c->spec);

	if (r >= 0 && g->personality && personality(g->personality) < 0)
		r = err_sys("cannot set the personality");
	return r < 0 ? r : caps_drop_bounding(g->caps.bounding);
}

int given_become(struct child *c)
{
	const struct ctr_given *g = c->spec->given;
	struct ctr_caps caps = g->caps;

	/* EPERM: a user namespace where groups may not be set. */
	if (syscall(SYS_setgroups, g->ngroups, g->groups) < 0 && (g->ngroups || errno != EPERM))
		return err_sys("cannot set the groups");
	if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0)
		return err_sys("cannot keep the capabilities");
	if (syscall(SYS_setresgid, g->gid, g->gid, g->gid) < 0)
		return err_sys("cannot become group %u", g->gid);
	if (syscall(SYS_setresuid, g->uid, g->uid, g->uid) < 0)
		return err_sys("cannot become user %u", g->uid);
	/* A change of ids made us dumpable as far as the host says (fs.suid_dumpable). */
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	if (filter_needs_admin(c)) {
		caps.permitted |= 1ull << CAP_SYS_ADMIN;
		caps.effective |= 1ull << CAP_SYS_ADMIN;
	}
	return set_caps(&caps);
}

int given_finish(struct child *c)
{
	const struct ctr_given *g = c->spec->given;
	bool late = filter_needs_admin(c);
	int r = given_labels(c);

	umask(g->umask);
	if (r >= 0 && c->spec->no_new_privs && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		r = err_sys("cannot set no_new_privs");
	if (r >= 0 && late)
		r = load_filter(c);
	if (r >= 0 && late)
		r = set_caps(&g->caps);
	if (r >= 0)
		r = set_ambient(&g->caps);
	return r < 0 || late ? r : load_filter(c);
}
