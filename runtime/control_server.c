/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/control.h"

#include "base/err.h"
#include "base/fd.h"
#include "base/list.h"
#include <errno.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#define CLIENTS_MAX 128 /* connections at a time; more are turned away and try again */
#define BACKLOG	    64

struct control {
	struct loop *loop;
	int listener;
	const struct control_handler *handler;
	void *ctx;
	struct list clients;
	size_t nclients;
	bool ended;
	struct control_reply end;
};

struct control_client {
	struct list link;
	struct control *control;
	int fd;
	bool waits; /* for the end */
};

static void client_free(struct control_client *cl)
{
	loop_remove(cl->control->loop, cl->fd);
	fd_close(cl->fd);
	list_remove(&cl->link);
	cl->control->nclients--;
	free(cl);
}

/* A client that does not read its answers is let go: nothing here waits for anybody. */
static int client_reply(struct control_client *cl, const struct control_reply *reply)
{
	ssize_t n = send(cl->fd, reply, sizeof(*reply), MSG_DONTWAIT | MSG_NOSIGNAL);

	return n == sizeof(*reply) ? 0 : -EPIPE;
}

/* What @get gives: a descriptor, which is theirs then. */
static int client_descriptor(struct control_client *cl, int (*get)(void *ctx, int *ret_fd))
{
	struct control *c = cl->control;
	_close_ int fd = -1;
	struct control_reply reply = { .result = c->ended ? -ESRCH : get(c->ctx, &fd) };
	ssize_t n;

	/* Nobody is there to print what the handler attached. */
	err_clear();
	if (reply.result < 0)
		return client_reply(cl, &reply);
	n = fd_send(cl->fd, &reply, sizeof(reply), &fd, 1);
	return n == sizeof(reply) ? 0 : -EPIPE;
}

/* 1 = the answer comes at the end. */
static int request_do(struct control *c, const struct control_request *q)
{
	int r;

	switch (q->kind) {
	case CONTROL_WAIT:
		return 1;
	case CONTROL_STOP:
		r = c->ended ? 0 : c->handler->stop(c->ctx, q->a, q->b);
		return r < 0 ? r : 1;
	case CONTROL_KILL:
		return c->ended ? -ESRCH : c->handler->kill(c->ctx, q->a);
	case CONTROL_RESIZE:
		if (q->a < 0 || q->b < 0 || q->a > UINT16_MAX || q->b > UINT16_MAX)
			return -EINVAL;
		return c->ended ? -ESRCH :
				  c->handler->resize(c->ctx, (unsigned)q->a, (unsigned)q->b);
	case CONTROL_PAUSE:
		if (q->a != 0 && q->a != 1)
			return -EINVAL;
		return c->ended ? -ESRCH : c->handler->pause(c->ctx, q->a);
	case CONTROL_MEMORY:
		if (q->a <= 0)
			return -EINVAL;
		return c->ended ? -ESRCH : c->handler->memory(c->ctx, (unsigned)q->a);
	case CONTROL_CHECKPOINT:
		r = c->ended ? -ESRCH : c->handler->checkpoint(c->ctx);
		return r < 0 ? r : 1;
	case CONTROL_CLONE:
		return c->ended ? -ESRCH : c->handler->clone(c->ctx, q->a);
	default:
		return -EINVAL;
	}
}

static int client_serve(struct control_client *cl, const struct control_request *q)
{
	struct control *c = cl->control;
	struct control_reply reply = { 0 };

	if (q->kind == CONTROL_ATTACH)
		return client_descriptor(cl, c->handler->attach);
	if (q->kind == CONTROL_STATS)
		return client_descriptor(cl, c->handler->stats);
	reply.result = request_do(c, q);
	err_clear();
	if (reply.result <= 0)
		return client_reply(cl, &reply);
	if (c->ended)
		return client_reply(cl, &c->end);
	cl->waits = true;
	return 0;
}

static int on_client(void *ctx, int fd, _unused_ uint32_t events)
{
	struct control_client *cl = ctx;
	struct control_request q;
	ssize_t n = recv(fd, &q, sizeof(q), MSG_DONTWAIT | MSG_TRUNC);

	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (n != sizeof(q) || client_serve(cl, &q) < 0)
		client_free(cl);
	return 0;
}

static bool peer_allowed(int fd)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0)
		return false;
	return peer.uid == 0 || peer.uid == geteuid();
}

static int client_new(struct control *c, int fd)
{
	struct control_client *cl;
	int r;

	if (c->nclients >= CLIENTS_MAX || !peer_allowed(fd))
		return -EPERM;
	cl = new0(struct control_client);
	if (!cl)
		return -ENOMEM;
	*cl = (struct control_client){ .control = c, .fd = fd };
	r = loop_add(c->loop, fd, EPOLLIN, on_client, cl);
	if (r < 0) {
		free(cl);
		return r;
	}
	list_append(&c->clients, &cl->link);
	c->nclients++;
	return 0;
}

static int on_listener(void *ctx, int fd, _unused_ uint32_t events)
{
	int client = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	if (client >= 0 && client_new(ctx, client) < 0)
		fd_close(client);
	return 0;
}

static int listen_at(int dir)
{
	_close_ int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un name = { .sun_family = AF_UNIX };

	if (fd < 0)
		return -errno;
	/* One that a killed supervisor left. */
	if (unlinkat(dir, CONTROL_SOCKET, 0) < 0 && errno != ENOENT)
		return -errno;
	snprintf(name.sun_path, sizeof(name.sun_path), "%s/" CONTROL_SOCKET, fd_path(dir).s);
	if (fchmod(fd, 0600) < 0 || bind(fd, (struct sockaddr *)&name, sizeof(name)) < 0 ||
	    listen(fd, BACKLOG) < 0)
		return -errno;
	return take_fd(fd);
}

int control_new(struct loop *loop, int dir, const struct control_handler *handler, void *ctx,
		struct control **ret)
{
	struct control *c = new0(struct control);
	int r;

	if (!c)
		return -ENOMEM;
	*c = (struct control){ .loop = loop, .handler = handler, .ctx = ctx };
	list_init(&c->clients);
	c->listener = r = listen_at(dir);
	if (r >= 0)
		r = loop_add(loop, c->listener, EPOLLIN, on_listener, c);
	if (r < 0) {
		control_free(c);
		return err(r, "control socket: %s", strerror(-r));
	}
	*ret = c;
	return 0;
}

/*
 * Nobody is served by the loop any more when this is called: all that was asked is answered here.
 */
static void client_end(struct control_client *cl)
{
	struct control_request q;

	if (cl->waits)
		client_reply(cl, &cl->control->end);
	cl->waits = false;
	while (recv(cl->fd, &q, sizeof(q), MSG_DONTWAIT | MSG_TRUNC) == sizeof(q))
		client_serve(cl, &q);
}

void control_ended(struct control *c, int exit_code, bool oom_killed)
{
	size_t before;

	c->ended = true;
	c->end = (struct control_reply){ .exit_code = exit_code, .oom_killed = oom_killed };
	do {
		before = c->nclients;
		on_listener(c, c->listener, 0);
	} while (c->nclients > before);
	list_for_each(l, &c->clients)
		client_end(list_entry(l, struct control_client, link));
}

void control_free(struct control *c)
{
	if (!c)
		return;
	list_for_each_safe(l, &c->clients)
		client_free(list_entry(l, struct control_client, link));
	loop_remove(c->loop, c->listener);
	fd_close(c->listener);
	free(c);
}
