/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/bridge.h"

#include "base/err.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/proc.h"
#include "base/str.h"
#include "engine/publish.h"
#include "network/network.h"
#include <arpa/inet.h>
#include <sys/socket.h>

#define PROGRAM "strata-net"

/* ---- published ports ---- */

/* Bound, so that nobody else is: to listen is the instance's part. */
static int reserve(const struct publish *p)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_port = htons(p->host) };
	_close_ int fd = socket(AF_INET, (p->udp ? SOCK_DGRAM : SOCK_STREAM) | SOCK_CLOEXEC, 0);

	if (p->address[0])
		inet_pton(AF_INET, p->address, &a.sin_addr);
	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0)
		return err_sys("port %u", p->host);
	return take_fd(fd);
}

static int add_port(struct bridge_end *e, const char *text, char ***words)
{
	_free_ char *word = NULL;
	struct publish p;
	int r = publish_parse(text, &p);

	if (r < 0)
		return r;
	word = str_fmt(NETWORK_PORT_FMT, p.udp ? "udp" : "tcp",
		       p.address[0] ? p.address : "0.0.0.0", p.host, p.guest);
	if (!word || strv_add(words, word) < 0)
		return -ENOMEM;
	r = reserve(&p);
	if (r >= 0)
		e->ports[e->nports++] = r;
	return r;
}

/* ---- strata-net ---- */

static const char *bridge_word(void)
{
	const char *word = getenv("STRATA_BRIDGE");

	return word && *word ? word : NETWORK_DEFAULT;
}

/* Runs it to its end; @answer_fd is its descriptor 3, or -1. */
static int run(char *const *argv, int log_fd, int answer_fd)
{
	const int fds[] = { -1, -1, log_fd, answer_fd };
	_free_ char *path = NULL;
	_close_ int pidfd = -1;
	int status = 0, r = proc_sibling(PROGRAM, &path);

	if (r < 0)
		return r;
	r = proc_spawn(path, argv, NULL, fds, answer_fd < 0 ? 3 : 4, NULL, &pidfd);
	if (r >= 0)
		r = proc_wait(pidfd, &status);
	return r < 0 ? err(r, "%s: %s", path, strerror(-r)) : status;
}

static int take_answer(int sock, struct bridge_end *e)
{
	struct network_answer a;
	int fds[2] = { -1, -1 };
	size_t nfds = 0;
	ssize_t n = fd_recv(sock, &a, sizeof(a), fds, ARRAY_SIZE(fds), &nfds);

	e->lease = fds[0];
	e->device = fds[1];
	if (n != sizeof(a))
		return err(-EIO, PROGRAM " ended without an answer");
	a.text[sizeof(a.text) - 1] = '\0';
	if (a.error < 0)
		return err(a.error == -ENOENT || a.error == -EACCES ? -EIO : a.error, "%s", a.text);
	memcpy(e->address, a.address, sizeof(e->address));
	memcpy(e->gateway, a.gateway, sizeof(e->gateway));
	e->prefix = a.prefix;
	return nfds == 2 ? 0 : err(-EIO, PROGRAM " gave no device");
}

static int bring_up(const char *runroot, const struct run_spec *spec, char *const *ports,
		    int log_fd, struct bridge_end *e)
{
	const char *const words[] = {
		PROGRAM,      "up", runroot, spec->id, spec->kind == RUN_VM ? "vm" : "container",
		bridge_word()
	};
	_strv_free_ char **argv = NULL;
	int pair[2], r = 0;

	for (size_t i = 0; r >= 0 && i < ARRAY_SIZE(words); i++)
		r = strv_add(&argv, words[i]);
	for (char *const *p = ports; r >= 0 && p && *p; p++)
		r = strv_add(&argv, *p);
	if (r < 0)
		return r;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return err_sys("network socket");
	r = run(argv, log_fd, pair[1]);
	fd_close(pair[1]);
	if (r >= 0)
		r = take_answer(pair[0], e);
	fd_close(pair[0]);
	return r;
}

static void take_down(const char *runroot, const char *id)
{
	char program[] = PROGRAM, word[] = "down";
	char *const argv[] = { program, word, (char *)runroot, (char *)id, NULL };

	if (run(argv, -1, -1) != 0)
		log_err("the network of %s: %s", id, err_text() ? err_text() : "not cleared");
	err_clear();
}

/* ---- the end ---- */

static void let_go(struct bridge_end *e)
{
	for (size_t i = 0; i < e->nports; i++)
		fd_close(e->ports[i]);
	free(e->ports);
	fd_close(e->device);
	fd_close(e->lease);
	*e = BRIDGE_END_NONE;
}

int bridge_open(const char *runroot, const struct run_spec *spec, int log_fd,
		struct bridge_end *ret)
{
	const size_t n = strv_len(spec->ports);
	struct bridge_end e = BRIDGE_END_NONE;
	_strv_free_ char **words = NULL;
	int r = 0;

	e.ports = mem_new(n, sizeof(*e.ports));
	if (!e.ports)
		return -ENOMEM;
	for (size_t i = 0; r >= 0 && i < n; i++)
		r = add_port(&e, spec->ports[i], &words);
	if (r >= 0)
		r = bring_up(runroot, spec, words, log_fd, &e);
	if (r < 0)
		let_go(&e);
	else
		*ret = e;
	return r;
}

void bridge_close(const char *runroot, const char *id, struct bridge_end *e)
{
	const bool was = e->lease >= 0;

	let_go(e);
	if (was)
		take_down(runroot, id);
}

void bridge_recover(const char *runroot, const char *id)
{
	_free_ char *path = str_fmt("%s/" NETWORK_FOLDER "/%s", runroot, id);

	if (path && access(path, F_OK) == 0)
		take_down(runroot, id);
}
