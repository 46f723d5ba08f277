/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A vhost-user front end that someone else wrote, and its guest. The input: 15 bits, the length of
 * the messages, and one, whether the device is a vsock; the messages; the rest is the guest's
 * memory from its first byte on. A message is request, flags, length and what comes with it (a byte
 * each), then its payload.
 */
#include "base/err.h"
#include "base/fd.h"
#include "base/mem.h"
#include "virtio/ring.h"
#include "virtio/virtio.h"
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>

#define RAM	  0x10000u
#define MESSAGES  64
#define FDS_MAX	  15u
#define ANSWER_MS 20

/* vhost-user.rst, "Front-end message types" */
enum { SET_VRING_KICK = 12, SET_VRING_CALL = 13 };

/* What comes with a message: so many descriptors, and of which kind. */
enum { WITH_COUNT = 0x0f, WITH_EVENTFD = 0x10, WITH_NULL = 0x20, WITH_LONG = 0x40 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static ssize_t serve(_unused_ void *ctx, const struct iovec *in, int nin, const struct iovec *out,
		     int nout)
{
	if (!nin || !in[0].iov_len || !nout || !out[0].iov_len)
		return 0;
	((char *)out[0].iov_base)[0] = ((const char *)in[0].iov_base)[0];
	return 1;
}

/* What a front end holds, and the input that it sends. */
struct front {
	int sock, ram, kick[2], call, null;
	const uint8_t *data;
	size_t size;
};

/* One for all calls; a kick belongs to its ring, the first byte of the payload. */
static int fd_for(const struct front *f, const uint8_t *data, uint8_t ring)
{
	if (data[3] & WITH_NULL)
		return f->null;
	if (!(data[3] & WITH_EVENTFD))
		return f->ram;
	return data[0] == SET_VRING_CALL ? f->call : f->kick[ring % 2];
}

/* The number of bytes of @data that it took, 0 = no more. */
static size_t put_message(const struct front *f, const uint8_t *data, size_t size)
{
	uint32_t wire[3 + 64] = { 0 };
	size_t len, nfds;
	int fds[FDS_MAX];

	if (size < 4)
		return 0;
	len = MIN(size - 4, (size_t)data[2]);
	nfds = data[3] & WITH_COUNT;
	wire[0] = data[0];
	wire[1] = data[1];
	wire[2] = (uint32_t)len + (data[3] & WITH_LONG ? 0x10000 : 0);
	memcpy(wire + 3, data + 4, len);
	for (size_t i = 0; i < nfds; i++)
		fds[i] = fd_for(f, data, len ? data[4] : 0);
	return fd_send(f->sock, wire, 12 + len, fds, nfds) < 0 ? 0 : 4 + len;
}

/* Hangs up when the device has answered, or will not: its threads take a moment. */
static void *front_end(void *ctx)
{
	struct front *f = ctx;
	struct pollfd called[] = { { .fd = f->call, .events = POLLIN },
				   { .fd = f->sock, .events = POLLRDHUP } };
	bool asked = false;
	size_t at = 0, n;

	for (unsigned i = 0; i < MESSAGES && at < f->size; i++, at += n) {
		n = put_message(f, f->data + at, f->size - at);
		if (!n)
			break;
		asked |= f->data[at] == SET_VRING_KICK;
	}
	if (asked)
		poll(called, 2, ANSWER_MS);
	shutdown(f->sock, SHUT_WR);
	return NULL;
}

static int new_ram(const uint8_t *data, size_t size)
{
	int fd = memfd_create("ram", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (fd < 0 || ftruncate(fd, RAM) < 0 || pwrite(fd, data, MIN(size, (size_t)RAM), 0) < 0 ||
	    fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK) < 0)
		return fd_close(fd);
	return fd;
}

static void run(struct vhost_user *u, const uint8_t *data, size_t size, size_t messages)
{
	_close_ int ram = new_ram(data + messages, size - messages);
	_close_ int first = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	_close_ int second = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	_close_ int call = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	_close_ int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	_close_ int stop = eventfd(0, EFD_CLOEXEC);
	struct front f = { -1, ram, { first, second }, call, null, data, messages };
	pthread_t thread;
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) < 0)
		return;
	f.sock = pair[1];
	/* Replies go into the socket's buffer: there are at most MESSAGES. */
	if (pthread_create(&thread, NULL, front_end, &f) == 0) {
		vhost_user_serve(u, pair[0], stop);
		shutdown(pair[0], SHUT_RDWR);
		pthread_join(thread, NULL);
	}
	err_clear();
	fd_close(pair[0]);
	fd_close(pair[1]);
}

/* One device of each kind serves all inputs, as it serves one connection after the other. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct vhost_user *fs, *vsock;
	const struct virtio_fs_config files = { .tag = "tag", .serve = serve };
	const struct virtio_vsock_config sockets = { .listen_fd = -1 };
	size_t messages;

	if (size < 2 || (!fs && (vhost_user_fs_new(&files, &fs) < 0 ||
				 vhost_user_vsock_new(&sockets, &vsock) < 0)))
		return 0;
	messages = (size_t)data[0] | (size_t)(data[1] & 0x7f) << 8;
	run(data[1] & 0x80 ? vsock : fs, data + 2, size - 2, MIN(messages, size - 2));
	return 0;
}
