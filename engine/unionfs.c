/* SPDX-License-Identifier: Apache-2.0 */
/*
 * strata-unionfs: directories as a union, mounted by overlayfs' options. It mounts, then serves in
 * the background; whoever started it finds the mount there when it returns.
 */
#include "base/err.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/str.h"
#include "engine/engine.h"
#include "engine/union_mount.h"
#include "engine/union_options.h"

#include <linux/close_range.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>

#define THREADS_MAX 8

struct union_program {
	struct union_options o;
	struct ufs_config cfg;
	struct ufs_lower *lowers;
	struct ufs *u;
	int fuse;
};

/* ---- what the options say, opened ---- */

static int open_dir(const char *option, const char *path, int *ret)
{
	int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return err_sys("%s=%s", option, path);
	*ret = fd;
	return 0;
}

/* A top that nobody may change is the topmost lower. */
static int upper_becomes_lower(struct union_options *o)
{
	_strv_free_ char **all = NULL;
	int e = strv_add(&all, o->upper);

	for (char **s = o->lowers; !e && s && *s; s++)
		e = strv_add(&all, *s);
	if (e)
		return e;
	strv_free(o->lowers);
	o->lowers = take_ptr(all);
	free(take_ptr(o->upper));
	return 0;
}

static int open_lowers(struct union_program *p)
{
	size_t n = strv_len(p->o.lowers);
	int e = 0;

	p->lowers = mem_new(n, sizeof(*p->lowers));
	if (!p->lowers)
		return -ENOMEM;
	p->cfg.lowers = p->lowers;
	for (; !e && p->cfg.nlowers < n; p->cfg.nlowers++) {
		struct ufs_lower *l = &p->lowers[p->cfg.nlowers];

		l->kind = UFS_LOWER_DIR;
		e = open_dir("lowerdir", p->o.lowers[p->cfg.nlowers], &l->fd);
		if (e)
			break;
	}
	return e;
}

/* trusted.* is for CAP_SYS_ADMIN of the first user namespace alone. */
static bool may_set_trusted(int work)
{
	const char *probe = "trusted.strata.probe";

	if (fsetxattr(work, probe, "", 0, 0) < 0)
		return false;
	fremovexattr(work, probe);
	return true;
}

static int open_top(struct union_program *p)
{
	int e = open_dir("upperdir", p->o.upper, &p->cfg.upper_fd);

	if (!e)
		e = open_dir("workdir", p->o.work, &p->cfg.work_fd);
	if (e)
		return e;
	p->cfg.upper = UFS_UPPER_NATIVE;
	p->cfg.userxattr = p->o.userxattr || !may_set_trusted(p->cfg.work_fd);
	return 0;
}

static struct ufs_ids ids_of(const struct union_ids *ids)
{
	return (struct ufs_ids){ ids->ranges, ids->n, ids->squash, ids->squashed };
}

#define BUSY_TRIES 500
#define BUSY_PAUSE 10000 /* microseconds: 5 s together */

/*
 * A mount that was just taken away is served a little longer than umount(2) takes: what is in use
 * then may be free soon.
 */
static int begin_union(struct union_program *p)
{
	int e = ufs_new(&p->cfg, &p->u);

	for (int i = 0; e == -EBUSY && i < BUSY_TRIES; i++) {
		err_clear();
		usleep(BUSY_PAUSE);
		e = ufs_new(&p->cfg, &p->u);
	}
	return e;
}

static int open_union(struct union_program *p)
{
	struct union_options *o = &p->o;
	int e = o->rdonly && o->upper ? upper_becomes_lower(o) : 0;

	p->cfg = (struct ufs_config){
		.upper = UFS_UPPER_NONE,
		.upper_fd = -1,
		.work_fd = -1,
		.metacopy = o->metacopy,
		.redirect = o->redirect,
		.foreign = true,
		.is_volatile = o->is_volatile,
		.uids = ids_of(&o->uids),
		.gids = ids_of(&o->gids),
		.size = o->size,
		.noacl = o->noacl,
		.static_nlink = o->static_nlink,
		.timeout = o->has_timeout ? &o->timeout : NULL,
	};
	o->rdonly = !o->upper;
	if (!e)
		e = open_lowers(p);
	if (!e && o->upper)
		e = open_top(p);
	return e ? e : begin_union(p);
}

static void close_all(struct union_program *p)
{
	ufs_free(p->u);
	for (size_t i = 0; i < p->cfg.nlowers; i++)
		fd_close(p->lowers[i].fd);
	free(p->lowers);
	if (p->o.upper) {
		fd_close(p->cfg.upper_fd);
		fd_close(p->cfg.work_fd);
	}
	fd_close(p->fuse);
	union_options_done(&p->o);
}

/* ---- serving ---- */

static int count_threads(const struct union_options *o)
{
	cpu_set_t cpus;

	if (o->single)
		return 1;
	if (sched_getaffinity(0, sizeof(cpus), &cpus) < 0)
		return 2;
	/* One more than can run at once: it may wait for a disk. */
	return MIN(CPU_COUNT(&cpus) + 1, THREADS_MAX);
}

static void ending_signals(sigset_t *ret)
{
	sigemptyset(ret);
	sigaddset(ret, SIGTERM);
	sigaddset(ret, SIGINT);
	sigaddset(ret, SIGHUP);
}

/* Told to end: the mount goes, and the serving threads end when it is gone. */
static void *wait_for_signal(void *arg)
{
	const char *path = arg;
	sigset_t set;
	int sig;

	ending_signals(&set);
	if (sigwait(&set, &sig) == 0)
		union_unmount(path);
	return NULL;
}

/* In the background: of the caller's world only the mount is left. */
static int leave_caller(void)
{
	_close_ int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null < 0 || setsid() < 0 || chdir("/") < 0)
		return err_sys("serve");
	for (int fd = 0; fd <= STDERR_FILENO; fd++) {
		if (dup2(null, fd) < 0)
			return err_sys("serve");
	}
	return 0;
}

static int serve(struct union_program *p, bool background)
{
	pthread_t waiter;
	int e = background ? leave_caller() : 0;

	if (!e)
		e = -pthread_create(&waiter, NULL, wait_for_signal, p->o.mountpoint);
	if (e) {
		union_unmount(p->o.mountpoint);
		return e;
	}
	e = ufs_fuse_serve(p->u, p->fuse, count_threads(&p->o), NULL);
	pthread_cancel(waiter);
	pthread_join(waiter, NULL);
	return e;
}

/* The union is there and mounted: nothing of it is lost by a fork, and threads begin after it. */
static int serve_apart(struct union_program *p)
{
	pid_t pid;

	if (p->o.foreground)
		return serve(p, false);
	pid = fork();
	if (pid < 0) {
		union_unmount(p->o.mountpoint);
		return err_sys("serve: fork");
	}
	if (pid)
		_exit(0);
	return serve(p, true);
}

/* An absolute path: the server leaves the folder that it was started in. */
static int resolve_mountpoint(struct union_options *o)
{
	char *path = realpath(o->mountpoint, NULL);

	if (!path)
		return err_sys("%s", o->mountpoint);
	free(o->mountpoint);
	o->mountpoint = path;
	return 0;
}

static void raise_limit(void)
{
	struct rlimit l;

	if (getrlimit(RLIMIT_NOFILE, &l) == 0) {
		l.rlim_cur = l.rlim_max;
		setrlimit(RLIMIT_NOFILE, &l);
	}
}

static int run(struct union_program *p)
{
	int e = resolve_mountpoint(&p->o);
	sigset_t set;

	if (!e)
		e = open_union(p);
	/* From here on there is a mount to take away: wait_for_signal(). */
	ending_signals(&set);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	if (!e)
		e = union_mount(&p->o, &p->fuse);
	return e ? e : serve_apart(p);
}

enum unionfs_asked unionfs_main(int argc, char **argv, int *ret_status)
{
	struct union_program p = { .cfg = { .upper_fd = -1, .work_fd = -1 }, .fuse = -1 };
	int e;

	log_setup("strata-unionfs", STDERR_FILENO, LOG_WARN);
	/* What the caller left open is not ours to keep open. */
	syscall(SYS_close_range, STDERR_FILENO + 1, ~0u, 0);
	umask(0);
	raise_limit();
	*ret_status = 2;
	e = union_options_parse(argc, argv, &p.o);
	if (!e && (p.o.help || p.o.version)) {
		bool help = p.o.help;

		union_options_done(&p.o);
		*ret_status = 0;
		return help ? UNIONFS_HELP : UNIONFS_VERSION;
	}
	if (!e) {
		if (p.o.debug)
			log_setup("strata-unionfs", STDERR_FILENO, LOG_DEBUG);
		*ret_status = 1;
		e = run(&p);
	}
	if (e)
		log_err("%s", err_take(e));
	else
		*ret_status = 0;
	close_all(&p);
	return UNIONFS_DONE;
}
