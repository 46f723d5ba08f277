/* SPDX-License-Identifier: Apache-2.0 */
/* The child enters what the clone did not put it into, and settles in. */
#include "container/inner.h"

#include "base/fd.h"
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/stat.h>

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x80
#endif

static int join(struct child *c)
{
	const struct ctr_given *g = c->spec->given;

	for (size_t i = 0; i < g->nnamespaces; i++) {
		const struct ctr_namespace *n = &g->namespaces[i];

		/* The parent has seen to both. */
		if (n->fd < 0 || n->flag == CLONE_NEWUSER || n->flag == CLONE_NEWPID)
			continue;
		if (setns(n->fd, n->flag) < 0)
			return err_sys("cannot enter a namespace that was given (0x%x)", n->flag);
	}
	return 0;
}

static bool is_new(const struct ctr_given *g, int flag)
{
	const struct ctr_namespace *n = given_namespace(g, flag);

	return n && n->fd < 0;
}

static int set_names(struct child *c)
{
	const char *host = c->spec->hostname, *domain = c->spec->given->domainname;

	if (host && sethostname(host, strlen(host)) < 0)
		return err_sys("cannot set the host name %s", host);
	if (domain && setdomainname(domain, strlen(domain)) < 0)
		return err_sys("cannot set the domain name %s", domain);
	return 0;
}

/* The parent does what it has to do to a container whose namespaces are there. */
static int tell_entered(struct child *c)
{
	int r;

	if (!c->spec->given->entered)
		return 0;
	r = report_send(c->sock, 0, -1);
	return r < 0 ? r : report_recv(c->sock, NULL);
}

int given_enter(struct child *c)
{
	const struct ctr_given *g = c->spec->given;
	int r = join(c);

	if (r >= 0 && is_new(g, CLONE_NEWUSER))
		r = userns_become_root();
	/* Here and not in clone's flags: its root is the cgroup that we were put into since. */
	if (r >= 0 && is_new(g, CLONE_NEWCGROUP) && unshare(CLONE_NEWCGROUP) < 0)
		r = err_sys("cannot create a cgroup namespace");
	if (r >= 0)
		r = set_names(c);
	if (r >= 0 && is_new(g, CLONE_NEWNET))
		r = net_loopback_up();
	if (r >= 0)
		r = tell_entered(c);
	return r < 0 ? r : given_sysctls(c);
}
