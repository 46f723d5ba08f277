/* SPDX-License-Identifier: Apache-2.0 */
/* A terminal: the client's stdin to its master, its master to the client's stdout and the log. */
#include "runtime/output.h"

#include "base/err.h"
#include "base/fd.h"
#include "runtime/runtime.h"
#include <errno.h>
#include <sys/ioctl.h>

#define END_OF_FILE "\004" /* VEOF as a terminal has it at first (termios(3)) */

/* Without the keys that detach; they end the input. */
static size_t take_keys(void *ctx, struct relay *r, char *data, size_t len)
{
	char out[RELAY_CHUNK + RELAY_ROOM];
	struct output *o = ctx;
	size_t n = detach_keys_scan(&o->keys, data, len, out, &o->detached);

	memcpy(data, out, n);
	r->last = o->detached;
	return n;
}

/* The client's input has ended, which a terminal tells by a character. */
static int on_input_ended(void *ctx, struct relay *r)
{
	struct output *o = ctx;

	if (o->detached)
		return o->left(o->left_ctx);
	if (r->sink >= 0 && write(r->sink, END_OF_FILE, 1) < 0)
		return 0;
	return 0;
}

static int start_input(struct output *o, int console)
{
	struct relay *r = &o->in;

	if (o->s->stdio[0] < 0)
		return 0;
	if (o->s->detach_keys && detach_keys_parse(o->s->detach_keys, &o->keys) < 0)
		return err(-EINVAL, "keys that detach: %s", o->s->detach_keys);
	r->loop = o->loop;
	r->source = fcntl(o->s->stdio[0], F_DUPFD_CLOEXEC, 0);
	r->sink = fcntl(console, F_DUPFD_CLOEXEC, 0);
	if (r->source < 0 || r->sink < 0)
		return err_sys("terminal");
	r->filter = o->s->detach_keys ? take_keys : NULL;
	r->ended = on_input_ended;
	r->ctx = o;
	r->over = false;
	/* stdin may be what nobody can wait for, /dev/null above all: then there is no input. */
	if (relay_start(r) < 0)
		relay_done(r);
	return 0;
}

int tty_start(struct output *o, int console)
{
	int source = fcntl(console, F_DUPFD_CLOEXEC, 0);
	int r;

	if (source < 0)
		return err_sys("terminal");
	/* So much may be typed ahead that the master is full. */
	r = fd_nonblock(console, true);
	if (r >= 0)
		r = output_relay(o, &o->out, source, o->s->stdio[1]);
	if (r < 0)
		return err(r, "terminal: %s", strerror(-r));
	return start_input(o, console);
}

int tty_resize(int console, unsigned rows, unsigned cols)
{
	struct winsize size = { .ws_row = (unsigned short)rows, .ws_col = (unsigned short)cols };

	if (console < 0)
		return -ENOTTY;
	return ioctl(console, TIOCSWINSZ, &size) < 0 ? -errno : 0;
}
