/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a container, on the parent's side. */
#include "container/inner.h"

#include "base/fd.h"
#include "base/proc.h"
#include <sched.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

struct ctr {
	pid_t pid;
	int pidfd, sock, console;
};

static void reap(struct ctr *c)
{
	siginfo_t si;

	proc_pidfd_kill(c->pidfd, SIGKILL);
	while (waitid(P_PIDFD, (id_t)c->pidfd, &si, WEXITED) < 0 && errno == EINTR)
		;
}

static int join_cgroup(int cgroup_fd, pid_t pid)
{
	char text[16];
	int r;

	snprintf(text, sizeof(text), "%d", pid);
	r = file_write(cgroup_fd, "cgroup.procs", text);
	return r < 0 ? err(r, "cannot enter the cgroup: %s", strerror(-r)) : 0;
}

static int map_ids(pid_t pid, const struct plan *p)
{
	const struct ctr_spec *s = p->spec;
	const struct ctr_idmap uids = { 0, s->uid_base, s->id_count };
	const struct ctr_idmap gids = { 0, s->gid_base, s->id_count };
	const struct ctr_namespace *n;

	if (p->join >= 0)
		return 0;
	if (!p->given)
		return s->userns ? ctr_map_ids(pid, &uids, 1, &gids, 1) : 0;
	n = given_namespace(p->given, CLONE_NEWUSER);
	return n && n->fd < 0 ? ctr_map_ids(pid, p->given->uids, p->given->nuids, p->given->gids,
					    p->given->ngids) :
				0;
}

/* What has to be done to the child from outside, then its go. */
static int admit(struct ctr *c, const struct plan *p, bool joined)
{
	const struct ctr_spec *s = p->spec;
	int r = 0;

	if (!joined)
		r = join_cgroup(s->cgroup_fd, c->pid);
	if (r >= 0)
		r = map_ids(c->pid, p);
	if (r >= 0 && s->enter)
		r = s->enter(s->enter_ctx, c->pid);
	if (r >= 0)
		r = report_send(c->sock, 0, -1);
	return r;
}

/* The child says that it is in its namespaces, and waits. */
static int entered(struct ctr *c, const struct ctr_given *g)
{
	int r = report_recv(c->sock, NULL);

	if (r >= 0)
		r = g->entered(g->ctx, c->pid);
	return r < 0 ? r : report_send(c->sock, 0, -1);
}

static int ready(struct ctr *c)
{
	int r = report_recv(c->sock, &c->console);

	return r == -ECHILD ? err(r, "the container's process ended before it was ready") : r;
}

/* The pid namespace to be born into, -1 = ours or a new one. */
static int pid_namespace(const struct plan *p)
{
	const struct ctr_namespace *n = p->given ? given_namespace(p->given, CLONE_NEWPID) : NULL;

	if (p->join >= 0)
		return !p->given || n ? p->join : -1;
	return n ? n->fd : -1;
}

/* Leaves c->pid 0 in the child. */
static int clone_ctr(struct ctr *c, const struct plan *p, int peer, bool *ret_joined)
{
	struct join j = { .own = -1 };
	int pidns = pid_namespace(p), time = -1, r, e = 0;

	r = p->given && p->join < 0 ? given_clone_begin(p->given, &time) : 0;
	if (r >= 0 && pidns >= 0)
		r = join_begin(&j, pidns);
	if (r >= 0) {
		c->pid = p->through ? given_clone_through(p, c->sock, peer, &c->pidfd) :
				      clone_child(p, &c->pidfd, ret_joined);
		if (!c->pid)
			return 0;
		*ret_joined = p->spec->cgroup_fd < 0 || (*ret_joined && !p->through);
		r = c->pid < 0 ? c->pid : 0;
	}
	if (pidns >= 0)
		e = join_end(&j);
	if (e >= 0)
		e = given_clone_end(time);
	if (r >= 0 && e < 0)
		reap(c);
	return r < 0 ? r : e;
}

static int launch(struct ctr *c, struct plan *p)
{
	int pair[2], r;
	bool joined = true;

	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return err_sys("cannot create a socket");
	c->sock = pair[0];
	if (pair[0] <= STDERR_FILENO || pair[1] <= STDERR_FILENO) {
		fd_close(pair[1]);
		return err(-EBADF, "descriptors 0, 1 and 2 must be open");
	}
	r = clone_ctr(c, p, pair[1], &joined);
	/* Known to both sides: a cgroup that refused the clone makes the child wait, too. */
	p->wait = p->wait || !joined;
	if (r >= 0 && !c->pid) {
		close(pair[0]);
		child_main(p, pair[1]);
	}
	fd_close(pair[1]);
	if (r < 0)
		return r;
	if (p->wait)
		r = admit(c, p, joined);
	if (r >= 0 && p->given && p->given->entered && p->join < 0)
		r = entered(c, p->given);
	if (r >= 0)
		r = ready(c);
	if (r < 0)
		reap(c);
	return r;
}

static int create(const struct ctr_spec *spec, int join, struct ctr **ret)
{
	struct ctr *c = new0(struct ctr);
	struct plan p;
	int r;

	if (!c)
		return -ENOMEM;
	c->pidfd = c->sock = c->console = -1;
	r = plan_init(&p, spec, join);
	if (r >= 0)
		r = launch(c, &p);
	plan_done(&p);
	if (r < 0) {
		ctr_free(c);
		return r;
	}
	*ret = c;
	return 0;
}

int ctr_create(const struct ctr_spec *spec, struct ctr **ret)
{
	return create(spec, -1, ret);
}

int ctr_exec(int pidfd, const struct ctr_spec *spec, struct ctr **ret)
{
	return pidfd < 0 ? -EBADF : create(spec, pidfd, ret);
}

static int let_go(int sock)
{
	int r = report_send(sock, 0, -1);

	return r < 0 ? r : report_recv(sock, NULL);
}

int ctr_start_at(int conn)
{
	int r = let_go(conn);

	if (r == -EPIPE || r == -ECONNRESET) {
		err_clear();
		return -EPIPE;
	}
	return r == -ECHILD ? 0 : r;
}

int ctr_start(struct ctr *c)
{
	int r;

	if (c->sock < 0)
		return err(-EALREADY, "the container is started");
	r = let_go(c->sock);
	c->sock = fd_close(c->sock);
	/*
	 * Its end of the socket closed: by execve, or because it was killed, which its exit status
	 * tells.
	 */
	if (r == -ECHILD || r == -EPIPE || r == -ECONNRESET) {
		err_clear();
		return 0;
	}
	return r;
}

pid_t ctr_pid(const struct ctr *c)
{
	return c->pid;
}

int ctr_pidfd(const struct ctr *c)
{
	return c->pidfd;
}

int ctr_console(const struct ctr *c)
{
	return c->console;
}

void ctr_free(struct ctr *c)
{
	if (!c)
		return;
	fd_close(c->sock);
	fd_close(c->pidfd);
	fd_close(c->console);
	free(c);
}

void ctr_abort(struct ctr *c)
{
	reap(c);
	ctr_free(c);
}
