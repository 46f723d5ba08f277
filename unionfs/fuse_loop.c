/* SPDX-License-Identifier: Apache-2.0 */
/* The /dev/fuse carrier: one descriptor, any number of threads. */
#include "base/err.h"
#include "base/fd.h"
#include "unionfs/unionfs.h"
#include "unionfs/wire.h"

#include <errno.h>
#include <pthread.h>
#include <sys/mman.h>

#define PAGE	    4096u
#define PAYLOAD_MAX (1u << 20)
#define HEADERS_MAX (2 * PAGE) /* headers, arguments and names around a payload */
#define BUFFER	    (PAYLOAD_MAX + HEADERS_MAX)
#define THREADS_MAX 64

/* Where the payload of a WRITE, or the data of a READ, begins at a page: copied by whole pages. */
#define IN_OFFSET  (PAGE - sizeof(struct wire_in_header) - sizeof(struct wire_write_in))
#define OUT_OFFSET (PAGE - sizeof(struct wire_out_header))

struct serving {
	struct ufs_conn *conn;
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

/* One request: 1 = done, 0 = unmounted, -errno. */
static int serve_one(struct serving *s)
{
	struct iovec in = { s->buffers + IN_OFFSET, BUFFER - IN_OFFSET };
	struct iovec out = { s->buffers + BUFFER + OUT_OFFSET, BUFFER - OUT_OFFSET };
	ssize_t n = read(s->fd, in.iov_base, in.iov_len);

	if (n < 0) {
		/* ENOENT: the request was taken back. */
		if (errno == EINTR || errno == EAGAIN || errno == ENOENT)
			return 1;
		return errno == ENODEV ? 0 : -errno;
	}
	in.iov_len = (size_t)n;
	n = ufs_serve(s->conn, &in, 1, &out, 1);
	/*
	 * A reply that the kernel does not want (the request was taken back, the mount is going) is
	 * its affair.
	 */
	if (n > 0 && write(s->fd, out.iov_base, (size_t)n) < 0 && errno == ENODEV)
		return 0;
	return 1;
}

static void *serve_thread(void *arg)
{
	struct serving *s = arg;

	do
		s->result = serve_one(s);
	while (s->result > 0);
	return NULL;
}

static int serving_init(struct serving *s, struct ufs_conn *conn, int fd)
{
	void *p = mmap(NULL, 2 * BUFFER, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		return err_sys("serve: buffers");
	*s = (struct serving){ .conn = conn, .fd = fd, .buffers = p };
	return 0;
}

int ufs_fuse_serve(struct ufs *u, int fuse_fd, int nthreads)
{
	struct serving s[THREADS_MAX];
	const struct ufs_carrier carrier = { .notify = notify };
	struct ufs_conn *conn = ufs_conn_new(u, &carrier, &fuse_fd);
	int n = 0, started = 1, e = conn ? 0 : -ENOMEM;

	nthreads = MIN(nthreads, THREADS_MAX);
	nthreads = MAX(nthreads, 1);
	while (!e && n < nthreads) {
		e = serving_init(&s[n], conn, fuse_fd);
		if (!e)
			n++;
	}
	/* Fewer threads serve as well. */
	if (n) {
		while (started < n &&
		       pthread_create(&s[started].thread, NULL, serve_thread, &s[started]) == 0)
			started++;
		serve_thread(&s[0]);
		e = s[0].result;
		for (int i = 1; i < started; i++)
			pthread_join(s[i].thread, NULL);
	}
	for (int i = 0; i < n; i++)
		munmap(s[i].buffers, 2 * BUFFER);
	ufs_conn_free(conn);
	return e;
}
