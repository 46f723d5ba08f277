/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A runroot of its own per test, and an isolation that isolates nothing: a shell script in a child.
 */
#ifndef TESTS_RUNTIME_FIXTURE_H
#define TESTS_RUNTIME_FIXTURE_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/proc.h"
#include "base/str.h"
#include "runtime/runtime.h"
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

struct fixture {
	char path[64];
	int runroot;
};

static inline int setup(void **state)
{
	struct fixture *f = new0(struct fixture);

	snprintf(f->path, sizeof(f->path), "/tmp/strata-runtime-XXXXXX");
	assert_non_null(mkdtemp(f->path));
	f->runroot = open(f->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_true(f->runroot >= 0);
	*state = f;
	return 0;
}

static inline int teardown(void **state)
{
	struct fixture *f = *state;

	fd_close(f->runroot);
	assert_int_equal(fd_remove_tree(AT_FDCWD, f->path), 0);
	free(f);
	err_clear();
	return 0;
}

static inline struct inst *make_inst(struct fixture *f, const char *id, const char *name)
{
	_json_ json_t *config = json_pack("{s:s*, s:s}", "name", name, "image", "test");
	struct inst *i = NULL;

	assert_int_equal(inst_create(f->runroot, id, config, &i), 0);
	return i;
}

/* ---- an isolation that runs a script ---- */

struct script {
	const char *text;
	bool tty, fail_create, fail_start;
	int go; /* closed: the child execs */
	struct run_process process;
	int cleanups;
	struct inst *remove; /* by finished() */
};

static inline void script_child(const struct script *s, const int stdio[3], int slave, int go)
{
	sigset_t none;
	char c;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (slave >= 0) {
		setsid();
		ioctl(slave, TIOCSCTTY, 0);
	}
	for (int i = 0; i < 3; i++) {
		int fd = slave >= 0 ? slave : stdio[i] >= 0 ? stdio[i] : open("/dev/null", O_RDWR);

		dup2(fd, i);
	}
	if (read(go, &c, 1) != 0)
		_exit(99);
	close_range(3, ~0u, 0);
	execl("/bin/sh", "sh", "-c", s->text, (char *)NULL);
	_exit(127);
}

static inline int script_create(void *ctx, const int stdio[3], struct run_process *ret)
{
	struct script *s = ctx;
	int go[2], master = -1, slave = -1;
	pid_t pid;

	if (s->fail_create)
		return err(-EINVAL, "this one shall fail");
	if (s->tty) {
		int unlock = 0;

		master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
		ioctl(master, TIOCSPTLCK, &unlock);
		slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	}
	if (pipe2(go, O_CLOEXEC) < 0)
		return -errno;
	pid = fork();
	if (pid < 0)
		return -errno;
	if (pid == 0) {
		close(go[1]);
		script_child(s, stdio, slave, go[0]);
	}
	close(go[0]);
	fd_close(slave);
	s->go = go[1];
	s->process =
		(struct run_process){ .pid = pid, .pidfd = proc_pidfd(pid), .console = master };
	*ret = s->process;
	return 0;
}

static inline int script_start(void *ctx)
{
	struct script *s = ctx;

	if (s->fail_start)
		return err(-ENOENT, "executable file not found");
	s->go = fd_close(s->go);
	return 0;
}

static inline int script_kill(void *ctx, int sig)
{
	struct script *s = ctx;

	return proc_pidfd_kill(s->process.pidfd, sig);
}

static inline void script_cleanup(void *ctx)
{
	struct script *s = ctx;

	s->cleanups++;
	fd_close(s->go);
	fd_close(s->process.pidfd);
	fd_close(s->process.console);
}

static inline void script_finished(void *ctx)
{
	struct script *s = ctx;

	if (s->remove && inst_delete(s->remove) < 0)
		fprintf(stderr, "inst_delete: %s\n", err_take(-EIO));
}

_unused_ static const struct isolation script_isolation = {
	.create = script_create,
	.start = script_start,
	.kill = script_kill,
	.cleanup = script_cleanup,
};

/* ---- a supervisor in a process of its own ---- */

struct monitor {
	pid_t pid;
	int report; /* reading end */
};

struct monitor_options {
	bool logged, tty, fail_create, fail_start, rm;
	int stdio[3];
};

/* By options whose stdio is all -1 unless set. */
#define MONITOR_DETACHED                \
	{                               \
		.stdio = { -1, -1, -1 } \
	}

/* A forked monitor, unlike an execed one, still has the test's ends of all pipes. */
static inline void monitor_close_pipes(const struct monitor_options *o, int report)
{
	struct stat st;

	for (int fd = 3; fd < 256; fd++) {
		if (fd != report && fd != o->stdio[0] && fd != o->stdio[1] && fd != o->stdio[2] &&
		    fstat(fd, &st) == 0 && S_ISFIFO(st.st_mode))
			close(fd);
	}
}

static inline struct monitor monitor_start(struct inst *inst, const char *script,
					   struct monitor_options o)
{
	struct monitor m;
	int ends[2];

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	m.pid = fork();
	assert_true(m.pid >= 0);
	if (m.pid == 0) {
		struct script s = {
			.text = script,
			.tty = o.tty,
			.fail_create = o.fail_create,
			.fail_start = o.fail_start,
			.go = -1,
			.process = { .pidfd = -1, .console = -1 },
			.remove = o.rm ? inst : NULL,
		};
		struct supervise v = {
			.inst = inst,
			.iso = &script_isolation,
			.ctx = &s,
			.tty = o.tty,
			.logged = o.logged,
			.stdio = { o.stdio[0], o.stdio[1], o.stdio[2] },
			.report_fd = ends[1],
			.finished = script_finished,
			.finished_ctx = &s,
		};
		int r;

		monitor_close_pipes(&o, ends[1]);
		r = supervise(&v);
		if (s.cleanups != 1)
			_exit(251);
		_exit(r < 0 ? 250 : r);
	}
	close(ends[1]);
	m.report = ends[0];
	return m;
}

static inline struct run_report monitor_report(const struct monitor *m)
{
	struct run_report report = { .kind = -1 };

	fd_read_full(m->report, &report, sizeof(report));
	return report;
}

/* Waits for its end: its exit status. */
static inline int monitor_end(struct monitor *m)
{
	int status;

	fd_close(m->report);
	assert_int_equal(waitpid(m->pid, &status, 0), m->pid);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static inline struct inst_state state_of(const struct inst *i)
{
	struct inst_state s = { .status = INST_PAUSED };
	int r = inst_state(i, &s);

	if (r < 0)
		fail_msg("inst_state: %s", err_take(r));
	return s;
}

/* What a descriptor gives until its end; the caller frees. */
static inline char *slurp(int fd, size_t *ret_len)
{
	char *data = NULL;

	assert_int_equal(fd_read_all(fd, 128u << 20, &data, ret_len), 0);
	return data;
}

#endif
