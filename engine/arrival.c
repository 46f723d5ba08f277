/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/arrival.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/proc.h"
#include <sys/socket.h>

/* So many deaths within that time: it will not live. */
#define DEATHS_MAX 20
#define DEATHS_NS  (10 * UINT64_C(1000000000))

int arrival_fds_make(const struct arriving *a, struct arrival_fds *ret)
{
	int doors[2], desk, e;

	if (!a)
		return 0;
	e = arrival_desk_new(&desk);
	if (e < 0)
		return e;
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, doors) < 0) {
		e = err_sys("socketpair");
		fd_close(desk);
		return e;
	}
	ret->fds[ARRIVAL_TABLE] = a->table_fd;
	ret->fds[ARRIVAL_STATE] = a->state_fd;
	ret->fds[ARRIVAL_DATA] = a->data_fd;
	ret->fds[ARRIVAL_DESK] = desk;
	ret->fds[ARRIVAL_DOOR] = doors[0];
	ret->fds[ARRIVAL_FETCHER] = doors[1];
	ret->n = ARRIVAL_FDS;
	return 0;
}

void arrival_fds_close(struct arrival_fds *a)
{
	for (size_t i = ARRIVAL_DESK; i < a->n; i++)
		fd_close(a->fds[i]);
	a->n = 0;
}

int arrival_fetch_start(const struct arrival_fetch *f, pid_t *ret_pid, int *ret_pidfd)
{
	const int fds[] = { -1, -1, f->log_fd, f->desk_fd, f->fetcher_fd };
	struct digest_hex manifest = digest_hex(f->manifest);
	_free_ char *path = NULL, *root = strdup(f->root);
	char *argv[] = {
		(char[]){ "strata-image" }, (char[]){ "--root" }, root, (char[]){ "fetch" },
		(char[]){ "--desk" },	    manifest.s,		  NULL
	};
	int r = root ? proc_sibling("strata-image", &path) : -ENOMEM;

	if (r < 0)
		return r;
	r = proc_spawn(path, argv, NULL, fds, ARRAY_SIZE(fds), ret_pid, ret_pidfd);
	return r < 0 ? err(r, "%s: %s", path, strerror(-r)) : 0;
}

bool arrival_fetch_again(struct arrival_deaths *d)
{
	uint64_t now = clock_ns();

	if (!d->n || now - d->first > DEATHS_NS)
		*d = (struct arrival_deaths){ .first = now };
	if (++d->n > DEATHS_MAX) {
		log_err("what fetches for this mount died %d times: reads of what is not here are "
			"errors",
			d->n);
		return false;
	}
	log_info("what fetches for this mount has ended: another is started");
	return true;
}
