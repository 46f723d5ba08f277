/* SPDX-License-Identifier: Apache-2.0 */
/* Reading a log back: its lines taken apart, put together again and given to stdout and stderr. */
#include "runtime/inst.h"

#include "base/err.h"
#include "base/fd.h"
#include "runtime/log_reader.h"
#include "runtime/watch.h"
#include <poll.h>
#include <sys/inotify.h>

#define RETRY_MS 5 /* before asking a supervisor again that turned us away */

/* What makes the log go on: something written into it, and the end of the supervisor. */
struct follow {
	int inotify, watch;
	bool ended;
};

static int follow_open(struct follow *f, const struct inst *i)
{
	char path[64];

	f->watch = watch_open(i);
	if (f->watch == -ESRCH) {
		f->ended = true;
		return 0;
	}
	if (f->watch < 0)
		return f->watch;
	f->inotify = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	/* The directory: the log may not be there yet. */
	snprintf(path, sizeof(path), "%s", fd_path(i->dir).s);
	if (f->inotify < 0 || inotify_add_watch(f->inotify, path, IN_MODIFY | IN_CREATE) < 0)
		return err_sys("following the log");
	return 0;
}

/* The connection has ended: the supervisor has gone, or had too many of them. */
static int follow_hangup(struct follow *f, const struct inst *i)
{
	f->watch = fd_close(f->watch);
	if (inst_locked(i) <= 0) {
		f->ended = true;
		return 0;
	}
	poll(NULL, 0, RETRY_MS);
	f->watch = watch_open(i);
	if (f->watch == -ESRCH)
		f->ended = true;
	return f->watch == -ESRCH ? 0 : MIN(f->watch, 0);
}

static void follow_close(struct follow *f)
{
	fd_close(f->inotify);
	fd_close(f->watch);
}

/* Returns when there may be more. */
static int follow_wait(struct follow *f, const struct inst *i)
{
	struct pollfd p[] = { { .fd = f->inotify, .events = POLLIN },
			      { .fd = f->watch, .events = POLLIN } };
	char events[4096] __attribute__((aligned(__alignof__(struct inotify_event))));

	if (poll(p, 2, -1) < 0)
		return errno == EINTR ? 0 : -errno;
	/* Which ones does not matter. */
	while (read(f->inotify, events, sizeof(events)) > 0)
		;
	return p[1].revents ? follow_hangup(f, i) : 0;
}

/* What is there; 0, or -errno. A log that is not there (yet) is an empty one. */
static int read_on(const struct inst *i, struct log_reader *l, int64_t tail)
{
	int r;

	if (l->fd < 0) {
		r = log_reader_open(l, i->dir, tail);
		if (r < 0)
			return r == -ENOENT ? 0 : r;
	}
	return log_reader_copy(l);
}

int inst_logs(const struct inst *i, bool follow, bool timestamps, int64_t tail, int out_fd,
	      int err_fd)
{
	struct log_reader *l = NULL;
	struct follow f = { .inotify = -1, .watch = -1, .ended = !follow };
	int r;

	l = new0(struct log_reader);
	if (!l)
		return -ENOMEM;
	*l = (struct log_reader){ .fd = -1, .out = { out_fd, err_fd }, .timestamps = timestamps };
	r = follow ? follow_open(&f, i) : 0;
	while (r >= 0) {
		/* Asked before reading: what it printed last is there when it has ended. */
		bool ended = f.ended;

		r = read_on(i, l, tail);
		if (r < 0 || ended)
			break;
		r = follow_wait(&f, i);
	}
	follow_close(&f);
	log_reader_close(l);
	free(l);
	return r < 0 ? err(r, "log of instance %s: %s", i->id, strerror(-r)) : 0;
}
