/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/virtio/driver.h"

#include <sys/socket.h>

#define NUM	  16
#define MULTIPORT 2u

/* Control messages (virtio 1.2, 5.3.6.2). */
enum { READY = 0, ADD = 1, PORT_READY = 3, CONSOLE = 4, OPEN = 6, NAME = 7 };
struct message {
	uint32_t id;
	uint16_t event, value;
	char name[56];
};

enum { CTL_IN = 2, CTL_OUT = 3 };
#define IN(port)  ((port) ? 2 * (port) + 2 : 0)
#define OUT(port) (IN(port) + 1)

/* hvc0, a port with input, one with output, and a control port both ways that is ordered. */
struct fixture {
	struct driver d;
	int hvc[2], in[2], out[2], ctl[2];
	uint64_t buf[2 + 2 * 5][NUM];
};

static void kick(struct fixture *f)
{
	reg_put(&f->d, R_NOTIFY, 0);
}

static void give_buffers(struct fixture *f, unsigned queue, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		uint64_t a = driver_alloc(&f->d, 256);
		uint16_t head = ring_add(&f->d, &f->d.rings[queue], a, 256, true);

		f->buf[queue][head] = a;
	}
	kick(f);
}

static void tell(struct fixture *f, uint32_t id, uint16_t event, uint16_t value)
{
	struct message msg = { id, event, value, "" };
	uint64_t a = driver_alloc(&f->d, 8);

	memcpy(driver_at(&f->d, a), &msg, 8);
	ring_add(&f->d, &f->d.rings[CTL_OUT], a, 8, false);
	kick(f);
	driver_take(&f->d, CTL_OUT);
}

static struct message hear(struct fixture *f)
{
	struct ring_used_elem e = driver_take(&f->d, CTL_IN);
	struct message msg = { 0 };

	assert_true(e.id < NUM && e.len <= sizeof(msg));
	memcpy(&msg, driver_at(&f->d, f->buf[CTL_IN][e.id]), e.len);
	give_buffers(f, CTL_IN, 1);
	return msg;
}

static void hear_this(struct fixture *f, uint32_t id, uint16_t event, uint16_t value)
{
	struct message msg = hear(f);

	assert_int_equal(msg.id, id);
	assert_int_equal(msg.event, event);
	assert_int_equal(msg.value, value);
}

/* Writes to a port, from descriptor to descriptor; not waited for. */
static void put(struct fixture *f, unsigned port, const void *data, uint32_t len)
{
	uint64_t a = driver_alloc(&f->d, len);

	memcpy(driver_at(&f->d, a), data, len);
	ring_add(&f->d, &f->d.rings[OUT(port)], a, len, false);
}

static int setup(void **state)
{
	struct fixture *f = new0(struct fixture);

	assert_ok(pipe2(f->hvc, O_CLOEXEC));
	assert_ok(pipe2(f->in, O_CLOEXEC));
	assert_ok(pipe2(f->out, O_CLOEXEC));
	assert_ok(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, f->ctl));
	const struct virtio_console_port ports[] = {
		{ NULL, -1, f->hvc[1], false },
		{ "input", f->in[0], -1, false },
		{ "output", -1, f->out[1], false },
		{ "control", f->ctl[1], f->ctl[1], true },
	};
	driver_init(&f->d);
	assert_ok(virtio_console_new(ports, 4, &f->d.bus, 0xd0000000, 1, &f->d.m));
	driver_start(&f->d, MULTIPORT | VIRTIO_F_EVENT_IDX, 10, NUM);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	driver_done(&f->d);
	fd_close(f->hvc[0]);
	fd_close(f->hvc[1]);
	fd_close(f->in[0]);
	fd_close(f->in[1]);
	fd_close(f->out[0]);
	fd_close(f->out[1]);
	fd_close(f->ctl[0]);
	fd_close(f->ctl[1]);
	free(f);
	return 0;
}

/* All ports added, ready and open. */
static void handshake(struct fixture *f)
{
	give_buffers(f, CTL_IN, 12);
	tell(f, 0, READY, 1);
	for (unsigned i = 0; i < 4; i++)
		hear_this(f, i, ADD, 1);
	for (unsigned i = 0; i < 4; i++) {
		tell(f, i, PORT_READY, 1);
		hear(f);
		hear(f);
		tell(f, i, OPEN, 1);
	}
}

static void protocol(void **state)
{
	struct fixture *f = *state;
	struct message msg;

	assert_int_equal(reg_get(&f->d, R_CONFIG + 4), 4);
	give_buffers(f, CTL_IN, 12);
	tell(f, 0, READY, 1);
	for (unsigned i = 0; i < 4; i++)
		hear_this(f, i, ADD, 1);
	tell(f, 0, PORT_READY, 1);
	hear_this(f, 0, CONSOLE, 1);
	hear_this(f, 0, OPEN, 1);
	tell(f, 2, PORT_READY, 1);
	hear_this(f, 2, OPEN, 1); /* before its name: see console.h */
	msg = hear(f);
	assert_int_equal(msg.event, NAME);
	assert_string_equal(msg.name, "output");
}

static void few_buffers_for_control(void **state)
{
	struct fixture *f = *state;

	give_buffers(f, CTL_IN, 1);
	tell(f, 0, READY, 1);
	for (unsigned i = 0; i < 4; i++)
		hear_this(f, i, ADD, 1);
}

static void output(void **state)
{
	struct fixture *f = *state;
	char buf[16];

	put(f, 0, "boot", 4); /* before any port is there */
	kick(f);
	assert_int_equal(read(f->hvc[0], buf, sizeof(buf)), 4);
	handshake(f);
	put(f, 2, "one", 3);
	put(f, 2, "two", 3);
	kick(f);
	assert_int_equal(fd_read_full(f->out[0], buf, 6), 6);
	assert_memory_equal(buf, "onetwo", 6);
	put(f, 1, "nowhere", 7);
	kick(f);
	driver_take(&f->d, OUT(1));
}

static void input(void **state)
{
	struct fixture *f = *state;
	struct ring_used_elem e;

	handshake(f);
	assert_int_equal(write(f->in[1], "hello", 5), 5);
	give_buffers(f, IN(1), 2);
	e = driver_take(&f->d, IN(1));
	assert_int_equal(e.len, 5);
	assert_memory_equal(driver_at(&f->d, f->buf[IN(1)][e.id]), "hello", 5);
	assert_int_equal(write(f->in[1], "more", 4), 4);
	e = driver_take(&f->d, IN(1));
	assert_int_equal(e.len, 4);
	/* No buffer is left; what is written waits. */
	assert_int_equal(write(f->in[1], "last", 4), 4);
	f->in[1] = fd_close(f->in[1]);
	give_buffers(f, IN(1), 2);
	e = driver_take(&f->d, IN(1));
	assert_int_equal(e.len, 4);
	hear_this(f, 1, OPEN, 0); /* then the end */
}

static void input_waits_for_open(void **state)
{
	struct fixture *f = *state;

	give_buffers(f, CTL_IN, 12);
	give_buffers(f, IN(1), 2);
	assert_int_equal(write(f->in[1], "early", 5), 5);
	tell(f, 1, PORT_READY, 1);
	hear(f);
	hear(f);
	assert_false(ring_used(&f->d, &f->d.rings[IN(1)]));
	tell(f, 1, OPEN, 1);
	assert_int_equal(driver_take(&f->d, IN(1)).len, 5);
}

/* Output that nobody takes holds nothing else up, but what must come after it. */
static void blocked_output(void **state)
{
	struct fixture *f = *state;
	char *big = malloc(300000), buf[8];
	struct pollfd p = { .fd = f->ctl[0], .events = POLLIN };
	ssize_t n, total = 0;

	memset(big, 'x', 300000);
	handshake(f);
	for (int i = 0; i < 10; i++)
		put(f, 2, big, 30000);
	put(f, 3, "after", 5);
	kick(f);
	put(f, 0, "free", 4);
	kick(f);
	assert_int_equal(read(f->hvc[0], buf, sizeof(buf)), 4);
	assert_int_equal(poll(&p, 1, 50), 0);
	while (total < 300000 && (n = read(f->out[0], big, 300000)) > 0)
		total += n;
	assert_int_equal(total, 300000);
	assert_int_equal(read(f->ctl[0], buf, sizeof(buf)), 5);
	free(big);
}

static void reader_gone(void **state)
{
	struct fixture *f = *state;

	handshake(f);
	f->out[0] = fd_close(f->out[0]);
	put(f, 2, "x", 1);
	kick(f);
	driver_take(&f->d, OUT(2));
	hear_this(f, 2, OPEN, 0);
	put(f, 2, "y", 1);
	kick(f);
	driver_take(&f->d, OUT(2));
}

static void both_ways(void **state)
{
	struct fixture *f = *state;
	struct ring_used_elem e;
	char buf[8];

	handshake(f);
	give_buffers(f, IN(3), 1);
	assert_int_equal(write(f->ctl[0], "ask", 3), 3);
	e = driver_take(&f->d, IN(3));
	assert_memory_equal(driver_at(&f->d, f->buf[IN(3)][e.id]), "ask", 3);
	put(f, 3, "answer", 6);
	kick(f);
	assert_int_equal(read(f->ctl[0], buf, sizeof(buf)), 6);
}

static void plain_file(_unused_ void **state)
{
	struct fixture f = { 0 };
	char path[] = "/tmp/strata-console-XXXXXX";
	int fd = mkstemp(path);
	struct ring_used_elem e;

	assert_true(fd >= 0);
	unlink(path);
	assert_int_equal(write(fd, "content", 7), 7);
	lseek(fd, 0, SEEK_SET);
	const struct virtio_console_port ports[] = { { NULL, -1, -1, false },
						     { "file", fd, fd, false } };
	driver_init(&f.d);
	assert_ok(virtio_console_new(ports, 2, &f.d.bus, 0xd0000000, 1, &f.d.m));
	driver_start(&f.d, MULTIPORT, 6, NUM);
	give_buffers(&f, CTL_IN, 8);
	tell(&f, 0, READY, 1);
	hear(&f);
	hear(&f);
	tell(&f, 1, PORT_READY, 1);
	hear(&f);
	hear(&f);
	give_buffers(&f, IN(1), 2);
	tell(&f, 1, OPEN, 1);
	e = driver_take(&f.d, IN(1));
	assert_int_equal(e.len, 7);
	hear_this(&f, 1, OPEN, 0);
	put(&f, 1, "!", 1);
	kick(&f);
	driver_take(&f.d, OUT(1));
	assert_int_equal(lseek(fd, 0, SEEK_END), 8);
	driver_done(&f.d);
	fd_close(fd);
}

/* What is written beyond it is taken from the guest all the same, and dropped. */
static void no_more_than_its_bound(_unused_ void **state)
{
	struct fixture f = { 0 };
	char text[32] = "";
	int p[2];

	assert_ok(pipe2(p, O_CLOEXEC | O_NONBLOCK));
	const struct virtio_console_port ports[] = { { NULL, -1, p[1], false, 10 } };
	driver_init(&f.d);
	assert_ok(virtio_console_new(ports, 1, &f.d.bus, 0xd0000000, 1, &f.d.m));
	driver_start(&f.d, MULTIPORT, 4, NUM);
	for (unsigned i = 0; i < 4; i++) {
		put(&f, 0, "abcdefgh", 8);
		kick(&f);
		driver_take(&f.d, OUT(0));
	}
	assert_int_equal(read(p[0], text, sizeof(text)), 10);
	assert_string_equal(text, "abcdefghab");
	assert_int_equal(read(p[0], text, sizeof(text)), -1);
	driver_done(&f.d);
	fd_close(p[0]);
	fd_close(p[1]);
}

static void hostile_control(void **state)
{
	struct fixture *f = *state;

	give_buffers(f, CTL_IN, 12);
	tell(f, 4, PORT_READY, 1); /* no such port */
	tell(f, UINT32_MAX, OPEN, 1);
	tell(f, 1, 77, 1);
	for (int i = 0; i < 100; i++) {
		tell(f, 1, PORT_READY, 1); /* heard once */
		tell(f, 1, OPEN, (uint16_t)(i & 1));
	}
	hear_this(f, 1, OPEN, 1);
	assert_int_equal(hear(f).event, NAME);
	assert_false(ring_used(&f->d, &f->d.rings[CTL_IN]));
	/* A message too short is none; a buffer too small takes none. */
	ring_add(&f->d, &f->d.rings[CTL_OUT], driver_alloc(&f->d, 8), 7, false);
	kick(f);
	driver_take(&f->d, CTL_OUT);
}

static void malformed_ring(void **state)
{
	struct fixture *f = *state;

	handshake(f);
	ring_add(&f->d, &f->d.rings[OUT(2)], 0x10, 100, false);
	kick(f);
	driver_wait_reset(&f->d);
	reg_put(&f->d, R_STATUS, 0);
	f->d.free = RAM_GPA;
	memset(f->d.ram, 0, RAM_SIZE);
	driver_start(&f->d, MULTIPORT | VIRTIO_F_EVENT_IDX, 10, NUM);
	handshake(f);
	put(f, 2, "again", 5);
	kick(f);
	driver_take(&f->d, OUT(2));
}

#define test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(protocol),
		test(few_buffers_for_control),
		test(output),
		test(input),
		test(input_waits_for_open),
		test(blocked_output),
		test(reader_gone),
		test(both_ways),
		cmocka_unit_test(plain_file),
		cmocka_unit_test(no_more_than_its_bound),
		test(hostile_control),
		test(malformed_ring),
	};

	return cmocka_run_group_tests_name("virtio/console", tests, NULL, NULL);
}
