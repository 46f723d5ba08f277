/* SPDX-License-Identifier: Apache-2.0 */
/* Our end of the control port against a guest that sends what it likes. */
#include "microvm/microvm.h"

#include "base/buf.h"
#include "base/err.h"
#include "microvm/guest/protocol.h"
#include "tests/base/unit.h"
#include <poll.h>
#include <sys/socket.h>

struct fixture {
	struct vm_control *c;
	int guest;
};

static int setup(void **state)
{
	struct fixture *f = new0(struct fixture);
	int fds[2];

	assert_ok(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds));
	assert_ok(vm_control_new(fds[0], &f->c));
	f->guest = fds[1];
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	vm_control_free(f->c);
	fd_close(f->guest);
	free(f);
	err_clear();
	return 0;
}

static void say(const struct fixture *f, uint32_t type, const void *body, uint32_t len)
{
	struct guest_head head = { type, len };

	assert_ok(fd_write_full(f->guest, &head, sizeof(head)));
	assert_ok(fd_write_full(f->guest, body, len));
}

static void events(void **state)
{
	struct fixture *f = *state;
	struct vm_guest_event e;
	uint32_t status = 130;

	assert_string_equal(VM_CONTROL_PORT, GUEST_PORT_CONTROL);
	assert_string_equal(VM_STDIN_PORT, GUEST_PORT_STDIN);
	assert_string_equal(VM_STDOUT_PORT, GUEST_PORT_STDOUT);
	assert_string_equal(VM_STDERR_PORT, GUEST_PORT_STDERR);
	assert_int_equal(vm_control_next(f->c, &e), 0);
	say(f, GUEST_STARTED, "", 0);
	say(f, GUEST_EXITED, &status, 4);
	assert_int_equal(vm_control_next(f->c, &e), 1);
	assert_int_equal(e.kind, VM_GUEST_STARTED);
	assert_int_equal(vm_control_next(f->c, &e), 1);
	assert_int_equal(e.kind, VM_GUEST_EXITED);
	assert_int_equal(e.status, 130);
	f->guest = fd_close(f->guest);
	assert_int_equal(vm_control_next(f->c, &e), -EPIPE);
}

/* What a copy is told: no longer than init takes, a name of any length. */
static void cloned(void **state)
{
	struct fixture *f = *state;
	const struct vm_guest_identity who = { .time_ns = 7, .mac = { 2, 1 }, .entropy = { 9 } };
	const uint8_t id[16] = { 0xab };
	struct guest_head head;
	struct guest_clone clone;
	char name[80];

	assert_true(sizeof(clone) <= GUEST_WISH_MAX);
	memset(name, 'x', sizeof(name));
	name[sizeof(name) - 1] = '\0';
	for (int i = 0; i < 2; i++) {
		assert_ok(vm_control_cloned(f->c, &who, i ? name : "short", id));
		assert_int_equal(fd_read_full(f->guest, &head, sizeof(head)), sizeof(head));
		assert_int_equal(head.type, GUEST_CLONED);
		assert_int_equal(head.len, sizeof(clone));
		assert_int_equal(fd_read_full(f->guest, &clone, sizeof(clone)), sizeof(clone));
		assert_int_equal(clone.identity.time_ns, 7);
		assert_memory_equal(clone.identity.mac, who.mac, 6);
		assert_memory_equal(clone.identity.entropy, who.entropy, sizeof(who.entropy));
		assert_memory_equal(clone.machine_id, id, 16);
		assert_memory_equal(clone.hostname, i ? name : "short", i ? 64 : 6);
	}
}

static void byte_by_byte(void **state)
{
	struct fixture *f = *state;
	const uint32_t words[] = { GUEST_EXITED, 4, 7 };
	struct vm_guest_event e;

	for (size_t i = 0; i < sizeof(words); i++) {
		assert_int_equal(vm_control_next(f->c, &e), 0);
		assert_int_equal(write(f->guest, (const char *)words + i, 1), 1);
	}
	assert_int_equal(vm_control_next(f->c, &e), 1);
	assert_int_equal(e.status, 7);
}

static void failures(void **state)
{
	static const struct {
		struct guest_failed f;
		int status;
	} cases[] = { { { ENOENT, 127 }, 127 },
		      { { EACCES, 126 }, 126 },
		      { { EINVAL, 0 }, 125 },
		      { { UINT32_MAX, UINT32_MAX }, 125 } };
	struct fixture *f = *state;
	struct vm_guest_event e;
	char body[32];

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		memcpy(body, &cases[i].f, 8);
		memcpy(body + 8, "bad\n\033[31m", 9);
		say(f, GUEST_FAILED, body, 17);
		assert_int_equal(vm_control_next(f->c, &e), 1);
		assert_int_equal(e.kind, VM_GUEST_FAILED);
		assert_int_equal(e.status, cases[i].status);
		assert_null(strpbrk(e.text, "\n\033"));
	}
}

static void long_text(void **state)
{
	struct fixture *f = *state;
	char body[GUEST_REPLY_MAX];
	struct vm_guest_event e;

	memset(body, 'x', sizeof(body));
	say(f, GUEST_FAILED, body, sizeof(body));
	assert_int_equal(vm_control_next(f->c, &e), 1);
	assert_int_equal(strlen(e.text), sizeof(e.text) - 1);
}

static void nonsense(void **state)
{
	static const struct guest_head heads[] = {
		{ 99, 0 },
		{ GUEST_STARTED, 1 },
		{ GUEST_EXITED, 5 },
		{ GUEST_FAILED, 5 },
		{ GUEST_CONFIG, 0 },
		{ GUEST_EXITED, UINT32_MAX },
		{ GUEST_FAILED, GUEST_REPLY_MAX + 1 },
		{ 0, 0 },
	};

	teardown(state);
	for (size_t i = 0; i < ARRAY_SIZE(heads); i++) {
		struct vm_guest_event e;
		struct fixture *f;

		setup(state);
		f = *state;
		say(f, heads[i].type, "12345", MIN(heads[i].len, 5u));
		if (heads[i].len > 5) {
			f->guest = fd_close(f->guest);
			teardown(state);
			setup(state);
			f = *state;
			assert_int_equal(write(f->guest, &heads[i], sizeof(heads[i])),
					 sizeof(heads[i]));
		}
		assert_int_equal(vm_control_next(f->c, &e), -EPROTO);
		teardown(state);
	}
	setup(state);
}

/* argv and env are of char *, though nobody writes there. */
static char *word(const char *s)
{
	return (char *)(uintptr_t)s;
}

/* All of what the other end sent, while @f->c sends what it has. */
static void drain(struct fixture *f, struct buf *b, size_t len)
{
	struct vm_guest_event e;
	char data[65536];

	while (b->len < len) {
		ssize_t n = recv(f->guest, data, MIN(sizeof(data), len - b->len), MSG_DONTWAIT);

		if (n > 0)
			assert_ok(buf_add(b, data, (size_t)n));
		assert_int_equal(vm_control_next(f->c, &e), 0);
	}
}

static const uint8_t *find(const struct buf *b, uint32_t tag, unsigned nth, uint32_t *ret_len)
{
	for (size_t off = sizeof(struct guest_head); off < b->len;) {
		struct guest_field field;

		memcpy(&field, b->data + off, sizeof(field));
		off += sizeof(field);
		assert_true(field.len <= b->len - off);
		if (field.tag == tag && nth-- == 0) {
			*ret_len = field.len;
			return (const uint8_t *)b->data + off;
		}
		off += field.len;
	}
	return NULL;
}

static void config(void **state)
{
	char *argv[] = { word("sh"), word("-c"), word(""), NULL }, *env[] = { word("A=1"), NULL };
	const struct vm_guest_volume volumes[] = { { "v0", "/data", true } };
	const struct vm_guest_rlimit rlimits[] = { { 7, 10, 20 } };
	const struct vm_guest_config cfg = {
		.root = "root",
		.argv = argv,
		.env = env,
		.cwd = "/",
		.user = "1:2",
		.tty = true,
		.rows = 24,
		.cols = 80,
		.volumes = volumes,
		.nvolumes = 1,
		.rlimits = rlimits,
		.nrlimits = 1,
		.caps_drop = 1u << 21,
	};
	struct fixture *f = *state;
	_buf_done_ struct buf b = { 0 };
	struct guest_head head;
	const uint8_t *p;
	uint32_t len;

	assert_ok(vm_control_config(f->c, &cfg));
	assert_int_equal(vm_control_events(f->c), POLLIN);
	drain(f, &b, sizeof(head));
	memcpy(&head, b.data, sizeof(head));
	assert_int_equal(head.type, GUEST_CONFIG);
	drain(f, &b, sizeof(head) + head.len);
	p = find(&b, GUEST_TAG_VERSION, 0, &len);
	assert_int_equal((const char *)p - b.data, sizeof(head) + sizeof(struct guest_field));
	p = find(&b, GUEST_TAG_ARG, 1, &len);
	assert_memory_equal(p, "-c", len);
	assert_non_null(find(&b, GUEST_TAG_ARG, 2, &len));
	assert_int_equal(len, 0);
	assert_null(find(&b, GUEST_TAG_ARG, 3, &len));
	assert_null(find(&b, GUEST_TAG_HOSTNAME, 0, &len));
	p = find(&b, GUEST_TAG_VOLUME_RO, 0, &len);
	assert_int_equal(len, 8);
	assert_memory_equal(p, "v0\0/data", 8);
	assert_non_null(find(&b, GUEST_TAG_RLIMIT, 0, &len));
	assert_int_equal(len, sizeof(struct guest_rlimit));
	p = find(&b, GUEST_TAG_CAPS_DROP, 0, &len);
	assert_int_equal(len, 8);
	assert_memory_equal(p, "\0\0\40\0\0\0\0\0", 8);
}

/* More than the socket takes: it neither blocks nor loses. */
static void large_config(void **state)
{
	struct fixture *f = *state;
	char *argv[] = { word("a"), NULL }, **env = mem_new(1001, sizeof(*env));
	const struct vm_guest_config cfg = { .root = "root", .argv = argv, .env = env };
	_buf_done_ struct buf b = { 0 };
	struct guest_head head;
	uint32_t len;

	for (int i = 0; i < 1000; i++) {
		env[i] = malloc(3001);
		memset(env[i], 'a' + i % 26, 3000);
		env[i][3000] = '\0';
	}
	assert_ok(vm_control_config(f->c, &cfg));
	assert_int_equal(vm_control_events(f->c), POLLIN | POLLOUT);
	assert_ok(vm_control_signal(f->c, 15));
	drain(f, &b, sizeof(head));
	memcpy(&head, b.data, sizeof(head));
	drain(f, &b, sizeof(head) + head.len);
	assert_non_null(find(&b, GUEST_TAG_ENV, 999, &len));
	assert_int_equal(len, 3000);
	assert_null(find(&b, GUEST_TAG_CAPS_DROP, 0, &len));
	buf_reset(&b);
	drain(f, &b, sizeof(head) + 4);
	assert_memory_equal(b.data, "\2\0\0\0\4\0\0\0\17\0\0\0", 12);
	assert_int_equal(vm_control_events(f->c), POLLIN);
	for (int i = 0; i < 1000; i++)
		free(env[i]);
	free(env);
}

static void impossible_configs(void **state)
{
	struct fixture *f = *state;
	char *argv[] = { word("a"), NULL }, *none[] = { NULL };
	struct vm_guest_config cfg = { .argv = argv };

	assert_int_equal(vm_control_config(f->c, &cfg), -EINVAL);
	err_clear();
	cfg.root = "root";
	cfg.argv = none;
	assert_int_equal(vm_control_config(f->c, &cfg), -EINVAL);
	err_clear();
	cfg.argv = argv;
	cfg.nvolumes = GUEST_VOLUMES_MAX + 1;
	assert_int_equal(vm_control_config(f->c, &cfg), -E2BIG);
}

#define test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(events),	test(cloned),	    test(byte_by_byte),
		test(failures), test(long_text),    test(nonsense),
		test(config),	test(large_config), test(impossible_configs),
	};

	return cmocka_run_group_tests_name("microvm/control", tests, NULL, NULL);
}
