/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The child, from clone to execve: a list of steps, any of which may fail with an error that goes
 * to the parent.
 *
 * Overwriting the runtime through /proc/self/exe (CVE-2019-5736): an image can make us execute
 * ourselves inside it (a script with "#!/proc/self/exe"). In a new container this program is then
 * alone, and nothing of the image runs beside it to keep hold of it; who joins one that runs must
 * come from a read-only mount (program.c). Until execve we are not dumpable, so /proc/PID/exe and
 * fd are shut for others.
 */
#include "container/inner.h"

#include "base/fd.h"
#include "base/mem.h"
#include "container/seccomp.h"
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

/*
 * What a shell, nohup(1) or our own programs leave ignored; handlers end with execve by themselves.
 */
static const int ignored[] = {
	SIGHUP,	 SIGINT,  SIGQUIT, SIGPIPE, SIGCHLD, SIGTSTP,
	SIGTTIN, SIGTTOU, SIGXFSZ, 32,	    33, /* the C library's own, which perl leaves ignored */
};

/* The kernel's struct sigaction: the C library's calls refuse its own signals. */
struct kernel_sigaction {
	void *handler;
	unsigned long flags;
	void *restorer;
	uint64_t mask;
};

static int reset_signals(struct child *c _unused_)
{
	const struct kernel_sigaction dfl = { 0 };
	sigset_t none;

	for (size_t i = 0; i < ARRAY_SIZE(ignored); i++)
		syscall(SYS_rt_sigaction, ignored[i], &dfl, NULL, sizeof(dfl.mask));
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	return 0;
}

/*
 * The parent's go, when it has something to do first. Its end closed: it is dead, and so is the
 * container.
 */
static int wait_for_go(struct child *c)
{
	return c->plan->wait ? report_recv(c->sock, NULL) : 0;
}

static int become_root(struct child *c)
{
	return c->spec->userns ? userns_become_root() : 0;
}

/* Here and not in clone's flags: its root is the cgroup that we were put into since. */
static int new_cgroup_namespace(struct child *c _unused_)
{
	if (unshare(CLONE_NEWCGROUP) < 0)
		return err_sys("cannot create a cgroup namespace");
	return 0;
}

static int set_process(struct child *c)
{
	const char *name = c->spec->hostname;

	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	umask(022);
	if (setsid() < 0)
		return err_sys("cannot create a session");
	if (c->plan->join < 0 && name && sethostname(name, strlen(name)) < 0)
		return err_sys("cannot set the host name %s", name);
	/*
	 * The host's session keyring would be ours; seccomp's profile allows no keyctl(2) to get at
	 * it.
	 */
	if (!c->spec->seccomp)
		syscall(SYS_keyctl, 1 /* KEYCTL_JOIN_SESSION_KEYRING */, NULL, 0, 0, 0);
	return 0;
}

static int set_network(struct child *c)
{
	if (c->spec->network == CTR_NETWORK_JOIN && setns(c->spec->netns, CLONE_NEWNET) < 0)
		return err_sys("cannot enter the network namespace");
	return c->spec->network == CTR_NETWORK_HOST ? 0 : net_loopback_up();
}

static int find_user(struct child *c)
{
	return user_find(c->root, c->spec->user, &c->user);
}

static int pivot(struct child *c)
{
	/* The old root then lies on top of the new one: umount takes it (pivot_root(2), NOTES). */
	if (fchdir(c->root) < 0 || syscall(SYS_pivot_root, ".", ".") < 0 ||
	    umount2(".", MNT_DETACH) < 0)
		return err_sys("cannot pivot onto the root");
	return 0;
}

/* Limits first: what came before may need more than they leave. */
static int restrict_self(struct child *c)
{
	int r = rlimit_apply(c->spec);

	if (r >= 0)
		r = caps_drop_bounding(c->spec->caps);
	if (r < 0)
		return r;
	if (c->spec->no_new_privs && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return err_sys("cannot set no_new_privs");
	/* Before the capabilities go: without no_new_privs it takes CAP_SYS_ADMIN. */
	return c->spec->seccomp ? seccomp_load(c->spec->caps) : 0;
}

/*
 * Killed, the caller takes the container along. After the last change of ids, which would undo it;
 * a caller that is gone already shows as the end of the socket, before execve.
 */
static int die_with_parent(struct child *c _unused_)
{
	return prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 ? err_sys("cannot follow the parent's death") :
						      0;
}

static int (*const steps[])(struct child *) = {
	reset_signals, wait_for_go, become_root,  new_cgroup_namespace,
	set_process,   set_network, mounts_setup, find_user,
	env_setup,     cwd_make,    pivot,	  stdio_setup,
	restrict_self, user_become, cwd_enter,	  die_with_parent,
};

static int (*const join_steps[])(struct child *) = {
	reset_signals, wait_for_go, join_container,  become_root, set_process,
	join_tty,      find_user,   env_setup,	     stdio_setup, restrict_self,
	user_become,   cwd_enter,   die_with_parent,
};

static int run_steps(struct child *c)
{
	bool join = c->plan->join >= 0;
	size_t n = join ? ARRAY_SIZE(join_steps) : ARRAY_SIZE(steps);

	for (size_t i = 0; i < n; i++) {
		int r = (join ? join_steps : steps)[i](c);

		if (r < 0)
			return r;
	}
	return 0;
}

/* What the shell and docker say for a command that did not run. */
static int exit_code(int r)
{
	return r == -ENOENT ? 127 : r == -EACCES ? 126 : 125;
}

_Noreturn void child_main(const struct plan *p, int sock)
{
	struct child c = {
		.plan = p,
		.spec = p->spec,
		.sock = sock,
		.root = p->root,
		.proc = -1,
		.sys = -1,
		.dev = -1,
		.master = -1,
		.slave = -1,
	};
	int r = run_steps(&c);

	if (r >= 0)
		r = report_send(sock, 0, c.master);
	if (r >= 0)
		r = report_recv(sock, NULL);
	/* Everything beyond the standard three ends with execve; the socket does so in any case. */
	if (r >= 0 && close_range(STDERR_FILENO + 1, ~0u, CLOSE_RANGE_CLOEXEC) < 0)
		r = err_sys("cannot close foreign descriptors");
	if (r >= 0)
		r = exec_command(&c);
	if (r != -ECHILD)
		report_send(sock, r, -1);
	_exit(exit_code(r));
}
