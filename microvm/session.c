/* SPDX-License-Identifier: Apache-2.0 */
#include "base/buf.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/str.h"
#include "microvm/guest_fields.h"
#include "microvm/guest_link.h"
#include "microvm/microvm.h"
#include <errno.h>
#include <poll.h>

struct vm_session {
	struct guest_link link;
	enum { EXEC, PROCESSES, COPY_IN, COPY_OUT } kind;
	bool input;	  /* the command reads some */
	bool began, over; /* STARTED has come; the last message has */
	bool held;	  /* it goes with what comes next: nobody waits for it yet */
	uint32_t flying;  /* bytes of input that are not TAKEN yet */
	uint8_t in[sizeof(struct guest_head) + GUEST_CHUNK_MAX];
};

/* ---- to the guest ---- */

static int message(struct vm_session *s, enum guest_message type, const void *body, size_t len)
{
	int r = guest_link_add(&s->link, type, body, len);

	/* That it has gone shows when its words are read: they may say why. */
	if (r == 0 && !s->held)
		guest_link_flush(&s->link);
	return r;
}

static struct vm_session *session_new(int fd)
{
	struct vm_session *s = new0(struct vm_session);

	if (!s) {
		fd_close(fd);
		err(-ENOMEM, "no memory");
		return NULL;
	}
	s->link = (struct guest_link){ .fd = fd, .in = s->in, .in_size = sizeof(s->in) };
	return s;
}

/* Hands it over when its first message is on its way, @r being 0. */
static int session_begun(struct vm_session *s, int r, struct vm_session **ret)
{
	if (r < 0)
		vm_session_free(s);
	else
		*ret = s;
	return r;
}

static int send_exec(struct vm_session *s, const struct vm_guest_exec *x)
{
	const struct guest_size size = { (uint16_t)x->rows, (uint16_t)x->cols };
	_buf_done_ struct buf b = { 0 };
	int r = guest_args_check(x->argv, x->env);

	if (r < 0)
		return r;
	guest_field_u32(&b, GUEST_TAG_VERSION, GUEST_VERSION);
	guest_field_u32(&b, GUEST_TAG_FLAGS,
			(x->tty ? GUEST_FLAG_TTY : 0) | (x->stdin_open ? GUEST_FLAG_STDIN : 0));
	guest_fields_strv(&b, GUEST_TAG_ARG, x->argv);
	guest_fields_strv(&b, GUEST_TAG_ENV, x->env);
	guest_field_str(&b, GUEST_TAG_CWD, x->cwd);
	guest_field_str(&b, GUEST_TAG_USER, x->user);
	guest_field(&b, GUEST_TAG_SIZE, &size, sizeof(size));
	return b.failed ? err(-ENOMEM, "no memory") : message(s, GUEST_EXEC, b.data, b.len);
}

int vm_session_exec(int fd, const struct vm_guest_exec *x, struct vm_session **ret)
{
	struct vm_session *s = session_new(fd);

	if (!s)
		return -ENOMEM;
	s->kind = EXEC;
	s->input = x->stdin_open || x->tty;
	return session_begun(s, send_exec(s, x), ret);
}

int vm_session_processes(int fd, struct vm_session **ret)
{
	const uint32_t version = GUEST_VERSION;
	struct vm_session *s = session_new(fd);

	if (!s)
		return -ENOMEM;
	s->kind = PROCESSES;
	s->began = true;
	return session_begun(s, message(s, GUEST_PROCESSES, &version, sizeof(version)), ret);
}

static int send_copy(struct vm_session *s, uint32_t type, uint32_t flags, const char *path,
		     const char *name)
{
	_buf_done_ struct buf b = { 0 };

	guest_field_u32(&b, GUEST_TAG_VERSION, GUEST_VERSION);
	guest_field_u32(&b, GUEST_TAG_FLAGS, flags);
	guest_field_str(&b, GUEST_TAG_ARG, path);
	guest_field_str(&b, GUEST_TAG_ARG, name);
	return b.failed ? err(-ENOMEM, "no memory") : message(s, type, b.data, b.len);
}

int vm_session_copy_out(int fd, const char *path, struct vm_session **ret)
{
	struct vm_session *s = session_new(fd);

	if (!s)
		return -ENOMEM;
	s->kind = COPY_OUT;
	return session_begun(s, send_copy(s, GUEST_COPY_OUT, 0, path, NULL), ret);
}

int vm_session_copy_in(int fd, const struct vm_guest_copy *c, struct vm_session **ret)
{
	uint32_t flags = (c->directory ? GUEST_FLAG_DIRECTORY : 0) |
			 (c->content ? GUEST_FLAG_CONTENT : 0) |
			 (c->archive ? GUEST_FLAG_ARCHIVE : 0);
	struct vm_session *s = session_new(fd);

	if (!s)
		return -ENOMEM;
	s->kind = COPY_IN;
	return session_begun(s, send_copy(s, GUEST_COPY_IN, flags, c->to, c->name), ret);
}

int vm_session_tree(struct vm_session *s, const struct iovec *iov, unsigned n)
{
	_buf_done_ struct buf b = { 0 };

	for (unsigned i = 0; i < n; i++)
		buf_add(&b, iov[i].iov_base, iov[i].iov_len);
	/* A file is several small records: a chunk of them goes at a time. */
	s->held = n && s->link.out.len - s->link.out_off + b.len < GUEST_CHUNK_MAX;
	return b.failed ? err(-ENOMEM, "no memory") : message(s, GUEST_TREE, b.data, b.len);
}

void vm_session_free(struct vm_session *s)
{
	if (!s)
		return;
	guest_link_done(&s->link);
	free(s);
}

int vm_session_fd(const struct vm_session *s)
{
	return s->link.fd;
}

short vm_session_events(const struct vm_session *s)
{
	return guest_link_waits(&s->link) && !s->held ? POLLIN | POLLOUT : POLLIN;
}

size_t vm_session_room(const struct vm_session *s)
{
	return s->input && s->began ? MIN(GUEST_WINDOW - s->flying, GUEST_CHUNK_MAX) : 0;
}

int vm_session_input(struct vm_session *s, const void *data, size_t len)
{
	s->flying += (uint32_t)len;
	s->input = s->input && len;
	return message(s, GUEST_INPUT, data, len);
}

int vm_session_unread(struct vm_session *s, bool errors)
{
	const uint32_t stream = errors ? GUEST_ERRORS : GUEST_OUTPUT;

	return message(s, GUEST_UNREAD, &stream, sizeof(stream));
}

int vm_session_signal(struct vm_session *s, int sig)
{
	const struct guest_signal g = { (uint32_t)sig };

	return message(s, GUEST_SIGNAL, &g, sizeof(g));
}

int vm_session_resize(struct vm_session *s, unsigned rows, unsigned cols)
{
	const struct guest_size size = { (uint16_t)rows, (uint16_t)cols };

	return message(s, GUEST_RESIZE, &size, sizeof(size));
}

/* ---- from the guest ---- */

static int failed(const uint8_t *body, size_t len, struct vm_session_event *ret)
{
	int r = guest_failed_read(body, len, &ret->error, &ret->status, ret->text);

	ret->kind = VM_SESSION_FAILED;
	return r < 0 ? r : 1;
}

static int exited(const uint8_t *body, size_t len, struct vm_session_event *ret)
{
	int r = guest_exited_read(body, len, &ret->status);

	ret->kind = VM_SESSION_EXITED;
	return r < 0 ? r : 1;
}

static int taken(struct vm_session *s, const uint8_t *body, size_t len,
		 struct vm_session_event *ret)
{
	uint32_t n;

	if (len != sizeof(n))
		return -EPROTO;
	memcpy(&n, body, sizeof(n));
	if (n > s->flying)
		return -EPROTO;
	s->flying -= n;
	ret->kind = VM_SESSION_ROOM;
	return 1;
}

static int process(const uint8_t *body, size_t len, struct vm_session_event *ret)
{
	struct guest_process p;

	if (len < sizeof(p))
		return -EPROTO;
	memcpy(&p, body, sizeof(p));
	ret->kind = VM_SESSION_PROCESS;
	ret->pid = (pid_t)(p.pid & INT32_MAX);
	ret->ppid = (pid_t)(p.ppid & INT32_MAX);
	ret->uid = p.uid;
	ret->cpu_ns = p.cpu_ns;
	ret->data = body + sizeof(p);
	ret->len = len - sizeof(p);
	return 1;
}

static int started(const struct vm_session *s, const uint8_t *body, size_t len,
		   struct vm_session_event *ret)
{
	uint32_t directory = 0;

	if (len != (s->kind == COPY_OUT ? sizeof(directory) : 0))
		return -EPROTO;
	memcpy(&directory, body, len);
	ret->kind = VM_SESSION_STARTED;
	ret->directory = directory & 1;
	return 1;
}

/* Which of these may come after STARTED (of PROCESSES: at all), in which kind of session. */
static const struct {
	uint32_t type;
	unsigned session;
	enum vm_session_kind kind;
} bytes[] = {
	{ GUEST_OUTPUT, EXEC, VM_SESSION_OUTPUT },
	{ GUEST_ERRORS, EXEC, VM_SESSION_ERRORS },
	{ GUEST_TREE, COPY_OUT, VM_SESSION_TREE },
};

static int more(struct vm_session *s, uint32_t type, const uint8_t *body, size_t len,
		struct vm_session_event *ret)
{
	if (type == GUEST_EXITED)
		return exited(body, len, ret);
	if (type == GUEST_PROCESS && s->kind == PROCESSES)
		return process(body, len, ret);
	if (type == GUEST_TAKEN && s->kind == EXEC)
		return taken(s, body, len, ret);
	for (size_t i = 0; i < ARRAY_SIZE(bytes); i++) {
		if (bytes[i].type != type || bytes[i].session != (unsigned)s->kind)
			continue;
		ret->kind = bytes[i].kind;
		return 1;
	}
	return -EPROTO;
}

/* What each may say, and when; a copy may fail at any time. */
static int event(struct vm_session *s, uint32_t type, const uint8_t *body, size_t len,
		 struct vm_session_event *ret)
{
	bool fails = !s->began || s->kind == COPY_IN || s->kind == COPY_OUT;
	int r;

	*ret = (struct vm_session_event){ .data = body, .len = len };
	if (type == GUEST_FAILED && fails)
		return failed(body, len, ret);
	if (s->began)
		return more(s, type, body, len, ret);
	r = type == GUEST_STARTED ? started(s, body, len, ret) : -EPROTO;
	s->began = r > 0;
	return r;
}

/* The next message, if it is whole: 1, 0 = not yet, -EPROTO. */
static int parse(struct vm_session *s, struct vm_session_event *ret)
{
	struct guest_head head;
	const uint8_t *body;
	int r = guest_link_front(&s->link, &head, &body);

	if (r == 1)
		r = s->over ? -EPROTO : event(s, head.type, body, head.len, ret);
	if (r <= 0)
		return r;
	guest_link_next(&s->link, &head);
	s->over = ret->kind == VM_SESSION_FAILED || ret->kind == VM_SESSION_EXITED;
	return r;
}

int vm_session_next(struct vm_session *s, struct vm_session_event *ret)
{
	int r;

	while ((r = parse(s, ret)) == 0) {
		r = guest_link_take(&s->link);
		if (r <= 0)
			return r;
	}
	return r < 0 ? err(r, "the VM's init sent what is no message of it") : r;
}
