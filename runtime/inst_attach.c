/* SPDX-License-Identifier: Apache-2.0 */
/* Whoever is given a descriptor by a supervisor: to attach (runtime/attach.h), for statistics. */
#include "runtime/inst.h"

#include "base/err.h"
#include "base/fd.h"
#include "runtime/control.h"
#include "runtime/watch.h"
#include <poll.h>
#include <sys/socket.h>

#define STATS_MS 1000 /* for the supervisor, and then for what runs */

/* Asks on @fd: what comes with the answer, or -errno. */
static int ask_stream(int fd, enum control_kind kind, int timeout_ms)
{
	const struct control_request q = { .kind = kind };
	struct pollfd p = { .fd = fd, .events = POLLIN };
	struct control_reply reply;
	size_t nfds = 0;
	ssize_t n;
	int stream = -1;

	if (send(fd, &q, sizeof(q), MSG_NOSIGNAL) != sizeof(q))
		return -ESRCH;
	if (poll(&p, 1, timeout_ms) == 0)
		return -ETIMEDOUT;
	n = fd_recv(fd, &reply, sizeof(reply), &stream, 1, &nfds);
	if (n == 0)
		return -ESRCH;
	if (n == sizeof(reply) && reply.result == 0 && nfds == 1)
		return stream;
	if (nfds)
		fd_close(stream);
	if (n < 0)
		return (int)n;
	return n == sizeof(reply) && reply.result < 0 ? reply.result : -EBADMSG;
}

int inst_attach(const struct inst *i, struct inst_attachment *ret)
{
	const struct control_request end = { .kind = CONTROL_WAIT };
	_close_ int control = watch_open(i), stream = -1;

	if (control < 0)
		return control;
	stream = ask_stream(control, CONTROL_ATTACH, -1);
	if (stream < 0)
		return take_fd(stream);
	/* Answered when it has ended, which may be now. */
	if (send(control, &end, sizeof(end), MSG_NOSIGNAL) < 0 && errno != EPIPE)
		return -errno;
	*ret = (struct inst_attachment){ .stream = take_fd(stream), .control = take_fd(control) };
	return 0;
}

int inst_stats(const struct inst *i, void *ret, size_t len)
{
	_close_ int control = watch_open(i), answer = -1;
	struct pollfd p = { .events = POLLIN };
	ssize_t n;

	if (control < 0)
		return control;
	answer = ask_stream(control, CONTROL_STATS, STATS_MS);
	if (answer < 0)
		return take_fd(answer);
	p.fd = answer;
	if (poll(&p, 1, STATS_MS) == 0)
		return -ETIMEDOUT;
	n = recv(answer, NULL, 0, MSG_DONTWAIT | MSG_PEEK | MSG_TRUNC);
	if (n <= 0)
		return -ESRCH;
	return n == (ssize_t)len && recv(answer, ret, len, MSG_DONTWAIT) == n ? 0 : -EBADMSG;
}

int inst_attachment_end(struct inst *i, struct inst_attachment *a)
{
	return watch_end(i, a->control);
}

void inst_attachment_close(struct inst_attachment *a)
{
	a->stream = fd_close(a->stream);
	a->control = fd_close(a->control);
}
