/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/server_spawn.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/proc.h"
#include "base/str.h"
#include "engine/arrival.h"
#include "engine/layers.h"
#include <poll.h>
#include <signal.h>
#include <sys/mman.h>

#define SERVER_THREADS	"2"   /* one may wait for a disk while the other answers from the map */
#define ARRIVAL_THREADS "8"   /* most of them may wait for the network */
#define SERVER_END_MS	10000 /* an unmounted server ends at once */

/* Its descriptors, in the order of enum server_fd; the caller frees them. */
static int fill_fds(const struct server_spawn *w, const struct arrival_fds *arrival, int objects,
		    int journal, int ready_fd, int **ret_fds, size_t *ret_n)
{
	const struct stack *k = w->stack;
	size_t nsums = k->sums ? k->npacks + 1 : 0, at = SERVER_PACKS + k->npacks + nsums;
	size_t n = at + arrival->n;
	int *fds = mem_new(n, sizeof(*fds));

	if (!fds)
		return -ENOMEM;
	fds[0] = fds[1] = -1;
	fds[2] = w->log_fd;
	fds[SERVER_FUSE] = w->fuse_fd;
	fds[SERVER_UPPER] = w->upper_fd;
	fds[SERVER_WORK] = w->work_fd;
	fds[SERVER_INDEX] = k->index_fd;
	fds[SERVER_OBJECTS] = objects;
	fds[SERVER_JOURNAL] = journal;
	fds[SERVER_READY] = ready_fd;
	for (size_t i = 0; i < k->npacks; i++)
		fds[SERVER_PACKS + i] = k->pack_fds[i];
	for (size_t i = 0; i < nsums; i++)
		fds[SERVER_PACKS + k->npacks + i] = k->sums[i];
	memcpy(fds + at, arrival->fds, arrival->n * sizeof(*fds));
	*ret_fds = fds;
	*ret_n = n;
	return 0;
}

static int start(struct store *s, const struct server_spawn *w, int ready_fd, pid_t *ret_pid,
		 int *ret_pidfd)
{
	_cleanup_(arrival_fds_close) struct arrival_fds arrival = { 0 };
	const struct arriving *a = w->stack->arriving;
	_free_ char *path = NULL;
	_free_ int *fds = NULL;
	_close_ int objects = layers_open_objects(s), journal = -1;
	char threads[] = SERVER_THREADS, more[] = ARRIVAL_THREADS;
	struct digest_hex manifest;
	char *argv[] = { NULL, /* its path: a reload starts what stands there by then */
			 (char *)w->upper,
			 a ? more : threads,
			 NULL,
			 NULL,
			 NULL };
	size_t n;
	int e;

	if (objects < 0)
		return objects;
	e = proc_sibling("strata-server", &path);
	if (e < 0)
		return e;
	argv[0] = path;
	journal = memfd_create("strata-journal", MFD_CLOEXEC);
	if (journal < 0)
		return err_sys("journal");
	if (a) {
		manifest = digest_hex(&a->manifest);
		argv[3] = (char *)(uintptr_t)store_path(s);
		argv[4] = manifest.s;
	}
	e = arrival_fds_make(a, &arrival);
	if (e >= 0)
		e = fill_fds(w, &arrival, objects, journal, ready_fd, &fds, &n);
	if (e < 0)
		return e;
	e = proc_spawn(path, argv, NULL, fds, n, ret_pid, ret_pidfd);
	return e < 0 ? err(e, "%s: %s", path, strerror(-e)) : 0;
}

/* Until it serves: a request to a server that never came up would wait for ever. */
static int wait_ready(int ready_fd)
{
	_free_ char *why = NULL;
	size_t len;
	int e = fd_read_all(ready_fd, ERR_TEXT_MAX, &why, &len);

	if (e < 0)
		return err(e, "strata-server: %s", strerror(-e));
	if (!len)
		return err(-EIO, "strata-server ended before it served");
	return why[0] == SERVER_UP[0] ? 0 : err(-EIO, "%s", why);
}

int server_spawn(struct store *s, const struct server_spawn *w, pid_t *ret_pid, int *ret_pidfd)
{
	_close_ int ready_fd = -1;
	int pipefd[2], e;

	if (pipe2(pipefd, O_CLOEXEC) < 0)
		return err_sys("pipe");
	ready_fd = pipefd[0];
	e = start(s, w, pipefd[1], ret_pid, ret_pidfd);
	fd_close(pipefd[1]);
	return e < 0 ? e : wait_ready(ready_fd);
}

void server_end(int pidfd, bool must)
{
	struct pollfd p = { .fd = pidfd, .events = POLLIN };
	bool ended = poll(&p, 1, SERVER_END_MS) > 0;
	int status;

	if (!ended && must)
		proc_pidfd_kill(pidfd, SIGKILL);
	if (ended || must)
		proc_wait(pidfd, &status);
	fd_close(pidfd);
}
