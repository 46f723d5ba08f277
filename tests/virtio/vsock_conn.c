/* SPDX-License-Identifier: Apache-2.0 */
#include "tests/virtio/vsock.h"

#include "base/err.h"

static void host_connects(_unused_ void **state)
{
	struct virtio_vsock_stats s;
	struct fixture f;
	const char *p;
	int fd;

	start(&f);
	fd = client(&f, "CONNECT 5\nand at once");
	hear(&f, VSOCK_OP_REQUEST);
	say(&f, VSOCK_OP_RESPONSE, 0);
	expect(fd, "OK ");
	p = hear(&f, VSOCK_OP_RW);
	assert_memory_equal(p, "and at once", 11);
	assert_int_equal(f.last.len, 11);
	recv(fd, (char[32]){ 0 }, 11, 0);
	say_data(&f, "hello host", 10);
	expect(fd, "hello host");
	/* The host has said all; the guest answers, and is done too. */
	shutdown(fd, SHUT_WR);
	hear(&f, VSOCK_OP_SHUTDOWN);
	assert_int_equal(f.last.flags, VSOCK_NO_SEND);
	say_data(&f, "bye", 3);
	say(&f, VSOCK_OP_SHUTDOWN, VSOCK_NO_SEND | VSOCK_NO_RECEIVE);
	expect(fd, "bye");
	expect_end(fd);
	hear(&f, VSOCK_OP_RST);
	fd_close(fd);
	virtio_vsock_stats(f.v, &s);
	assert_int_equal(s.connections, 1);
	assert_int_equal(s.in_bytes, 11);
	assert_int_equal(s.out_bytes, 13);
	assert_int_equal(s.refused, 0);
	end(&f);
}

static void guest_connects_to_host(_unused_ void **state)
{
	struct fixture f;

	start(&f);
	guest_connects(&f, 1000, 8);
	hear(&f, VSOCK_OP_RST);
	assert_int_equal(f.last.src_port, 8);
	assert_int_equal(f.last.dst_port, 1000);
	guest_connects(&f, 1000, 7);
	hear(&f, VSOCK_OP_RESPONSE);
	assert_int_equal(f.last.buf_alloc, VSOCK_BUFFER);
	say_data(&f, "question", 8);
	expect(f.server, "question");
	assert_int_equal(send(f.server, "answer", 6, 0), 6);
	assert_memory_equal(hear(&f, VSOCK_OP_RW), "answer", 6);
	f.server = fd_close(f.server);
	hear(&f, VSOCK_OP_SHUTDOWN);
	assert_int_equal(f.last.flags, VSOCK_NO_SEND | VSOCK_NO_RECEIVE);
	assert_int_equal(f.asked, 2);
	end(&f);
}

/* The guest refuses, or goes: the client reads the end. */
static void refused(_unused_ void **state)
{
	static const char *const lines[] = { "CONNECT 4294967296\n",
					     "CONNECT -1\n",
					     "CONNECT \n",
					     "connect 5\n",
					     "\n",
					     "CONNECT 5 \n",
					     "CONNECT 0000000000000000000000000000000005\n" };
	struct fixture f;
	int fd;

	start(&f);
	fd = client(&f, "CONNECT 5\n");
	hear(&f, VSOCK_OP_REQUEST);
	say(&f, VSOCK_OP_RST, 0);
	expect_end(fd);
	fd_close(fd);
	for (unsigned i = 0; i < ARRAY_SIZE(lines); i++) {
		fd = client(&f, lines[i]);
		expect_end(fd);
		fd_close(fd);
	}
	fd = connected(&f);
	say(&f, VSOCK_OP_RST, 0);
	expect_end(fd);
	fd_close(fd);
	/* A client that does not wait for the answer. */
	fd = client(&f, "CONNECT 5\n");
	hear(&f, VSOCK_OP_REQUEST);
	fd_close(fd);
	hear(&f, VSOCK_OP_RST);
	end(&f);
}

/* More than a socket holds, both ways: nothing is lost or sent that there is no room for. */
static void credit(_unused_ void **state)
{
	static uint8_t data[VSOCK_BUFFER];
	uint32_t sent = 0, told = 0, received = 0, start_fwd;
	struct vsock_header h;
	struct fixture f;
	int fd, small = 4096;

	start(&f);
	fd = connected(&f);
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	for (unsigned i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i * 7 + i / 256);
	/* Until the guest may send no more. */
	while (sent + 1024 - told <= VSOCK_BUFFER) {
		say_data(&f, data + sent % sizeof(data), 1024);
		sent += 1024;
		while (ring_used(&f.d, &f.d.rings[VSOCK_RX])) {
			hear(&f, VSOCK_OP_CREDIT_UPDATE);
			told = f.last.fwd_cnt;
		}
	}
	assert_true(sent >= VSOCK_BUFFER);
	for (uint32_t at = 0; at < sent; at += 1024) {
		uint8_t got[1024];

		assert_int_equal(recv(fd, got, sizeof(got), MSG_WAITALL), sizeof(got));
		assert_memory_equal(got, data + at % sizeof(data), sizeof(got));
	}
	do
		hear(&f, VSOCK_OP_CREDIT_UPDATE);
	while (sent - f.last.fwd_cnt > VSOCK_BUFFER / 4);
	say(&f, VSOCK_OP_CREDIT_REQUEST, 0);
	hear(&f, VSOCK_OP_CREDIT_UPDATE);
	assert_int_equal(f.last.fwd_cnt, sent);
	/* The other way, with room for 5,000 bytes. */
	h = answer(&f.last, VSOCK_OP_CREDIT_UPDATE);
	h.buf_alloc = 5000;
	send_header(&f, &h);
	assert_int_equal(send(fd, data, 20000, 0), 20000);
	for (start_fwd = 0; received < 20000;) {
		const char *p;

		if (received - start_fwd == 5000) {
			hear(&f, VSOCK_OP_CREDIT_REQUEST);
			assert_false(ring_used(&f.d, &f.d.rings[VSOCK_RX]));
			h.fwd_cnt = start_fwd = received;
			send_header(&f, &h);
		}
		p = hear(&f, VSOCK_OP_RW);
		assert_true(received + f.last.len - start_fwd <= 5000);
		assert_memory_equal(p, data + received, f.last.len);
		received += f.last.len;
	}
	fd_close(fd);
	end(&f);
}

/* A guest that has gone leaves its bytes to a client that is slow. */
static void drained(_unused_ void **state)
{
	static uint8_t data[VSOCK_BUFFER], got[4 * VSOCK_BUFFER];
	struct fixture f;
	size_t sent = 0, n;
	int fd, small = 4096;

	start(&f);
	fd = connected(&f);
	setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &small, sizeof(small));
	memset(data, 'x', sizeof(data));
	/* More than a socket of Linux holds by default (208 KiB). */
	for (; sent < 230000; sent += 8192) {
		say_data(&f, data, 8192);
		while (ring_used(&f.d, &f.d.rings[VSOCK_RX]))
			hear(&f, VSOCK_OP_CREDIT_UPDATE);
	}
	say(&f, VSOCK_OP_RST, 0);
	for (n = 0; n < sent;) {
		ssize_t r = recv(fd, got, sizeof(got), 0);

		assert_true(r > 0);
		n += (size_t)r;
	}
	expect_end(fd);
	fd_close(fd);
	end(&f);
}

/* What a guest may not say: the connection is reset, and the device is as before. */
static void hostile(_unused_ void **state)
{
	static const enum vsock_op ops[] = { VSOCK_OP_REQUEST, VSOCK_OP_RESPONSE, 0, 8, 65535 };
	struct vsock_header h;
	struct fixture f;
	int fd;

	start(&f);
	for (unsigned i = 0; i < ARRAY_SIZE(ops); i++) {
		fd = connected(&f);
		say(&f, ops[i], 0);
		expect_end(fd);
		hear(&f, VSOCK_OP_RST);
		fd_close(fd);
	}
	/* More than it has room for, and more after it has said that there is no more. */
	fd = connected(&f);
	say_data(&f, NULL, VSOCK_BUFFER + 1);
	expect_end(fd);
	hear(&f, VSOCK_OP_RST);
	fd_close(fd);
	fd = connected(&f);
	say(&f, VSOCK_OP_SHUTDOWN, VSOCK_NO_SEND);
	expect_end(fd);
	say_data(&f, "more", 4);
	hear(&f, VSOCK_OP_RST);
	fd_close(fd);
	/* Of no connection: RST; not an RST itself, nor what is for or from somebody else. */
	f.last = (struct vsock_header){ .src_port = 1, .dst_port = 2 };
	say(&f, VSOCK_OP_RST, 0);
	h = answer(&f.last, VSOCK_OP_REQUEST);
	h.src_cid = VIRTIO_VSOCK_CID + 1;
	send_header(&f, &h);
	h = answer(&f.last, VSOCK_OP_REQUEST);
	h.dst_cid = 1;
	send_header(&f, &h);
	assert_int_equal(f.asked, 0);
	h = answer(&f.last, VSOCK_OP_REQUEST);
	h.type = 2;
	send_header(&f, &h);
	hear(&f, VSOCK_OP_RST);
	say_data(&f, "nobody's", 8);
	hear(&f, VSOCK_OP_RST);
	assert_int_equal(f.asked, 0);
	fd = connected(&f);
	fd_close(fd);
	end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(host_connects), cmocka_unit_test(guest_connects_to_host),
		cmocka_unit_test(refused),	 cmocka_unit_test(credit),
		cmocka_unit_test(drained),	 cmocka_unit_test(hostile),
	};

	alarm(120);
	return cmocka_run_group_tests_name("virtio/vsock_conn", tests, NULL, NULL);
}
