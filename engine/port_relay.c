/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/port_relay.h"

#include "base/count.h"
#include "base/err.h"
#include "base/mem.h"
#include <errno.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define CHUNK 65536

/* Bytes, 0 = the end, -errno. */
static ssize_t take(struct port_relay *r, char *buf)
{
	struct pollfd p = { .fd = r->from, .events = POLLIN };
	ssize_t n;

	if (poll(&p, 1, -1) < 0)
		return -errno;
	pthread_mutex_lock(&r->lock);
	n = read(r->from, buf, CHUNK);
	if (n < 0)
		n = -errno;
	r->holds = n > 0;
	if (n > 0)
		count_add(&r->took, (uint64_t)n);
	pthread_mutex_unlock(&r->lock);
	return n;
}

/* All of it, also where writing does not wait; 0 or -errno. */
static int give(int to, const char *buf, size_t len)
{
	struct pollfd p = { .fd = to, .events = POLLOUT };

	while (len) {
		ssize_t n = write(to, buf, len);

		if (n >= 0) {
			buf += n;
			len -= (size_t)n;
		} else if (errno == EAGAIN) {
			poll(&p, 1, -1);
		} else if (errno != EINTR) {
			return -errno;
		}
	}
	return 0;
}

static void given(struct port_relay *r, bool over)
{
	pthread_mutex_lock(&r->lock);
	r->holds = false;
	r->over = over;
	pthread_cond_broadcast(&r->gave);
	pthread_mutex_unlock(&r->lock);
}

static void *carry(void *ctx)
{
	struct port_relay *r = ctx;
	char buf[CHUNK];
	uint64_t some;
	ssize_t n;

	while ((n = take(r, buf)) != 0) {
		if (n == -EINTR || n == -EAGAIN)
			continue;
		some = n > 0 ? MIN((uint64_t)n, r->left) : 0;
		if (n < 0 || give(r->to, buf, some) < 0)
			break;
		r->left -= some;
		given(r, false);
	}
	/* QEMU believes that nobody reads when it reads the end; what it is given has no more. */
	shutdown(r->ours, r->ours == r->from ? SHUT_RDWR : SHUT_WR);
	given(r, true);
	return NULL;
}

int port_relay_start(struct port_relay *r, int from, int to, int ours, uint64_t max)
{
	int e;

	r->from = from;
	r->to = to;
	r->ours = ours;
	r->left = max ? max : UINT64_MAX;
	pthread_mutex_init(&r->lock, NULL);
	pthread_cond_init(&r->gave, NULL);
	e = pthread_create(&r->thread, NULL, carry, r);
	if (e)
		return err(-e, "thread: %s", strerror(e));
	atomic_store(&r->started, true);
	return 0;
}

void port_relay_join(struct port_relay *r)
{
	if (atomic_load(&r->started))
		pthread_join(r->thread, NULL);
}

/* Under the lock. */
static bool busy(const struct port_relay *r)
{
	int waiting = 0;

	return !r->over && (r->holds || (ioctl(r->from, FIONREAD, &waiting) == 0 && waiting > 0));
}

bool port_relay_wait_idle(struct port_relay *r)
{
	bool waited = false;

	if (!atomic_load(&r->started))
		return false;
	pthread_mutex_lock(&r->lock);
	for (; busy(r); waited = true)
		pthread_cond_wait(&r->gave, &r->lock);
	pthread_mutex_unlock(&r->lock);
	return waited;
}

uint64_t port_relay_bytes(const struct port_relay *r)
{
	return count_get(&r->took);
}
