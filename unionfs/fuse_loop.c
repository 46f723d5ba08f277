/* SPDX-License-Identifier: Apache-2.0 */
/* The /dev/fuse carrier: one descriptor, any number of threads. */
#include "base/err.h"
#include "base/fd.h"
#include "unionfs/journal.h"
#include "unionfs/linger.h"
#include "unionfs/readers.h"
#include "unionfs/request.h"
#include "unionfs/unionfs.h"
#include "unionfs/wire.h"

#include <errno.h>
#include <pthread.h>
#include <sys/mman.h>

#define PAGE	    4096u
#define PAYLOAD_MAX (1u << 20)
#define HEADERS_MAX (2 * PAGE) /* headers, arguments and names around a payload */
#define BUFFER	    (PAYLOAD_MAX + HEADERS_MAX)
#define RESIDENT    (PAGE + (64u << 10)) /* of a buffer for requests, from the start */
#define THREADS_MAX 64

/* Where the payload of a WRITE, or the data of a READ, begins at a page: copied by whole pages. */
#define IN_OFFSET  (PAGE - sizeof(struct wire_in_header) - sizeof(struct wire_write_in))
#define OUT_OFFSET (PAGE - sizeof(struct wire_out_header))

struct serving {
	struct ufs_conn *conn;
	struct readers *readers;
	struct linger linger;
	struct journal_slot slot; /* of no journal: j is NULL */
	int fd;
	char *buffers; /* one for requests, one for replies */
	int result;
	pthread_t thread;
};

static int notify(void *ctx, const struct iovec *iov, int n)
{
	const int *fd = ctx;

	return writev(*fd, iov, n) < 0 ? -errno : 0;
}

static void end_request(struct serving *s)
{
	struct journal *j = s->slot.j;

	if (!j->ready && ufs_conn_agreed(s->conn)) {
		j->flags = ufs_conn_agreed(s->conn);
		j->ready = 1;
	}
	journal_end(&s->slot);
}

/* A server before this one was killed: what INIT agreed on holds, and what it left undone comes
 * again. */
static int take_over(struct ufs_conn *c, int fuse_fd, struct journal *j)
{
	const struct wire_out_header again = { .len = sizeof(again), .error = WIRE_NOTIFY_RESEND };

	journal_recover(j);
	ufs_conn_resume(c, j->flags);
	return write(fuse_fd, &again, sizeof(again)) < 0 ? err_sys("serve: FUSE_NOTIFY_RESEND") : 0;
}

/* One request: 1 = done, 0 = unmounted, -errno. */
static int serve_one(struct serving *s)
{
	struct iovec in = { s->buffers + IN_OFFSET, BUFFER - IN_OFFSET };
	struct iovec out = { s->buffers + BUFFER + OUT_OFFSET, BUFFER - OUT_OFFSET };
	ssize_t n;

	if (!readers_wait(s->readers))
		return 0;
	/* Of many that wait, one would be awake for the request of another. */
	if (!readers_crowded(s->readers))
		linger(&s->linger, s->fd);
	n = read(s->fd, in.iov_base, in.iov_len);
	readers_took(s->readers, n < (ssize_t)sizeof(struct wire_in_header) ? NULL : in.iov_base);
	if (n < 0) {
		/* ENOENT: the request was taken back. */
		if (errno == EINTR || errno == EAGAIN || errno == ENOENT)
			return 1;
		return errno == ENODEV ? 0 : -errno;
	}
	in.iov_len = (size_t)n;
	n = request_serve(s->conn, s->slot.j ? &s->slot : NULL, &in, 1, &out, 1);
	if (s->slot.j)
		journal_count(&s->slot);
	/*
	 * A reply that the kernel does not want (the request was taken back, the mount is going) is
	 * its affair.
	 */
	if (n > 0)
		n = write(s->fd, out.iov_base, (size_t)n);
	if (n < 0 && errno == ENODEV)
		return 0;
	if (s->slot.j)
		end_request(s);
	return 1;
}

static void *serve_thread(void *arg)
{
	struct serving *s = arg;

	do
		s->result = serve_one(s);
	while (s->result > 0);
	readers_end(s->readers);
	return NULL;
}

/*
 * A thread that is killed while it waits still takes the request that came in the same moment. Its
 * copy goes into pages that are there, and the request comes again; a page that would have to be
 * made fails for a process that is dying, and Linux ends the request with EIO. So the pages that
 * all requests but large writes need are there from the start.
 */
static void make_resident(char *buffers)
{
	for (size_t at = 0; at < RESIDENT; at += PAGE)
		*(volatile char *)(buffers + at) = 0;
}

static int serving_init(struct serving *s, const struct serving *like, unsigned int n)
{
	void *p = mmap(NULL, 2 * BUFFER, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		return err_sys("serve: buffers");
	if (like->slot.j)
		make_resident(p);
	*s = *like;
	s->slot.n = n;
	s->buffers = p;
	return 0;
}

/* The calling thread is the first. Fewer than were asked for serve as well. */
static int serve_all(struct serving *s, int n)
{
	int started = 1;

	while (started < n &&
	       pthread_create(&s[started].thread, NULL, serve_thread, &s[started]) == 0)
		started++;
	serve_thread(&s[0]);
	for (int i = 1; i < started; i++)
		pthread_join(s[i].thread, NULL);
	return s[0].result;
}

static int serve_on(const struct serving *like, int nthreads)
{
	struct serving s[THREADS_MAX];
	int n = 0, e = 0;

	while (!e && n < nthreads && n < THREADS_MAX) {
		e = serving_init(&s[n], like, (unsigned int)n);
		if (!e)
			n++;
	}
	if (n)
		e = serve_all(s, n);
	for (int i = 0; i < n; i++)
		munmap(s[i].buffers, 2 * BUFFER);
	return e;
}

int ufs_fuse_serve(struct ufs *u, int fuse_fd, int nthreads, struct journal *j)
{
	const struct ufs_carrier carrier = { .notify = notify };
	struct readers readers;
	struct serving like = { .readers = &readers, .slot = { .j = j }, .fd = fuse_fd };
	int e = readers_init(&readers);

	if (e)
		return e;
	like.conn = ufs_conn_new(u, &carrier, &fuse_fd);
	e = like.conn ? 0 : -ENOMEM;
	if (!e && j && ufs_journal_used(j))
		e = take_over(like.conn, fuse_fd, j);
	if (!e)
		e = serve_on(&like, MAX(nthreads, 1));
	ufs_conn_free(like.conn);
	readers_done(&readers);
	return e;
}
