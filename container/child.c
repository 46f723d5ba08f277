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
#include "base/str.h"
#include "container/seccomp.h"
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
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

static int new_keyring(void)
{
	syscall(SYS_keyctl, 1 /* KEYCTL_JOIN_SESSION_KEYRING */, NULL, 0, 0, 0);
	return 0;
}

/* Shut for others until the command runs, and leader of a session. */
static int close_process(struct child *c)
{
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	umask(022);
	if (setsid() < 0)
		return err_sys("cannot create a session");
	return c->spec->given && c->spec->given->new_keyring ? new_keyring() : 0;
}

static int set_process(struct child *c)
{
	const char *name = c->spec->hostname;
	int r = close_process(c);

	if (r < 0)
		return r;
	if (c->plan->join < 0 && name && sethostname(name, strlen(name)) < 0)
		return err_sys("cannot set the host name %s", name);
	/*
	 * The host's session keyring would be ours; seccomp's profile allows no keyctl(2) to get at
	 * it.
	 */
	return c->spec->seccomp ? 0 : new_keyring();
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
	if (c->spec->given && c->spec->given->no_pivot) {
		if (fchdir(c->root) < 0 || chroot(".") < 0)
			return err_sys("cannot change the root");
		return 0;
	}
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
	return c->spec->seccomp ? seccomp_load_default(c->spec->caps) : 0;
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

static int propagate_root(struct child *c)
{
	unsigned long p = c->spec->given->root_propagation;

	return p && mount(NULL, "/", NULL, p, NULL) < 0 ?
		       err_sys("cannot set the propagation of the root") :
		       0;
}

/* The ids are said; passwd is asked for a home alone. */
static int given_user(struct child *c)
{
	char uid[16];

	snprintf(uid, sizeof(uid), "%u", c->spec->given->uid);
	c->user.uid = c->spec->given->uid;
	return strv_getenv((char *const *)c->spec->env, "HOME") ? 0 :
								  user_find(c->root, uid, &c->user);
}

static int (*const given_steps[])(struct child *) = {
	reset_signals,	wait_for_go,  close_process, given_enter,    given_mounts_setup,
	given_user,	env_setup,    pivot,	     propagate_root, stdio_setup,
	given_restrict, given_become, cwd_enter,     exec_find,
};

static int (*const given_join_steps[])(struct child *) = {
	reset_signals, wait_for_go, close_process,  join_container, join_tty,  given_user,
	env_setup,     stdio_setup, given_restrict, given_become,   cwd_enter, exec_find,
};

static int run_steps(struct child *c)
{
	static const struct {
		int (*const *steps)(struct child *);
		size_t n;
	} lists[2][2] = {
		{ { steps, ARRAY_SIZE(steps) }, { join_steps, ARRAY_SIZE(join_steps) } },
		{ { given_steps, ARRAY_SIZE(given_steps) },
		  { given_join_steps, ARRAY_SIZE(given_join_steps) } },
	};
	bool given = c->spec->given, join = c->plan->join >= 0;

	for (size_t i = 0; i < lists[given][join].n; i++) {
		int (*step)(struct child *) = lists[given][join].steps[i];
		int r = step(c);

		/* ENOENT and EACCES speak of the command (exit codes 127 and 126). */
		if (given && step != exec_find && (r == -ENOENT || r == -EACCES))
			r = err(-EIO, "%s", strerror(-r));
		if (r < 0)
			return r;
	}
	return 0;
}

/*
 * Who let us be made may be gone: who comes to the gate says go, and hears of a failure. One who
 * comes and is killed leaves nothing that could be started again.
 */
static int wait_at_gate(struct child *c)
{
	int conn = accept4(c->spec->given->gate, NULL, NULL, SOCK_CLOEXEC);

	if (conn < 0)
		return err_sys("cannot wait for the start");
	fd_close(c->sock);
	c->sock = conn;
	return report_recv(conn, NULL);
}

static int wait_for_start(struct child *c)
{
	const struct ctr_given *g = c->spec->given;
	int r = g && g->gate >= 0 && c->plan->join < 0 ? wait_at_gate(c) :
							 report_recv(c->sock, NULL);

	return r < 0 || !g || !g->starting ? r : g->starting(g->ctx);
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
	unsigned keep = c.spec->given ? c.spec->given->preserve_fds : 0;
	int r = run_steps(&c);

	if (r >= 0)
		r = report_send(c.sock, 0, c.master);
	if (r >= 0)
		r = wait_for_start(&c);
	/* Everything beyond the standard three ends with execve; the socket does so in any case. */
	if (r >= 0 && close_range(STDERR_FILENO + 1 + keep, ~0u, CLOSE_RANGE_CLOEXEC) < 0)
		r = err_sys("cannot close foreign descriptors");
	if (r >= 0 && c.spec->given)
		r = given_finish(&c);
	if (r >= 0)
		r = exec_command(&c);
	if (r != -ECHILD)
		report_send(c.sock, r, -1);
	_exit(exit_code(r));
}
