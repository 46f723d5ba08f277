/* SPDX-License-Identifier: Apache-2.0 */
#include "microvm/guest_link.h"

#include "base/err.h"
#include "base/fd.h"
#include "base/str.h"
#include <errno.h>
#include <sys/socket.h>

void guest_link_done(struct guest_link *l)
{
	l->fd = fd_close(l->fd);
	buf_done(&l->out);
}

/* ---- to the guest ---- */

bool guest_link_waits(const struct guest_link *l)
{
	return l->out.len > l->out_off;
}

int guest_link_flush(struct guest_link *l)
{
	while (guest_link_waits(l)) {
		ssize_t n = send(l->fd, l->out.data + l->out_off, l->out.len - l->out_off,
				 MSG_DONTWAIT | MSG_NOSIGNAL);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? 0 : -errno;
		l->out_off += (size_t)n;
	}
	l->out_off = 0;
	buf_done(&l->out);
	return 0;
}

int guest_link_add(struct guest_link *l, enum guest_message type, const void *body, size_t len)
{
	const struct guest_head head = { type, (uint32_t)len };

	if (len > GUEST_MESSAGE_MAX)
		return err(-E2BIG, "arguments and environment are longer than %u bytes",
			   GUEST_MESSAGE_MAX);
	buf_add(&l->out, &head, sizeof(head));
	buf_add(&l->out, body, len);
	return l->out.failed ? err(-ENOMEM, "no memory") : 0;
}

/* ---- from the guest ---- */

/* Once for all messages of a read: what is left is the beginning of one, if anything. */
static void move_to_front(struct guest_link *l)
{
	l->in_len -= l->in_at;
	memmove(l->in, l->in + l->in_at, l->in_len);
	l->in_at = 0;
}

int guest_link_take(struct guest_link *l)
{
	ssize_t n;

	guest_link_flush(l); /* a peer that has gone shows below */
	move_to_front(l);
	do
		n = recv(l->fd, l->in + l->in_len, l->in_size - l->in_len, MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	if (n < 0 && errno == EAGAIN)
		return 0;
	if (n <= 0)
		return -EPIPE;
	l->in_len += (size_t)n;
	return 1;
}

int guest_link_front(const struct guest_link *l, struct guest_head *ret_head,
		     const uint8_t **ret_body)
{
	const uint8_t *at = l->in + l->in_at;
	size_t len = l->in_len - l->in_at;
	struct guest_head head;

	if (len < sizeof(head))
		return 0;
	memcpy(&head, at, sizeof(head));
	if (head.len > l->in_size - sizeof(head))
		return -EPROTO;
	if (len < sizeof(head) + head.len)
		return 0;
	*ret_head = head;
	*ret_body = at + sizeof(head);
	return 1;
}

void guest_link_next(struct guest_link *l, const struct guest_head *head)
{
	l->in_at += sizeof(*head) + head->len;
}

int guest_exited_read(const uint8_t *body, size_t len, int *ret_status)
{
	struct guest_exited e;

	if (len != sizeof(e))
		return -EPROTO;
	memcpy(&e, body, sizeof(e));
	*ret_status = (int)(e.status & 0xff);
	return 0;
}

int guest_failed_read(const uint8_t *body, size_t len, int *ret_error, int *ret_status,
		      char text[256])
{
	char plain[GUEST_REPLY_MAX + 1];
	struct guest_failed f;

	if (len < sizeof(f) || len > GUEST_REPLY_MAX)
		return -EPROTO;
	memcpy(&f, body, sizeof(f));
	memcpy(plain, body + sizeof(f), len - sizeof(f));
	plain[len - sizeof(f)] = '\0';
	*ret_error = (int)(f.error & 0xfff);
	*ret_status = f.status == 126 || f.status == 127 ? (int)f.status : 125;
	str_printable(text, 256, plain);
	return 0;
}
