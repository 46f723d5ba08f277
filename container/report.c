/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Between parent and child: each message is an error and its text, 0 meaning "ready" or "go on",
 * maybe a descriptor.
 */
#include "container/inner.h"

#include "base/fd.h"
#include "base/str.h"

struct report {
	int32_t error;
	char text[ERR_TEXT_MAX];
};

int report_send(int sock, int error, int fd)
{
	struct report m = { .error = error };
	size_t len = sizeof(m.error);
	ssize_t n;

	if (error) {
		str_copy(m.text, sizeof(m.text), err_take(error));
		len = sizeof(m);
	}
	n = fd_send(sock, &m, len, &fd, fd >= 0);
	return n < 0 ? (int)n : 0;
}

int report_recv(int sock, int *ret_fd)
{
	struct report m;
	size_t nfds = 0;
	int fd = -1;
	ssize_t n = fd_recv(sock, &m, sizeof(m), &fd, 1, &nfds);

	if (n < 0)
		return err((int)n, "cannot hear from the container's process: %s",
			   strerror((int)-n));
	if (n < (ssize_t)sizeof(m.error)) {
		fd_close(fd);
		return -ECHILD;
	}
	if (m.error < 0) {
		fd_close(fd);
		m.text[sizeof(m.text) - 1] = '\0';
		return err(m.error, "%s", n == sizeof(m) ? m.text : strerror(-m.error));
	}
	if (ret_fd && nfds)
		*ret_fd = fd;
	else
		fd_close(fd);
	return 0;
}
