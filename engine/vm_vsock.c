/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/vm_vsock.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/str.h"
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#define VSOCK_SOCKET "vsock"
#define BACKLOG	     64
#define ANSWER_MS    10000 /* a guest that lives answers within ms, an emulated one 100s */

static int new_socket(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	return fd < 0 ? -errno : fd;
}

int vm_vsock_listen(int dir)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	_close_ int fd = new_socket();

	if (fd < 0)
		return err(fd, "vsock: %s", strerror(-fd));
	/* One that an earlier run left. */
	if (unlinkat(dir, VSOCK_SOCKET, 0) < 0 && errno != ENOENT)
		return err_sys("vsock");
	snprintf(name.sun_path, sizeof(name.sun_path), "%s/" VSOCK_SOCKET, fd_path(dir).s);
	if (fchmod(fd, 0600) < 0 || bind(fd, (struct sockaddr *)&name, sizeof(name)) < 0 ||
	    listen(fd, BACKLOG) < 0)
		return err_sys("vsock");
	return take_fd(fd);
}

/* Never waits: one whose queue is full refuses. */
static int dial(int dir, const char *file)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	_close_ int fd = new_socket();

	if (fd < 0)
		return fd;
	snprintf(name.sun_path, sizeof(name.sun_path), "%s/%s", fd_path(dir).s, file);
	if (connect(fd, (struct sockaddr *)&name, sizeof(name)) < 0)
		return -errno;
	return take_fd(fd);
}

int vm_vsock_serve(int dir, int fd)
{
	_close_ int server = -1;
	uint32_t port;
	char file[32];
	int32_t answer;
	ssize_t n = recv(fd, &port, sizeof(port), MSG_DONTWAIT | MSG_TRUNC);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n != sizeof(port))
		return -EPIPE;
	snprintf(file, sizeof(file), VSOCK_SOCKET "_%u", port);
	server = dial(dir, file);
	answer = server < 0 ? server : 0;
	fd_send(fd, &answer, sizeof(answer), &server, server >= 0);
	return 0;
}

/* "OK PORT\n", a byte at a time: what comes behind it is the guest's. */
static int hear_ok(int fd, uint64_t until)
{
	char line[32] = "";

	for (size_t n = 0; n < sizeof(line);) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		uint64_t now = clock_ns();
		ssize_t r = recv(fd, line + n, 1, MSG_DONTWAIT);

		if (r == 0 || (r < 0 && errno != EAGAIN && errno != EINTR))
			return -ECONNREFUSED;
		if (r < 0) {
			if (now >= until)
				return -ETIMEDOUT;
			poll(&p, 1, (int)((until - now) / 1000000) + 1);
		} else if (line[n++] == '\n') {
			return str_after(line, "OK ") ? 0 : -EPROTO;
		}
	}
	return -EPROTO;
}

int vm_vsock_connect(int dir, uint32_t port)
{
	_close_ int fd = dial(dir, VSOCK_SOCKET);
	char line[32];
	int r, len = snprintf(line, sizeof(line), "CONNECT %u\n", port);

	if (fd < 0)
		return err(fd == -ENOENT ? -ECONNREFUSED : fd, "the microVM cannot be reached: %s",
			   strerror(-fd));
	r = send(fd, line, (size_t)len, MSG_NOSIGNAL) != len ? -ECONNREFUSED : 0;
	if (r == 0)
		r = hear_ok(fd, clock_ns() + ANSWER_MS * UINT64_C(1000000));
	if (r == -ETIMEDOUT)
		return err(r, "the microVM's kernel does not answer");
	return r < 0 ? err(r, "nothing in the microVM answers") : take_fd(fd);
}
