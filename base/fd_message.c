/* SPDX-License-Identifier: Apache-2.0 */
/* Descriptors that travel over a Unix socket (unix(7), SCM_RIGHTS). */
#include "base/fd.h"

#include <errno.h>
#include <sys/socket.h>

#define FDS_MAX 253 /* SCM_MAX_FD: what the kernel carries in one message */

union control {
	char bytes[CMSG_SPACE(FDS_MAX * sizeof(int))];
	struct cmsghdr align;
};

ssize_t fd_send(int sock, const void *data, size_t len, const int *fds, size_t nfds)
{
	union control control = { 0 };
	struct iovec iov = { .iov_base = (void *)data, .iov_len = len };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t n;

	if (nfds > FDS_MAX)
		return -EINVAL;
	if (nfds) {
		msg.msg_control = &control;
		msg.msg_controllen = CMSG_SPACE(nfds * sizeof(int));
		control.align = (struct cmsghdr){
			.cmsg_level = SOL_SOCKET,
			.cmsg_type = SCM_RIGHTS,
			.cmsg_len = CMSG_LEN(nfds * sizeof(int)),
		};
		memcpy(CMSG_DATA(&control.align), fds, nfds * sizeof(int));
	}
	do {
		n = sendmsg(sock, &msg, MSG_NOSIGNAL);
	} while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : n;
}

/* The descriptors that came with @msg, into @fds of FDS_MAX. */
static size_t message_fds(struct msghdr *msg, int *fds)
{
	size_t n = 0;

	for (struct cmsghdr *c = CMSG_FIRSTHDR(msg); c; c = CMSG_NXTHDR(msg, c)) {
		size_t bytes = c->cmsg_len - CMSG_LEN(0);

		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		bytes = MIN(bytes, (FDS_MAX - n) * sizeof(int));
		memcpy(fds + n, CMSG_DATA(c), bytes);
		n += bytes / sizeof(int);
	}
	return n;
}

bool fd_recv_again(int e)
{
	return e == EINTR || e == ECONNRESET;
}

ssize_t fd_recv(int sock, void *data, size_t len, int *ret_fds, size_t maxfds, size_t *ret_nfds)
{
	union control control;
	struct iovec iov = { .iov_base = data, .iov_len = len };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	int fds[FDS_MAX];
	size_t nfds;
	ssize_t n;

	do {
		n = recvmsg(sock, &msg, MSG_CMSG_CLOEXEC);
	} while (n < 0 && fd_recv_again(errno));
	if (n < 0)
		return -errno;
	nfds = message_fds(&msg, fds);
	if (nfds > maxfds || msg.msg_flags & (MSG_CTRUNC | MSG_TRUNC)) {
		while (nfds)
			fd_close(fds[--nfds]);
		return -EMSGSIZE;
	}
	if (nfds)
		memcpy(ret_fds, fds, nfds * sizeof(int));
	if (ret_nfds)
		*ret_nfds = nfds;
	return n;
}
