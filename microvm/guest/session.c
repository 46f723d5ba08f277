/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sessions: what the host asks for over vsock while the command runs (docs/formats/guest.md). Each
 * is a process of its own, so that none can hold up another, or the command; all end with it.
 */
#include "microvm/guest/init.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/vm_sockets.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define BACKLOG 64

int sessions_open(void)
{
	struct sockaddr_vm a = { .svm_family = AF_VSOCK,
				 .svm_cid = VMADDR_CID_ANY,
				 .svm_port = GUEST_SESSION_PORT };
	int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	if (fd >= 0 &&
	    (bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(fd, BACKLOG) < 0)) {
		close(fd);
		return -1;
	}
	return fd;
}

bool session_write(int fd, struct iovec *iov, unsigned n)
{
	for (unsigned i = 0; i < n;) {
		struct pollfd p = { .fd = fd, .events = POLLOUT };
		ssize_t done = writev(fd, &iov[i], (int)(n - i));

		if (done < 0 && errno == EAGAIN)
			poll(&p, 1, -1);
		else if (done < 0 && errno != EINTR)
			return false;
		while (i < n && done >= (ssize_t)iov[i].iov_len)
			done -= (ssize_t)iov[i++].iov_len;
		if (i < n && done > 0) {
			iov[i].iov_base = (uint8_t *)iov[i].iov_base + done;
			iov[i].iov_len -= (size_t)done;
		}
	}
	return true;
}

bool session_send(int fd, uint32_t type, const void *body, size_t len, const void *more,
		  size_t more_len)
{
	struct guest_head head = { type, (uint32_t)(len + more_len) };
	struct iovec iov[] = { { &head, sizeof(head) },
			       { (void *)(uintptr_t)body, len },
			       { (void *)(uintptr_t)more, more_len } };

	return session_write(fd, iov, ARRAY_SIZE(iov));
}

/* musl has none before 1.2.6. */
static int close_all(unsigned from, unsigned to)
{
	return (int)syscall(SYS_close_range, from, to, 0);
}

/* Nothing but the connection stays open: the command's pipes have to end without us. */
static int keep_only(int fd)
{
	int null;

	if ((fd > 0 && close_all(0, (unsigned)fd - 1) < 0) || close_all((unsigned)fd + 1, ~0u) < 0)
		return -errno;
	fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	close_all(0, 2);
	do
		null = open("/dev/null", O_RDWR);
	while (null >= 0 && null < 2);
	return fd;
}

static void serve(int fd, const struct config *main)
{
	uint32_t version = 0;
	struct guest_head head;
	uint8_t *data;

	if (control_read(fd, &head, sizeof(head)) < 0 || head.len > GUEST_MESSAGE_MAX)
		return;
	data = malloc((size_t)head.len + 1);
	if (!data || control_read(fd, data, head.len) < 0)
		return;
	if (head.len >= sizeof(version))
		memcpy(&version, data, sizeof(version));
	if (head.type == GUEST_EXEC)
		session_exec(fd, main, data, head.len);
	else if (head.type == GUEST_COPY_IN || head.type == GUEST_COPY_OUT)
		session_copy(fd, head.type == GUEST_COPY_IN, data, head.len);
	else if (head.type == GUEST_PROCESSES && version == GUEST_VERSION)
		session_processes(fd);
}

void session_accept(int listener, const struct config *main)
{
	struct sockaddr_vm peer = { 0 };
	socklen_t len = sizeof(peer);
	int fd = accept4(listener, (struct sockaddr *)&peer, &len, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (fd < 0)
		return;
	if (peer.svm_cid == VMADDR_CID_HOST && fork() == 0) {
		machine_drop();
		fd = keep_only(fd);
		if (fd >= 0)
			serve(fd, main);
		_exit(0);
	}
	close(fd);
}
