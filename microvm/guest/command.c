/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Starts the command: a child in a session of its own, with its files, ids, limits and working
 * directory. It keeps all capabilities unless it was said otherwise: it is the VM that holds it.
 */
#include "microvm/guest/init.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

/* The command's three files and, with a terminal, that it is one. */
struct files {
	int fd[3];
	bool tty;
};

/* What the child was at when it failed; an error of 0: it was executed, or killed before. */
enum stage { STAGE_FILES, STAGE_IDS, STAGE_CWD, STAGE_EXEC };
struct report {
	int error;
	enum stage stage;
};

/* Of a child, which shares our memory until it is executed. */
struct birth {
	const struct config *config;
	const struct user *user;
	const struct files *files;
	struct report report;
};

#define CHILD_STACK (64u << 10) /* PATH_MAX and what printf() takes, by far */

/* ---- files ---- */

static int tty_open(const struct config *c, struct command *ret, struct files *files)
{
	struct winsize size = { .ws_row = c->size.rows, .ws_col = c->size.cols };
	int master = posix_openpt(O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC), slave;

	if (master < 0 || unlockpt(master) < 0)
		return failing(-errno, "terminal");
	slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (slave < 0)
		return failing(-errno, "terminal");
	if (size.ws_row || size.ws_col)
		ioctl(master, TIOCSWINSZ, &size);
	*files = (struct files){ { slave, slave, slave }, true };
	ret->in = ret->out = master;
	return 0;
}

/* A pipe with one end for us, which does not block. */
static int pipe_open(bool to_child, int *ret_child, int *ret_ours)
{
	int fds[2];

	if (pipe2(fds, O_CLOEXEC) < 0)
		return failing(-errno, "pipe");
	*ret_child = fds[!to_child];
	*ret_ours = fds[to_child];
	return fcntl(*ret_ours, F_SETFL, O_NONBLOCK) < 0 ? -errno : 0;
}

static int pipes_open(const struct config *c, struct command *ret, struct files *files)
{
	int r = 0;

	*files = (struct files){ { -1, -1, -1 }, false };
	if (c->flags & GUEST_FLAG_STDIN)
		r = pipe_open(true, &files->fd[0], &ret->in);
	else
		files->fd[0] = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (r == 0)
		r = pipe_open(false, &files->fd[1], &ret->out);
	if (r == 0)
		r = pipe_open(false, &files->fd[2], &ret->err);
	return r;
}

static void files_close(const struct files *f)
{
	for (unsigned i = 0; i < (f->tty ? 1 : 3); i++)
		close(f->fd[i]);
}

/* ---- limits ---- */

#define CGROUP_ROOT "/sys/fs/cgroup"
#define CGROUP	    CGROUP_ROOT "/command"

static int write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC), r = 0;

	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) < 0)
		r = -errno;
	close(fd);
	return r;
}

/* The group that the command will join, when it has a limit. */
static int cgroup_make(const struct config *c)
{
	char max[16];
	int r;

	if (!c->pids)
		return 0;
	snprintf(max, sizeof(max), "%u", c->pids);
	r = write_file(CGROUP_ROOT "/cgroup.subtree_control", "+pids");
	if (r == 0 && mkdir(CGROUP, 0755) < 0 && errno != EEXIST)
		r = -errno;
	if (r == 0)
		r = write_file(CGROUP "/pids.max", max);
	return r < 0 ? failing(r, "limit of processes") : 0;
}

/* ---- the child ---- */

/*
 * Init itself has no standard streams, so its numbers may be the ones that the child's are to have:
 * all above them first, or one would take another's place, or keep its own and be closed by exec.
 */
static int child_files(const struct files *f, const struct user *u)
{
	int fd[3];

	setsid();
	if (f->tty && ioctl(f->fd[0], TIOCSCTTY, 0) < 0)
		return -errno;
	for (int i = 0; i < 3; i++) {
		fd[i] = fcntl(f->fd[i], F_DUPFD_CLOEXEC, 3);
		if (fd[i] < 0)
			return -errno;
	}
	for (int i = 0; i < 3; i++) {
		struct stat st;

		/*
		 * So that whoever the command runs as may open /dev/stdout again. Not /dev/null,
		 * which is everybody's.
		 */
		if (fstat(fd[i], &st) < 0 ||
		    ((f->tty || S_ISFIFO(st.st_mode)) && fchown(fd[i], u->uid, (gid_t)-1) < 0))
			return -errno;
		if (dup2(fd[i], i) < 0)
			return -errno;
	}
	return 0;
}

/* While they are all there; what an exec gives is bounded by it. */
static int drop_bounding(uint64_t caps)
{
	for (int cap = 0; cap < 64; cap++) {
		if (!(caps >> cap & 1))
			continue;
		if (prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) < 0)
			return errno == EINVAL ? 0 : -errno; /* the kernel has no more */
	}
	return 0;
}

/* Of root; another user has none left by now. */
static int drop_caps(uint64_t caps)
{
	struct __user_cap_header_struct h = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct d[2];

	if (syscall(SYS_capget, &h, d) < 0)
		return -errno;
	for (int i = 0; i < 2; i++) {
		d[i].permitted &= ~(uint32_t)(caps >> 32 * i);
		d[i].effective = d[i].permitted;
		d[i].inheritable = 0;
	}
	return syscall(SYS_capset, &h, d) < 0 ? -errno : 0;
}

static int child_ids(const struct config *c, const struct user *u)
{
	int r = c->pids ? write_file(CGROUP "/cgroup.procs", "0") : 0;

	if (r < 0)
		return r;
	for (unsigned i = 0; i < c->nrlimits; i++) {
		struct rlimit l = { c->rlimits[i].soft, c->rlimits[i].hard };

		if (setrlimit((int)c->rlimits[i].resource, &l) < 0)
			return -errno;
	}
	r = drop_bounding(c->caps_drop);
	if (r < 0)
		return r;
	if (setgroups(u->ngroups, u->groups) < 0 || setresgid(u->gid, u->gid, u->gid) < 0 ||
	    setresuid(u->uid, u->uid, u->uid) < 0)
		return -errno;
	return c->caps_drop ? drop_caps(c->caps_drop) : 0;
}

/* Along PATH; that a file may not be executed is told before that none is there. */
static int child_exec(const struct config *c)
{
	const char *path = config_getenv(c, "PATH"), *command = c->argv[0];
	int denied = 0;
	char file[4096];

	if (strchr(command, '/') || !*command) {
		execve(command, c->argv, c->env);
		return -errno;
	}
	for (path = path ? path : DEFAULT_PATH; path;
	     path = strchr(path, ':') ? strchr(path, ':') + 1 : NULL) {
		int len = (int)strcspn(path, ":");

		if (snprintf(file, sizeof(file), "%.*s/%s", len ? len : 1, len ? path : ".",
			     command) >= (int)sizeof(file))
			continue;
		execve(file, c->argv, c->env);
		if (errno == EACCES)
			denied = -EACCES;
		else if (errno != ENOENT && errno != ENOTDIR)
			return -errno;
	}
	return denied ? denied : -ENOENT;
}

/*
 * Begins with our signals, which are all blocked, so that no handler of anybody's runs in our
 * memory; leaves nothing there but the report.
 */
static int child(void *arg)
{
	struct birth *b = arg;
	struct report *report = &b->report;
	const struct config *c = b->config;
	sigset_t none;

	machine_drop();
	report->stage = STAGE_FILES;
	report->error = child_files(b->files, b->user);
	if (report->error == 0) {
		report->stage = STAGE_IDS;
		report->error = child_ids(c, b->user);
	}
	if (report->error == 0) {
		report->stage = STAGE_CWD;
		report->error = chdir(c->cwd && *c->cwd ? c->cwd : "/") < 0 ? -errno : 0;
	}
	if (report->error == 0) {
		report->stage = STAGE_EXEC;
		signal(SIGPIPE, SIG_DFL);
		sigemptyset(&none);
		sigprocmask(SIG_SETMASK, &none, NULL);
		report->error = child_exec(c);
	}
	_exit(127);
}

/* ---- the parent ---- */

/* In a container's words. */
static int exec_failed(const char *command, int e)
{
	bool path = strchr(command, '/');

	if (e == -ENOTDIR)
		e = -ENOENT;
	if (e == -ENOENT || e == -EACCES)
		failing_status = e == -ENOENT ? 127 : 126;
	if (e == -ENOENT)
		failing_why = path ? "no such file or directory" :
				     "executable file not found in $PATH";
	else if (e == -EACCES)
		failing_why = "permission denied";
	else if (e == -ENOEXEC)
		failing_why = "exec format error";
	return failing(e, "exec \"%s\"", command);
}

static int failed(const struct config *c, const struct report *r)
{
	switch (r->stage) {
	case STAGE_FILES:
		return failing(r->error, "files of the command");
	case STAGE_IDS:
		return failing(r->error, "ids and limits of the command");
	case STAGE_CWD:
		return failing(r->error, "cannot enter the working directory %s", c->cwd);
	default:
		return exec_failed(c->argv[0], r->error);
	}
}

/* What is not said: HOME, and a working directory that is not there (docker makes it). */
static int defaults(struct config *c, const struct user *u)
{
	int r = 0;

	if (!config_getenv(c, "HOME"))
		r = config_addenv(c, "HOME", u->home);
	if (r == 0 && c->cwd && c->cwd[0] == '/')
		r = mkdirs(c->cwd, 0755);
	return r < 0 ? failing(r, "cannot make the working directory %s", c->cwd ? c->cwd : "") : 0;
}

/*
 * As vfork(2) does: nothing of us is copied, and we stand still until the child is executed or has
 * failed. With a stack of its own it may call functions as it likes.
 */
static int give_birth(struct birth *b, pid_t *ret)
{
	static uint8_t stack[CHILD_STACK] __attribute__((aligned(16)));

	*ret = clone(child, stack + sizeof(stack), CLONE_VM | CLONE_VFORK | SIGCHLD, b);
	if (*ret < 0)
		return failing(-errno, "fork");
	if (b->report.error == 0)
		return 0;
	waitpid(*ret, NULL, 0);
	return failed(b->config, &b->report);
}

int command_start(struct config *c, struct command *ret)
{
	struct files files = { { -1, -1, -1 }, false };
	struct user user;
	struct birth birth = { .config = c, .user = &user, .files = &files };
	int r = user_find(c->user, &user);

	*ret = (struct command){ .in = -1, .out = -1, .err = -1 };
	if (r == 0)
		r = defaults(c, &user);
	if (r == 0)
		r = cgroup_make(c);
	if (r == 0)
		r = mounts_seal(c);
	if (r < 0)
		return r;
	r = c->flags & GUEST_FLAG_TTY ? tty_open(c, ret, &files) : pipes_open(c, ret, &files);
	if (r < 0)
		return r;
	r = give_birth(&birth, &ret->pid);
	files_close(&files);
	return r;
}
