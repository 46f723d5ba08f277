/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/output.h"

#include "base/err.h"
#include "base/fd.h"
#include "base/log.h"
#include "runtime/runtime.h"
#include <errno.h>
#include <sys/stat.h>

static void relay_clear(struct relay *r)
{
	r->source = r->sink = -1;
	r->over = true;
}

/* A pipe whose reading end is the relay's and whose writing end the command's. */
static int make_pipe(struct relay *r, int *ret_child)
{
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0)
		return err_sys("a pipe for the output");
	r->source = ends[0];
	*ret_child = ends[1];
	return 0;
}

static int dup_child(int fd, int *ret)
{
	if (fd < 0)
		return 0;
	*ret = fcntl(fd, F_DUPFD_CLOEXEC, 0);
	return *ret < 0 ? err_sys("the client's descriptor %d", fd) : 0;
}

/* For those who attach, when the client has none to give. */
static int open_input(struct output *o)
{
	int ends[2];

	if (o->s->stdio[0] >= 0)
		return dup_child(o->s->stdio[0], &o->child[0]);
	if (!o->s->stdin_open || !o->s->logged)
		return 0;
	if (pipe2(ends, O_CLOEXEC) < 0)
		return err_sys("a pipe for the input");
	o->child[0] = ends[0];
	o->input = ends[1];
	return fd_nonblock(o->input, true);
}

static int open_child(struct output *o)
{
	bool relayed = o->s->logged;
	int r;

	r = open_input(o);
	if (r >= 0)
		r = relayed ? make_pipe(&o->out, &o->child[1]) :
			      dup_child(o->s->stdio[1], &o->child[1]);
	if (r >= 0)
		r = relayed ? make_pipe(&o->err, &o->child[2]) :
			      dup_child(o->s->stdio[2], &o->child[2]);
	return r;
}

void output_none(struct output *o)
{
	o->log = (struct logfile)LOGFILE_NONE;
	o->child[0] = o->child[1] = o->child[2] = o->input = -1;
	attachments_none(&o->attached);
	relay_clear(&o->in);
	relay_clear(&o->out);
	relay_clear(&o->err);
}

int output_init(struct output *o, struct loop *loop, const struct supervise *s)
{
	int r = 0;

	o->loop = loop;
	o->s = s;
	if (s->logged)
		r = logfile_open(&o->log, inst_dirfd(s->inst));
	if (r >= 0 && !s->tty)
		r = open_child(o);
	return r;
}

/* A log that cannot be written (no space) must not end what is logged. */
static void keep(struct output *o, enum log_stream stream, const char *data, size_t len)
{
	int e = logfile_add(&o->log, stream, data, len);

	if (e < 0 && !o->log_failed)
		log_warn("log of instance %s: %s: output is lost", inst_id(o->s->inst),
			 strerror(-e));
	o->log_failed = e < 0;
}

static void tap(void *ctx, struct relay *r, const char *data, size_t len)
{
	struct output *o = ctx;

	if (o->log.fd >= 0)
		keep(o, r == &o->err ? LOG_STDERR : LOG_STDOUT, data, len);
	attachments_give(&o->attached, r == &o->err ? ATTACH_ERR : ATTACH_OUT, data, len);
}

/* One who attached is full: neither stream goes on until it is not. */
static int on_hold(void *ctx, bool held)
{
	struct output *o = ctx;
	int r = relay_hold(&o->out, held);

	return r ? r : relay_hold(&o->err, held);
}

static int on_ended(void *ctx, _unused_ struct relay *r)
{
	struct output *o = ctx;

	return o->over ? o->over(o->ctx) : 0;
}

/*
 * The client's descriptor for us: a terminal or pipe as a new open file, so that it can be
 * non-blocking without being so for everybody who shares it. Anything else as it is.
 */
static int open_sink(int fd)
{
	struct stat st;
	int own = -1;

	if (fd < 0)
		return -1;
	if (fstat(fd, &st) == 0 && (S_ISCHR(st.st_mode) || S_ISFIFO(st.st_mode)))
		own = open(fd_path(fd).s, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	return own >= 0 ? own : fcntl(fd, F_DUPFD_CLOEXEC, 0);
}

int output_relay(struct output *o, struct relay *r, int source, int sink)
{
	r->loop = o->loop;
	r->source = source;
	r->sink = open_sink(sink);
	r->drain = true;
	r->breaks = !o->s->tty;
	r->tap = tap;
	r->ended = on_ended;
	r->ctx = o;
	r->over = false;
	return relay_start(r);
}

/* What is typed by those who attach goes to the pipe that was made for it, or to the terminal. */
static int attach_init(struct output *o, int console)
{
	int input = take_fd(o->input);

	if (console >= 0 && o->s->stdin_open)
		input = fcntl(console, F_DUPFD_CLOEXEC, 0);
	o->relayed = o->s->logged || console >= 0;
	o->attached.loop = o->loop;
	o->attached.hold = on_hold;
	o->attached.ctx = o;
	return attachments_init(&o->attached, input, console >= 0);
}

int output_start(struct output *o, int console)
{
	int r;

	for (int i = 0; i < 3; i++)
		o->child[i] = fd_close(o->child[i]);
	r = attach_init(o, o->s->tty ? console : -1);
	if (r < 0)
		return r;
	if (console >= 0 && o->s->tty)
		return tty_start(o, console);
	if (o->out.source >= 0)
		r = output_relay(o, &o->out, o->out.source, o->s->stdio[1]);
	if (r >= 0 && o->err.source >= 0)
		r = output_relay(o, &o->err, o->err.source, o->s->stdio[2]);
	return r < 0 ? err(r, "relay of the output: %s", strerror(-r)) : 0;
}

bool output_over(const struct output *o)
{
	return o->out.over && o->err.over;
}

int output_closing(struct output *o)
{
	int r;

	/* Nobody is left to read it. */
	relay_done(&o->in);
	typed_close(&o->attached.typed);
	r = relay_closing(&o->out);
	return r ? r : relay_closing(&o->err);
}

int output_drop_client(struct output *o)
{
	int r = relay_drop_sink(&o->out);

	if (r == 0)
		r = relay_drop_sink(&o->err);
	return r ? r : attachments_drop_full(&o->attached);
}

int output_leave_client(struct output *o)
{
	relay_done(&o->in);
	return relay_drop_sink(&o->out);
}

int output_attach(struct output *o, int *ret_fd)
{
	return o->relayed ? attachments_add(&o->attached, ret_fd) : -EOPNOTSUPP;
}

void output_done(struct output *o)
{
	for (int i = 0; i < 3; i++)
		o->child[i] = fd_close(o->child[i]);
	o->input = fd_close(o->input);
	attachments_done(&o->attached);
	relay_done(&o->in);
	relay_done(&o->out);
	relay_done(&o->err);
	logfile_close(&o->log);
}
