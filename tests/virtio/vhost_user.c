/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/virtio/driver.h"

#include "base/clock.h"
#include "base/err.h"
#include <pthread.h>
#include <sys/mman.h>
#include <sys/socket.h>

#define USER	 0x7f0000000000u /* where this front end says that it has the memory */
#define FEATURES (VIRTIO_F_VERSION_1 | VIRTIO_F_EVENT_IDX | UINT64_C(1) << 30)

struct front {
	struct driver d; /* memory and rings; no window */
	struct vhost_user *u;
	pthread_t thread;
	int sock, back, stop_fd, mem_fd, result;
	int kick[2], call[2];
	char why[256];
};

static ssize_t serve(_unused_ void *ctx, const struct iovec *in, int nin, const struct iovec *out,
		     int nout)
{
	assert_int_equal(nin, 1);
	assert_int_equal(nout, 1);
	memset(out[0].iov_base, ((const char *)in[0].iov_base)[0] + 1, 4);
	return 4;
}

static void *back_end(void *ctx)
{
	struct front *f = ctx;

	f->result = vhost_user_serve(f->u, f->back, f->stop_fd);
	if (f->result < 0)
		snprintf(f->why, sizeof(f->why), "%s", err_take(f->result));
	shutdown(f->back, SHUT_RDWR);
	return NULL;
}

static void connect_front(struct front *f)
{
	int pair[2];

	assert_ok(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
	f->sock = pair[0];
	f->back = pair[1];
	f->result = 1;
	assert_ok(pthread_create(&f->thread, NULL, back_end, f));
}

static struct front *start_with(bool vsock)
{
	struct front *f = new0(struct front);
	struct virtio_fs_config fs = { .tag = "tag", .serve = serve };
	struct virtio_vsock_config sockets = { .listen_fd = -1 };

	assert_non_null(f);
	poison_begin();
	f->d.free = RAM_GPA;
	f->mem_fd = memfd_create("ram", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	assert_ok(ftruncate(f->mem_fd, RAM_SIZE));
	f->d.ram = mmap(NULL, RAM_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, f->mem_fd, 0);
	assert_true(f->d.ram != MAP_FAILED);
	for (unsigned i = 0; i < 2; i++) {
		f->kick[i] = eventfd(0, EFD_CLOEXEC);
		f->call[i] = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	}
	f->stop_fd = eventfd(0, EFD_CLOEXEC);
	assert_ok(vsock ? vhost_user_vsock_new(&sockets, &f->u) : vhost_user_fs_new(&fs, &f->u));
	connect_front(f);
	return f;
}

static struct front *start(void)
{
	return start_with(false);
}

/* Hangs up; what became of the connection. */
static int hang_up(struct front *f)
{
	f->sock = fd_close(f->sock);
	pthread_join(f->thread, NULL);
	f->back = fd_close(f->back);
	return f->result;
}

static void end(struct front *f)
{
	vhost_user_free(f->u);
	assert_false(has_poison(f->d.ram, RAM_SIZE));
	munmap(f->d.ram, RAM_SIZE);
	for (unsigned i = 0; i < 2; i++) {
		fd_close(f->kick[i]);
		fd_close(f->call[i]);
	}
	fd_close(f->stop_fd);
	fd_close(f->mem_fd);
	free(f);
}

static void put(struct front *f, uint32_t request, const void *data, uint32_t size, int fd)
{
	uint32_t m[3 + 64] = { request, 1, size };

	assert_true(size <= sizeof(m) - 12);
	memcpy(m + 3, data, size);
	/* the other end may have closed already, which is what the bad ones are for */
	if (fd_send(f->sock, m, 12 + size, &fd, fd >= 0) < 0)
		errno = 0;
}

static void put_u64(struct front *f, uint32_t request, uint64_t v, int fd)
{
	put(f, request, &v, sizeof(v), fd);
}

static void put_state(struct front *f, uint32_t request, uint32_t index, uint32_t num)
{
	uint32_t v[2] = { index, num };

	put(f, request, v, sizeof(v), -1);
}

/* The first word of the reply's payload. */
static uint64_t ask(struct front *f, uint32_t request, uint32_t size, const void *data)
{
	struct {
		uint32_t h[3], v[2];
	} m;

	put(f, request, data, size, -1);
	assert_int_equal(fd_read_full(f->sock, &m, sizeof(m)), sizeof(m));
	assert_int_equal(m.h[0], request);
	assert_int_equal(m.h[1], 5); /* version 1, a reply */
	return (uint64_t)m.v[1] << 32 | m.v[0];
}

static void put_mem(struct front *f, uint64_t len)
{
	uint64_t v[5] = { 1, RAM_GPA, len, USER, 0 };

	put(f, 5, v, sizeof(v), f->mem_fd);
}

static void seal(struct front *f)
{
	assert_ok(fcntl(f->mem_fd, F_ADD_SEALS, F_SEAL_SHRINK));
}

static void put_ring(struct front *f, unsigned i, uint16_t base)
{
	struct ring *r = &f->d.rings[i];
	uint64_t addr[5] = { i, USER + r->desc - RAM_GPA, USER + r->used - RAM_GPA,
			     USER + r->avail - RAM_GPA };

	put_state(f, 8, i, r->num);
	put_state(f, 10, i, base);
	put(f, 9, addr, sizeof(addr), -1);
	put_u64(f, 13, i, f->call[i]);
	put_u64(f, 12, i, f->kick[i]);
	put_state(f, 18, i, 1);
}

static void set_up(struct front *f)
{
	assert_true(ask(f, 1, 0, "") & UINT64_C(1) << 30);
	assert_int_equal(ask(f, 15, 0, ""), 9); /* MQ, REPLY_ACK */
	assert_int_equal(ask(f, 17, 0, ""), 2);
	put_u64(f, 16, 9, -1);
	put(f, 3, "", 0, -1);
	put_u64(f, 2, FEATURES, -1);
	seal(f);
	put_mem(f, RAM_SIZE);
}

static void request(struct front *f, unsigned i)
{
	struct ring *r = &f->d.rings[i];
	uint64_t a = driver_alloc(&f->d, 16);
	struct pollfd p = { .fd = f->call[i], .events = POLLIN };
	eventfd_t n;

	*(char *)driver_at(&f->d, a) = 'a';
	ring_desc_set(&f->d, r, 0, a, 1, DESC_F_NEXT, 1);
	ring_desc_set(&f->d, r, 1, a + 4, 4, DESC_F_WRITE, 0);
	ring_arm(&f->d, r);
	ring_publish(&f->d, r, 0);
	eventfd_write(f->kick[i], 1);
	assert_int_equal(poll(&p, 1, WAIT_MS), 1);
	eventfd_read(f->call[i], &n);
	assert_int_equal(ring_take(&f->d, r).len, 4);
	assert_memory_equal(driver_at(&f->d, a + 4), "bbbb", 4);
}

/* Requests are answered; a ring goes on at its base when memory changes and after a reconnect. */
static void served(_unused_ void **state)
{
	struct front *f = start();
	uint32_t ring[2] = { 1, 0 };

	set_up(f);
	for (unsigned i = 0; i < 2; i++) {
		ring_init(&f->d, &f->d.rings[i], 16);
		put_ring(f, i, 0);
	}
	request(f, 1);
	request(f, 0);
	put_mem(f, RAM_SIZE);
	request(f, 1);
	assert_int_equal(ask(f, 11, sizeof(ring), ring) >> 32, 2);
	request(f, 0);
	assert_int_equal(hang_up(f), 0);
	connect_front(f);
	set_up(f);
	put_ring(f, 1, 2);
	request(f, 1);
	assert_int_equal(ask(f, 11, sizeof(ring), ring) >> 32, 3);
	assert_int_equal(hang_up(f), 0);
	end(f);
}

/* Kicks are the front end's to read, and to have waited for: no thread of ours can be held so. */
static void kicks_are_not_read(_unused_ void **state)
{
	struct front *f = start();
	eventfd_t n;

	set_up(f);
	ring_init(&f->d, &f->d.rings[1], 16);
	put_ring(f, 1, 0);
	ask(f, 1, 0, ""); /* what came before is done */
	assert_ok(eventfd_read(f->kick[1], &n));
	request(f, 1);
	request(f, 1);
	assert_ok(eventfd_read(f->kick[1], &n));
	assert_int_equal(n, 2);
	assert_ok(fcntl(f->kick[1], F_SETFL, 0));
	request(f, 1);
	assert_ok(eventfd_read(f->kick[1], &n));
	assert_int_equal(n, 1);
	assert_int_equal(hang_up(f), 0);
	end(f);
}

/* A back end that dies leaves an avail_event behind that would keep the guest from kicking. */
static void guest_is_to_kick(_unused_ void **state)
{
	struct front *f = start();
	struct ring *r = &f->d.rings[1];
	uint16_t *event;

	set_up(f);
	ring_init(&f->d, r, 16);
	event = driver_u16(&f->d, r->used + RING_USED_SIZE(r->num) - 2);
	*event = 0x1234;
	put_ring(f, 1, 0);
	for (int i = 0; i < WAIT_MS && __atomic_load_n(event, __ATOMIC_SEQ_CST); i++)
		usleep(1000);
	assert_int_equal(__atomic_load_n(event, __ATOMIC_SEQ_CST), 0);
	assert_int_equal(hang_up(f), 0);
	end(f);
}

static void stopped(_unused_ void **state)
{
	struct front *f = start();

	set_up(f);
	eventfd_write(f->stop_fd, 1);
	assert_int_equal(hang_up(f), 0);
	end(f);
}

/* Also in the middle of a message, which may take long. */
static void stopped_meanwhile(_unused_ void **state)
{
	const uint32_t head[3] = { 2, 1, 8 };

	for (size_t len = 1; len < sizeof(head) + 8; len++) {
		struct front *f = start();
		const char bytes[sizeof(head) + 8] = { 0 };
		uint64_t began;

		set_up(f);
		assert_int_equal(write(f->sock, head, MIN(len, sizeof(head))),
				 MIN(len, sizeof(head)));
		if (len > sizeof(head))
			assert_int_equal(write(f->sock, bytes, len - sizeof(head)),
					 len - sizeof(head));
		usleep(2000); /* for the other end to be there, mostly */
		began = clock_ns();
		eventfd_write(f->stop_fd, 1);
		pthread_join(f->thread, NULL);
		assert_true(clock_ns() - began < UINT64_C(5000000000));
		assert_int_equal(f->result, 0);
		fd_close(f->sock);
		fd_close(f->back);
		end(f);
	}
}

/* Waits for the back end to close, and looks why. */
static void refused(struct front *f, const char *why)
{
	char c;

	shutdown(f->sock, SHUT_WR);
	while (read(f->sock, &c, 1) > 0)
		;
	assert_true(hang_up(f) < 0);
	if (!strstr(f->why, why))
		fail_msg("'%s' is not in '%s'", why, f->why);
	end(f);
}

static void bad_messages(_unused_ void **state)
{
	static const struct {
		uint32_t head[3];
		const char *why;
	} bad[] = {
		{ { 99, 1, 0 }, "not known" },	      { { UINT32_MAX, 1, 0 }, "not known" },
		{ { 0, 1, 0 }, "not known" },	      { { 1, 2, 0 }, "malformed message" },
		{ { 1, 5, 0 }, "malformed message" }, { { 1, 1, 8 }, "with 8 bytes" },
		{ { 2, 1, 7 }, "with 7 bytes" },      { { 2, 1, UINT32_MAX }, "bytes" },
		{ { 5, 1, 265 }, "bytes" },	      { { 5, 1, 0 }, "malformed memory table" },
		{ { 2, 1, 8 }, "cut off" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		struct front *f = start();

		assert_int_equal(fd_send(f->sock, bad[i].head, 12, NULL, 0), 12);
		refused(f, bad[i].why);
	}
}

static void bad_values(_unused_ void **state)
{
	for (unsigned i = 0; i < 12; i++) {
		struct front *f = start();
		int pipe_fds[2];

		assert_ok(pipe2(pipe_fds, O_CLOEXEC));
		switch (i) {
		case 0:
			put_u64(f, 2, UINT64_C(1) << 63, -1);
			break;
		case 1:
			put_u64(f, 16, 1 << 9, -1);
			break;
		case 2:
			put_state(f, 8, 2, 16);
			break;
		case 3:
			put_state(f, 8, UINT32_MAX, 16);
			break;
		case 4:
			put_state(f, 8, 0, 2048);
			break;
		case 5:
			put_state(f, 10, 0, 65536);
			break;
		case 6:
			put_state(f, 18, 0, 2);
			break;
		case 7:
			put_u64(f, 12, 0, pipe_fds[0]);
			break;
		case 8:
			put_u64(f, 12, 0, -1);
			break;
		case 9:
			put_u64(f, 12, 0x100, -1);
			break;
		case 10:
			put_u64(f, 13, 9, f->call[0]);
			break;
		case 11:
			put(f, 1, "", 0, f->call[0]);
			break;
		}
		refused(f, "vhost-user: ");
		fd_close(pipe_fds[0]);
		fd_close(pipe_fds[1]);
	}
}

static void memory_refused(_unused_ void **state)
{
	struct front *f = start();

	put_mem(f, RAM_SIZE);
	refused(f, "not sealed");
	f = start();
	seal(f);
	put_mem(f, RAM_SIZE + 4096);
	refused(f, "larger than its file");
	f = start();
	seal(f);
	put_mem(f, UINT64_MAX - 4095);
	refused(f, "malformed memory region");
}

static void ring_outside(_unused_ void **state)
{
	struct front *f = start();

	set_up(f);
	ring_init(&f->d, &f->d.rings[0], 16);
	f->d.rings[0].desc = RAM_GPA + RAM_SIZE - 16;
	put_ring(f, 0, 0);
	refused(f, "not in the guest's memory");
}

/* The guest writes nonsense into a ring that was sound. */
static void ring_malformed(_unused_ void **state)
{
	struct front *f = start();
	char c;

	set_up(f);
	ring_init(&f->d, &f->d.rings[0], 16);
	put_ring(f, 0, 0);
	ring_publish(&f->d, &f->d.rings[0], 999);
	eventfd_write(f->kick[0], 1);
	assert_true(read(f->sock, &c, 1) <= 0);
	refused(f, "malformed ring");
}

/* QEMU asks for the number of a vsock's guest; no other bytes are there. */
static void configuration(_unused_ void **state)
{
	static const struct {
		uint32_t off, len, size;
		const char *why;
	} bad[] = { { 1, 8, 20, "configuration" },    { 0, 9, 21, "configuration" },
		    { 9, 0, 12, "configuration" },    { UINT32_MAX, 8, 20, "configuration" },
		    { 0, 8, 19, "configuration" },    { 0, 0, 20, "configuration" },
		    { 0, 240, 252, "configuration" }, { 0, 8, 11, "bytes" } };
	struct front *f = start_with(true);
	const uint32_t ask_for[5] = { 0, 8 };
	uint32_t answer[3 + 5];

	put(f, 24, ask_for, sizeof(ask_for), -1);
	assert_int_equal(fd_read_full(f->sock, answer, sizeof(answer)), sizeof(answer));
	assert_int_equal(answer[2], sizeof(ask_for));
	assert_int_equal(answer[6], VIRTIO_VSOCK_CID);
	assert_int_equal(answer[7], 0);
	assert_int_equal(hang_up(f), 0);
	end(f);
	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		const uint32_t words[64] = { bad[i].off, bad[i].len };

		f = start_with(true);
		put(f, 24, words, bad[i].size, -1);
		refused(f, bad[i].why);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(served),
		cmocka_unit_test(kicks_are_not_read),
		cmocka_unit_test(guest_is_to_kick),
		cmocka_unit_test(stopped),
		cmocka_unit_test(stopped_meanwhile),
		cmocka_unit_test(bad_messages),
		cmocka_unit_test(bad_values),
		cmocka_unit_test(memory_refused),
		cmocka_unit_test(ring_outside),
		cmocka_unit_test(ring_malformed),
		cmocka_unit_test(configuration),
	};

	return cmocka_run_group_tests_name("virtio/vhost_user", tests, NULL, NULL);
}
