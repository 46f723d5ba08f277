/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/supervisor.h"

#include "base/err.h"
#include "base/fd.h"
#include "base/log.h"
#include <signal.h>
#include <sys/epoll.h>
#include <sys/timerfd.h>

/* what SIGTERM to the supervisor leaves the command: docker stop's default */
#define TERM_STOP_MS 10000
#define CLIENT_MS    1000 /* for the client to take what a stopped one printed last */

static int supervisor_over(void *ctx)
{
	struct supervisor *v = ctx;

	return v->ended && output_over(&v->output) ? 1 : 0;
}

static int supervisor_kill(void *ctx, int sig)
{
	struct supervisor *v = ctx;

	return v->ended ? -ESRCH : v->s->iso->kill(v->s->ctx, sig);
}

/* In @ms from now, unless the timer runs and is sooner. */
static void timer_arm(struct supervisor *v, int ms, bool again)
{
	struct itimerspec now = { 0 }, t = {
		.it_value = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000L + 1 },
	};

	if (!again && timerfd_gettime(v->timer, &now) == 0 &&
	    (now.it_value.tv_sec || now.it_value.tv_nsec) &&
	    (now.it_value.tv_sec < t.it_value.tv_sec ||
	     (now.it_value.tv_sec == t.it_value.tv_sec &&
	      now.it_value.tv_nsec < t.it_value.tv_nsec)))
		return;
	if (timerfd_settime(v->timer, 0, &t, NULL) < 0)
		log_err("instance %s: timer: %s", inst_id(v->s->inst), strerror(errno));
}

static int supervisor_pause(void *ctx, bool paused)
{
	enum inst_status status = paused ? INST_PAUSED : INST_RUNNING;
	struct supervisor *v = ctx;
	int r;

	if (v->ended || v->record.state.status == INST_CREATED)
		return -ESRCH;
	if (!v->s->iso->pause)
		return -EOPNOTSUPP;
	if (v->record.state.status == status)
		return -EALREADY;
	r = v->s->iso->pause(v->s->ctx, paused);
	if (r < 0)
		return r;
	v->record.state.status = status;
	r = inst_record_write(v->s->inst, &v->record);
	if (r < 0 && paused)
		v->s->iso->pause(v->s->ctx, false);
	return r;
}

static int supervisor_memory(void *ctx, unsigned mib)
{
	struct supervisor *v = ctx;

	if (v->ended || v->record.state.status == INST_CREATED)
		return -ESRCH;
	return v->s->iso->memory ? v->s->iso->memory(v->s->ctx, mib) : -EOPNOTSUPP;
}

static int supervisor_checkpoint(void *ctx)
{
	struct supervisor *v = ctx;

	if (v->ended || v->record.state.status == INST_CREATED)
		return -ESRCH;
	if (v->record.state.status == INST_PAUSED)
		return -EBUSY;
	return v->s->iso->checkpoint ? v->s->iso->checkpoint(v->s->ctx) : -EOPNOTSUPP;
}

static int supervisor_clone(void *ctx, pid_t pid)
{
	struct supervisor *v = ctx;

	if (v->ended || v->record.state.status == INST_CREATED)
		return -ESRCH;
	if (v->record.state.status == INST_PAUSED)
		return -EBUSY;
	return v->s->iso->clone ? v->s->iso->clone(v->s->ctx, pid) : -EOPNOTSUPP;
}

static int supervisor_stop(void *ctx, int sig, int timeout_ms)
{
	struct supervisor *v = ctx;
	int r;

	if (v->ended) {
		timer_arm(v, CLIENT_MS, false);
		return 0;
	}
	r = v->s->iso->kill(v->s->ctx, sig);
	/* -ESRCH: it is ending just now. */
	if (r < 0 && r != -ESRCH)
		return r;
	/* It cannot take the signal while it is held. */
	if (v->record.state.status == INST_PAUSED)
		supervisor_pause(v, false);
	v->stopping = true;
	if (timeout_ms >= 0)
		timer_arm(v, timeout_ms, false);
	return 0;
}

static int supervisor_attach(void *ctx, int *ret_fd)
{
	struct supervisor *v = ctx;

	if (v->ended || v->record.state.status == INST_CREATED)
		return -ESRCH;
	if (v->record.state.status == INST_PAUSED)
		return -EBUSY;
	return output_attach(&v->output, ret_fd);
}

static int supervisor_stats(void *ctx, int *ret_fd)
{
	struct supervisor *v = ctx;

	if (v->ended || v->record.state.status == INST_CREATED)
		return -ESRCH;
	if (v->record.state.status == INST_PAUSED)
		return -EBUSY;
	return v->s->iso->stats ? v->s->iso->stats(v->s->ctx, ret_fd) : -EOPNOTSUPP;
}

static int supervisor_resize(void *ctx, unsigned rows, unsigned cols)
{
	struct supervisor *v = ctx;

	if (!v->s->tty)
		return -ENOTTY;
	if (v->s->iso->resize)
		return v->s->iso->resize(v->s->ctx, rows, cols);
	return tty_resize(v->process.console, rows, cols);
}

const struct control_handler supervisor_control = {
	.kill = supervisor_kill,
	.stop = supervisor_stop,
	.resize = supervisor_resize,
	.pause = supervisor_pause,
	.memory = supervisor_memory,
	.checkpoint = supervisor_checkpoint,
	.attach = supervisor_attach,
	.clone = supervisor_clone,
	.stats = supervisor_stats,
};

/*
 * The others come from a terminal to all that is in the foreground; the client hands on what it
 * wants to.
 */
int supervisor_on_signal(void *ctx, const struct signalfd_siginfo *si)
{
	if (si->ssi_signo == SIGTERM && supervisor_stop(ctx, SIGTERM, TERM_STOP_MS) < 0)
		supervisor_stop(ctx, SIGKILL, 0);
	err_clear();
	return 0;
}

int supervisor_on_timer(void *ctx, int fd, _unused_ uint32_t events)
{
	struct supervisor *v = ctx;
	uint64_t times;

	if (read(fd, &times, sizeof(times)) < 0)
		return 0;
	if (v->ended)
		return output_drop_client(&v->output);
	v->s->iso->kill(v->s->ctx, SIGKILL);
	err_clear();
	return 0;
}

static int on_deadline(void *ctx, int fd, _unused_ uint32_t events)
{
	struct supervisor *v = ctx;

	loop_remove(v->loop, fd);
	v->late = !v->ended;
	return supervisor_stop(v, SIGKILL, 0) < 0 ? -EIO : 0;
}

int supervisor_limit_time(struct supervisor *v)
{
	struct itimerspec t = { .it_value = { .tv_sec = v->s->timeout } };
	int r;

	if (!v->s->timeout)
		return 0;
	v->deadline = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	if (v->deadline < 0 || timerfd_settime(v->deadline, 0, &t, NULL) < 0)
		return err_sys("timer");
	r = loop_add(v->loop, v->deadline, EPOLLIN, on_deadline, v);
	return r < 0 ? err(r, "timer: %s", strerror(-r)) : 0;
}

int supervisor_on_exit(void *ctx, int pidfd, _unused_ uint32_t events)
{
	struct supervisor *v = ctx;
	int r;

	loop_remove(v->loop, pidfd);
	r = proc_wait(pidfd, &v->wait_status);
	if (r < 0) {
		log_err("instance %s: waiting for its end: %s", inst_id(v->s->inst), strerror(-r));
		v->wait_status = 255;
	}
	clock_gettime(CLOCK_REALTIME, &v->finished);
	v->ended = true;
	if (v->stopping)
		timer_arm(v, CLIENT_MS, true);
	v->output.over = supervisor_over;
	v->output.ctx = v;
	r = output_closing(&v->output);
	return r ? r : supervisor_over(v);
}
