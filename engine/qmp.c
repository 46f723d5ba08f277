/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/qmp.h"

#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

static int gone(void)
{
	return err(-EPIPE, "QEMU has gone");
}

/* More of what QEMU says, before @until. */
static int more(struct qmp *q, uint64_t until)
{
	struct pollfd p = { .fd = q->fd, .events = POLLIN };
	uint64_t now = clock_ns();
	ssize_t n;

	if (q->len == sizeof(q->in))
		return err(-EPROTO, "QEMU's message is longer than %u bytes", QMP_LINE_MAX);
	n = now < until ? poll(&p, 1, (int)((until - now) / 1000000) + 1) : 0;
	if (n == 0)
		return err(-ETIMEDOUT, "QEMU does not answer");
	n = recv(q->fd, q->in + q->len, sizeof(q->in) - q->len, MSG_DONTWAIT);
	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		return gone();
	q->len += n > 0 ? (size_t)n : 0;
	return 0;
}

/*
 * 1 = the answer to @id (0: the greeting), and what it returned in *@ret; 0 = something else, -EIO,
 * -EPROTO.
 */
static int understand(const char *line, size_t len, uint32_t id, json_t **ret)
{
	_json_ json_t *j = NULL;

	if (json_parse(line, len, "QEMU", &j) < 0)
		return -EPROTO;
	if (json_get_int(j, "id", 0) != id)
		return 0;
	if (json_object_get(j, "error"))
		return err(-EIO, "QEMU: %s",
			   json_get_str(json_object_get(j, "error"), "desc") ?:
				   "a command was refused");
	*ret = json_incref(json_object_get(j, "return"));
	return *ret || json_object_get(j, "QMP");
}

/* The next greeting or answer; *@ret of a greeting is NULL. */
static int answer(struct qmp *q, json_t **ret)
{
	const uint64_t until = clock_ns() + QMP_SECONDS * UINT64_C(1000000000);
	int r = 0;

	while (r == 0) {
		char *newline = memchr(q->in, '\n', q->len);

		if (!newline) {
			r = more(q, until);
			continue;
		}
		r = understand(q->in, (size_t)(newline - q->in), q->id, ret);
		q->len -= (size_t)(newline + 1 - q->in);
		memmove(q->in, newline + 1, q->len);
	}
	return r < 0 ? r : 0;
}

int qmp_ask(struct qmp *q, const char *command, json_t **ret)
{
	/* Its first brace is ours. */
	_free_ char *text = str_fmt("{\"id\":%u,%s", ++q->id, command + 1);
	ssize_t len = text ? (ssize_t)strlen(text) : 0;

	if (!text)
		return -ENOMEM;
	if (send(q->fd, text, (size_t)len, MSG_NOSIGNAL) != len)
		return gone();
	return answer(q, ret);
}

int qmp_do(struct qmp *q, const char *command)
{
	_json_ json_t *dropped = NULL;

	return qmp_ask(q, command, &dropped);
}

int qmp_begin(struct qmp *q, int fd)
{
	_json_ json_t *greeting = NULL;
	int r;

	q->fd = fd;
	q->len = 0;
	q->id = 0;
	r = answer(q, &greeting);
	return r < 0 ? r : qmp_do(q, "{\"execute\":\"qmp_capabilities\"}");
}
