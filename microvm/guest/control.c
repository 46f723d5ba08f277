/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Messages over the port "strata.control": a stream that arrives in pieces. The port does not
 * block.
 */
#include "microvm/guest/init.h"

#include <errno.h>
#include <poll.h>
#include <unistd.h>

static int wait_for(int fd, short events)
{
	struct pollfd p = { .fd = fd, .events = events };

	return poll(&p, 1, -1) < 0 && errno != EINTR ? -errno : 0;
}

/* ---- from the VMM ---- */

int control_read(int fd, void *data, size_t len)
{
	for (size_t done = 0; done < len;) {
		ssize_t n = read(fd, (uint8_t *)data + done, len - done);

		if (n == 0)
			return -EPIPE;
		if (n > 0)
			done += (size_t)n;
		else if (errno != EAGAIN && errno != EINTR)
			return -errno;
		else if (wait_for(fd, POLLIN) < 0)
			return -EIO;
	}
	return 1;
}

int control_config(int fd, struct config *ret)
{
	struct guest_head head;
	uint8_t *data;
	int r = control_read(fd, &head, sizeof(head));

	if (r < 0)
		return r;
	if (head.type != GUEST_CONFIG || head.len > GUEST_MESSAGE_MAX)
		return failing(-EPROTO, "message %u of %u bytes where the config should be",
			       head.type, head.len);
	data = malloc((size_t)head.len + 1);
	if (!data)
		return failing(-ENOMEM, "config");
	r = control_read(fd, data, head.len);
	if (r > 0)
		r = config_parse(ret, data, head.len);
	free(data);
	if (r == 0 && !ret->root[0])
		r = failing(-EPROTO, "the config has no root");
	return r;
}

/*
 * A message of the VMM comes whole or is about to: its rest is waited for. One that is too long is
 * skipped.
 */
int control_next(int fd, uint32_t *ret_type, uint8_t data[GUEST_WISH_MAX], uint32_t *ret_len)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };
	struct guest_head head;
	uint8_t byte;
	int r;

	if (poll(&p, 1, 0) <= 0 || !p.revents)
		return 0;
	r = control_read(fd, &head, sizeof(head));
	if (r > 0 && head.len <= GUEST_WISH_MAX)
		r = control_read(fd, data, head.len);
	for (uint32_t i = 0; r > 0 && head.len > GUEST_WISH_MAX && i < head.len; i++)
		r = control_read(fd, &byte, 1);
	if (r <= 0)
		return r;
	*ret_type = head.len <= GUEST_WISH_MAX ? head.type : 0;
	*ret_len = head.len;
	return 1;
}

/* ---- to the VMM ---- */

/* Small enough for one write, so that it arrives whole. */
static void send(int fd, uint32_t type, const void *body, size_t len, const char *text)
{
	uint8_t buf[sizeof(struct guest_head) + GUEST_REPLY_MAX];
	size_t text_len = strnlen(text, GUEST_REPLY_MAX - len);
	struct guest_head head = { type, (uint32_t)(len + text_len) };
	size_t all = sizeof(head) + head.len;

	memcpy(buf, &head, sizeof(head));
	memcpy(buf + sizeof(head), body, len);
	memcpy(buf + sizeof(head) + len, text, text_len);
	while (write(fd, buf, all) < 0 && (errno == EAGAIN || errno == EINTR)) {
		struct pollfd p = { .fd = fd, .events = POLLOUT };

		if (poll(&p, 1, -1) > 0 && (p.revents & POLLHUP))
			return;
	}
}

void control_started(int fd)
{
	send(fd, GUEST_STARTED, "", 0, "");
}

void control_failed(int fd, int error)
{
	struct guest_failed f = { (uint32_t)error, failing_status };
	char text[GUEST_REPLY_MAX];

	failing_line(text, sizeof(text), error);
	send(fd, GUEST_FAILED, &f, sizeof(f), text);
}

void control_exited(int fd, unsigned status)
{
	struct guest_exited e = { status };

	send(fd, GUEST_EXITED, &e, sizeof(e), "");
}
