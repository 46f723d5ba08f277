/* SPDX-License-Identifier: Apache-2.0 */
/* The life of one instance, from the lock to the last report. */
#include "runtime/supervisor.h"

#include "base/err.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/str.h"
#include <signal.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>

static void report(const struct supervisor *v, int kind, int code, const char *text)
{
	struct run_report message = { .kind = kind, .code = code };

	if (v->s->report_fd < 0)
		return;
	snprintf(message.text, sizeof(message.text), "%s", text);
	/* A client that has gone wants no report. */
	err_clear();
	if (fd_write_full(v->s->report_fd, &message, sizeof(message)) < 0)
		log_debug("nobody reads the reports of instance %s", inst_id(v->s->inst));
}

static int supervisor_init(struct supervisor *v)
{
	static const int signals[] = { SIGTERM, SIGINT, SIGQUIT, SIGHUP, SIGPIPE, 0 };
	int r;

	r = inst_record_read(v->s->inst, &v->record);
	if (r < 0)
		return r;
	/* Of an earlier life. */
	v->record.state.status = INST_CREATED;
	v->record.state.exit_code = -1;
	v->record.state.started = v->record.state.finished = (struct timespec){ 0 };
	v->record.state.oom_killed = false;
	v->record.state.error[0] = '\0';
	v->record.state.monitor = getpid();
	r = inst_record_write(v->s->inst, &v->record);
	if (r >= 0)
		r = loop_new(&v->loop);
	if (r >= 0)
		r = loop_signals(v->loop, signals, supervisor_on_signal, v);
	if (r < 0)
		return err(r, "supervisor: %s", strerror(-r));
	v->timer = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (v->timer < 0)
		return err_sys("timer");
	r = loop_add(v->loop, v->timer, EPOLLIN, supervisor_on_timer, v);
	if (r < 0)
		return err(r, "timer: %s", strerror(-r));
	r = control_new(v->loop, inst_dirfd(v->s->inst), &supervisor_control, v, &v->control);
	return r < 0 ? r : output_init(&v->output, v->loop, v->s);
}

static int supervisor_create(struct supervisor *v)
{
	int r;

	v->created = true;
	r = v->s->iso->create(v->s->ctx, v->output.child, &v->process);
	if (r < 0)
		return r;
	v->record.state.pid = v->process.pid;
	r = inst_record_write(v->s->inst, &v->record);
	if (r < 0)
		return r;
	r = loop_add(v->loop, v->process.pidfd, EPOLLIN, supervisor_on_exit, v);
	if (r < 0)
		return err(r, "process %d: %s", v->process.pid, strerror(-r));
	return v->s->iso->attach ? v->s->iso->attach(v->s->ctx, v->loop) : 0;
}

/*
 * What docker gives for a command that is not there or cannot be executed, and for anything else.
 */
static int failure_code(int e)
{
	if (e == -ENOENT)
		return 127;
	return e == -EACCES || e == -EPERM || e == -ENOEXEC || e == -EISDIR ? 126 : 125;
}

/* By the keys. */
static int on_detached(void *ctx)
{
	struct supervisor *v = ctx;

	report(v, RUN_DETACHED, 0, "");
	return output_leave_client(&v->output);
}

/* What is typed on its terminal is somebody else's now: the command runs on without. */
static int on_client_gone(void *ctx, int fd, _unused_ uint32_t events)
{
	struct supervisor *v = ctx;

	loop_remove(v->loop, fd);
	return output_leave_client(&v->output);
}

/* The other end of the reports is the client's as long as it lives. */
static int watch_client(struct supervisor *v)
{
	int r = v->s->tty && v->s->report_fd >= 0 ?
			loop_add(v->loop, v->s->report_fd, 0, on_client_gone, v) :
			0;

	return r < 0 ? err(r, "report pipe: %s", strerror(-r)) : 0;
}

static int supervisor_start(struct supervisor *v)
{
	int r;

	v->output.left = on_detached;
	v->output.left_ctx = v;
	r = output_start(&v->output, v->process.console);
	if (r >= 0)
		r = watch_client(v);
	if (r >= 0)
		r = supervisor_limit_time(v);
	if (r < 0)
		return r;
	r = v->s->iso->start(v->s->ctx);
	if (r < 0) {
		v->exit_code = failure_code(r);
		return r;
	}
	clock_gettime(CLOCK_REALTIME, &v->record.state.started);
	v->record.state.status = INST_RUNNING;
	r = inst_record_write(v->s->inst, &v->record);
	if (r < 0)
		return r;
	report(v, RUN_STARTED, 0, "");
	return 0;
}

/* Nothing that was made may go on when nobody looks after it. */
static void supervisor_abandon(struct supervisor *v)
{
	if (v->process.pidfd < 0 || v->ended)
		return;
	loop_remove(v->loop, v->process.pidfd);
	proc_pidfd_kill(v->process.pidfd, SIGKILL);
	proc_wait(v->process.pidfd, &v->wait_status);
	v->ended = true;
}

/* The exit code and whether the kernel ended it, asked before cleanup() takes the evidence away. */
static void supervisor_verdict(struct supervisor *v)
{
	const struct isolation *iso = v->s->iso;

	v->exit_code = iso->exit_code ? iso->exit_code(v->s->ctx, v->wait_status) : v->wait_status;
	v->record.state.oom_killed = iso->oom_killed && iso->oom_killed(v->s->ctx);
}

static void supervisor_record_end(struct supervisor *v, const char *error)
{
	struct inst_record *r = &v->record;

	if (!v->finished.tv_sec)
		clock_gettime(CLOCK_REALTIME, &v->finished);
	r->state.status = INST_STOPPED;
	r->state.pid = 0;
	r->pid_start = 0;
	r->state.exit_code = v->exit_code;
	r->state.finished = v->finished;
	snprintf(r->state.error, sizeof(r->state.error), "%.255s", error);
	if (inst_record_write(v->s->inst, r) < 0)
		log_err("instance %s: its end is not recorded: %s", inst_id(v->s->inst),
			err_take(-EIO));
}

/* What ended one that had started, when it was not its command. */
static void supervisor_why(const struct supervisor *v, char *why, size_t size)
{
	const struct isolation *iso = v->s->iso;
	const char *text = iso->why ? iso->why(v->s->ctx) : NULL;

	if (v->late)
		snprintf(why, size, "it ran for %u s, which is its time-out: killed",
			 v->s->timeout);
	else if (text)
		snprintf(why, size, "%s", text);
}

/* Everything after the command, however it went: @e is 0 or why it never started. */
static void supervisor_end(struct supervisor *v, int e)
{
	char why[sizeof(((struct run_report *)NULL)->text)] = "";

	if (e < 0)
		snprintf(why, sizeof(why), "%s", err_take(e));
	supervisor_abandon(v);
	if (e == 0) {
		supervisor_verdict(v);
		supervisor_why(v, why, sizeof(why));
	}
	output_done(&v->output);
	if (v->created && v->s->iso->cleanup)
		v->s->iso->cleanup(v->s->ctx);
	supervisor_record_end(v, why);
	/* Before anybody is told: whoever knows of the end may use its name again. */
	if (v->s->finished)
		v->s->finished(v->s->finished_ctx);
	if (v->control)
		control_ended(v->control, v->exit_code, v->record.state.oom_killed);
	report(v, e < 0 ? RUN_FAILED : RUN_EXITED, e < 0 ? e : v->exit_code, why);
}

static void supervisor_done(struct supervisor *v)
{
	if (v->loop)
		loop_remove(v->loop, v->timer);
	fd_close(v->timer);
	if (v->loop && v->deadline >= 0)
		loop_remove(v->loop, v->deadline);
	fd_close(v->deadline);
	if (v->loop && v->s->tty && v->s->report_fd >= 0)
		loop_remove(v->loop, v->s->report_fd);
	/* The lock first: whoever sees the connection end may look at it. */
	inst_unlock(v->s->inst);
	control_free(v->control);
	loop_free(v->loop);
	err_clear();
}

static int supervisor_run(struct supervisor *v)
{
	int r;

	v->exit_code = 125;
	r = supervisor_init(v);
	if (r >= 0)
		r = supervisor_create(v);
	if (r >= 0)
		r = supervisor_start(v);
	if (r >= 0) {
		r = loop_run(v->loop);
		if (!v->ended)
			log_err("instance %s: ended by its supervisor: %s", inst_id(v->s->inst),
				r < 0 || err_text() ? err_take(r) : "its isolation asked for it");
		r = 0;
	}
	supervisor_end(v, r);
	return r < 0 ? r : v->exit_code;
}

int supervise(struct supervise *s)
{
	_free_ struct supervisor *v = new0(struct supervisor);
	int r;

	if (!v)
		return -ENOMEM;
	v->s = s;
	v->timer = v->deadline = v->process.pidfd = v->process.console = -1;
	output_none(&v->output);
	r = inst_lock(s->inst);
	if (r < 0) {
		if (r == -EBUSY)
			err(r, "instance %s: it has a supervisor already", inst_id(s->inst));
		/* Removed meanwhile: ENOENT would say that the command is not there. */
		report(v, RUN_FAILED, r == -ENOENT ? -EBUSY : r, err_take(r));
		return r;
	}
	r = supervisor_run(v);
	supervisor_done(v);
	return r;
}
