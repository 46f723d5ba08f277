/* SPDX-License-Identifier: Apache-2.0 */
/* Whoever attaches: runtime/attach.h has the other end. */
#include "runtime/inst.h"

#include "base/err.h"
#include "base/fd.h"
#include "runtime/control.h"
#include "runtime/watch.h"
#include <sys/socket.h>

/* Asks on @fd: the stream, or -errno. */
static int ask_stream(int fd)
{
	const struct control_request q = { .kind = CONTROL_ATTACH };
	struct control_reply reply;
	size_t nfds = 0;
	ssize_t n;
	int stream = -1;

	if (send(fd, &q, sizeof(q), MSG_NOSIGNAL) != sizeof(q))
		return -ESRCH;
	n = fd_recv(fd, &reply, sizeof(reply), &stream, 1, &nfds);
	if (n == 0 || n == -ECONNRESET)
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
	stream = ask_stream(control);
	if (stream < 0)
		return take_fd(stream);
	/* Answered when it has ended, which may be now. */
	if (send(control, &end, sizeof(end), MSG_NOSIGNAL) < 0 && errno != EPIPE)
		return -errno;
	*ret = (struct inst_attachment){ .stream = take_fd(stream), .control = take_fd(control) };
	return 0;
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
