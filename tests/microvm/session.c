/* SPDX-License-Identifier: Apache-2.0 */
/* Our end of a session against a guest that says what it likes. */
#include "microvm/microvm.h"

#include "base/err.h"
#include "microvm/guest/protocol.h"
#include "tests/base/unit.h"
#include <poll.h>
#include <sys/socket.h>

struct fixture {
	struct vm_session *s;
	int guest;
	struct vm_session_event e;
	uint8_t body[4096];
};

static char *const argv[] = { (char[]){ "true" }, NULL };

/* What the guest reads: the head, and its body in f->body. */
static struct guest_head asked(struct fixture *f)
{
	struct guest_head h;

	assert_int_equal(fd_read_full(f->guest, &h, sizeof(h)), sizeof(h));
	assert_true(h.len <= sizeof(f->body));
	assert_int_equal(fd_read_full(f->guest, f->body, h.len), h.len);
	return h;
}

static void say(const struct fixture *f, uint32_t type, const void *body, uint32_t len)
{
	struct guest_head head = { type, len };

	assert_ok(fd_write_full(f->guest, &head, sizeof(head)));
	assert_ok(fd_write_full(f->guest, body, len));
}

static void begin(struct fixture *f, bool exec)
{
	const struct vm_guest_exec x = { .argv = argv, .stdin_open = true };
	int fds[2];

	assert_ok(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds));
	*f = (struct fixture){ .guest = fds[1] };
	assert_ok(exec ? vm_session_exec(fds[0], &x, &f->s) : vm_session_processes(fds[0], &f->s));
	assert_int_equal(asked(f).type, exec ? GUEST_EXEC : GUEST_PROCESSES);
}

/* A command that runs. */
static void begin_running(struct fixture *f)
{
	begin(f, true);
	assert_int_equal(vm_session_room(f->s), 0);
	say(f, GUEST_STARTED, "", 0);
	assert_int_equal(vm_session_next(f->s, &f->e), 1);
	assert_int_equal(f->e.kind, VM_SESSION_STARTED);
}

static void end(struct fixture *f)
{
	vm_session_free(f->s);
	fd_close(f->guest);
	err_clear();
}

static void a_command(_unused_ void **state)
{
	struct fixture f;
	uint32_t status = 300, n = 5;

	assert_int_equal(VM_SESSION_PORT, GUEST_SESSION_PORT);
	begin_running(&f);
	say(&f, GUEST_OUTPUT, "out", 3);
	say(&f, GUEST_ERRORS, "errors", 6);
	assert_int_equal(vm_session_next(f.s, &f.e), 1);
	assert_int_equal(f.e.kind, VM_SESSION_OUTPUT);
	assert_memory_equal(f.e.data, "out", f.e.len);
	assert_int_equal(vm_session_next(f.s, &f.e), 1);
	assert_int_equal(f.e.kind, VM_SESSION_ERRORS);
	assert_memory_equal(f.e.data, "errors", f.e.len);
	assert_int_equal(vm_session_next(f.s, &f.e), 0);
	assert_ok(vm_session_input(f.s, "input", 5));
	assert_int_equal(asked(&f).len, 5);
	say(&f, GUEST_TAKEN, &n, sizeof(n));
	assert_int_equal(vm_session_next(f.s, &f.e), 1);
	assert_int_equal(f.e.kind, VM_SESSION_ROOM);
	assert_ok(vm_session_input(f.s, "", 0));
	assert_int_equal(asked(&f).type, GUEST_INPUT);
	assert_int_equal(vm_session_room(f.s), 0);
	say(&f, GUEST_EXITED, &status, sizeof(status));
	assert_int_equal(vm_session_next(f.s, &f.e), 1);
	assert_int_equal(f.e.kind, VM_SESSION_EXITED);
	assert_int_equal(f.e.status, 300 & 255);
	say(&f, GUEST_OUTPUT, "more", 4);
	assert_int_equal(vm_session_next(f.s, &f.e), -EPROTO);
	end(&f);
}

/* What the host has to say while the command runs. */
static void wishes(_unused_ void **state)
{
	struct fixture f;
	struct guest_head h;

	begin_running(&f);
	assert_ok(vm_session_signal(f.s, 15));
	h = asked(&f);
	assert_int_equal(h.type, GUEST_SIGNAL);
	assert_memory_equal(f.body, "\17\0\0\0", h.len);
	assert_ok(vm_session_resize(f.s, 33, 77));
	h = asked(&f);
	assert_int_equal(h.type, GUEST_RESIZE);
	assert_memory_equal(f.body, "\41\0\115\0", h.len);
	assert_ok(vm_session_unread(f.s, true));
	h = asked(&f);
	assert_int_equal(h.type, GUEST_UNREAD);
	assert_memory_equal(f.body, "\101\0\0\0", h.len);
	end(&f);
}

/* The guest takes no input: no more than the window is on its way. */
static void window(_unused_ void **state)
{
	static const uint8_t data[GUEST_CHUNK_MAX];
	uint32_t n = 1000, sent = 0;
	struct fixture f;
	size_t room;

	begin_running(&f);
	while ((room = vm_session_room(f.s))) {
		assert_true(room <= sizeof(data));
		assert_ok(vm_session_input(f.s, data, room));
		sent += (uint32_t)room;
	}
	assert_int_equal(sent, GUEST_WINDOW);
	say(&f, GUEST_TAKEN, &n, sizeof(n));
	assert_int_equal(vm_session_next(f.s, &f.e), 1);
	assert_int_equal(vm_session_room(f.s), 1000);
	n = GUEST_WINDOW; /* more than there is */
	say(&f, GUEST_TAKEN, &n, sizeof(n));
	assert_int_equal(vm_session_next(f.s, &f.e), -EPROTO);
	end(&f);
}

static void failing(_unused_ void **state)
{
	struct {
		struct guest_failed f;
		char text[20];
	} body = { { 2, 127 }, "exec: \033[31mno\n" };
	struct fixture f;

	begin(&f, true);
	say(&f, GUEST_FAILED, &body, sizeof(body));
	assert_int_equal(vm_session_next(f.s, &f.e), 1);
	assert_int_equal(f.e.kind, VM_SESSION_FAILED);
	assert_int_equal(f.e.status, 127);
	assert_null(strchr(f.e.text, '\033'));
	assert_null(strchr(f.e.text, '\n'));
	end(&f);
}

static void processes(_unused_ void **state)
{
	struct {
		struct guest_process p;
		char command[9];
	} __attribute__((packed)) body = { { 0xffffffff, 1, 1000, 0, 5 }, "sleep 100" };
	struct fixture f;
	uint32_t zero = 0;

	begin(&f, false);
	say(&f, GUEST_PROCESS, &body, sizeof(body));
	assert_int_equal(vm_session_next(f.s, &f.e), 1);
	assert_int_equal(f.e.kind, VM_SESSION_PROCESS);
	assert_true(f.e.pid > 0);
	assert_int_equal(f.e.uid, 1000);
	assert_int_equal(f.e.len, 9);
	assert_memory_equal(f.e.data, "sleep 100", 9);
	say(&f, GUEST_EXITED, &zero, sizeof(zero));
	assert_int_equal(vm_session_next(f.s, &f.e), 1);
	f.guest = fd_close(f.guest);
	assert_int_equal(vm_session_next(f.s, &f.e), -EPIPE);
	end(&f);
}

/* What is out of place, too long or too short; each in a session of its own. */
static void garbage(_unused_ void **state)
{
	static const struct {
		bool exec, running;
		uint32_t type, len;
	} cases[] = {
		{ true, false, GUEST_OUTPUT, 1 },
		{ true, false, GUEST_EXITED, 4 },
		{ true, false, GUEST_STARTED, 1 },
		{ true, false, GUEST_PROCESS, 24 },
		{ true, false, GUEST_FAILED, 7 },
		{ true, false, GUEST_FAILED, GUEST_REPLY_MAX + 1 },
		{ true, false, 0, 0 },
		{ true, true, GUEST_STARTED, 0 },
		{ true, true, GUEST_FAILED, 8 },
		{ true, true, GUEST_EXITED, 3 },
		{ true, true, GUEST_EXITED, 5 },
		{ true, true, GUEST_TAKEN, 3 },
		{ true, true, GUEST_EXEC, 0 },
		{ false, false, GUEST_OUTPUT, 1 },
		{ false, false, GUEST_TAKEN, 4 },
		{ false, false, GUEST_PROCESS, 23 },
		{ false, false, GUEST_STARTED, 0 },
	};
	static const uint8_t zeroes[1024];

	for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
		struct fixture f;

		if (cases[i].running)
			begin_running(&f);
		else
			begin(&f, cases[i].exec);
		say(&f, cases[i].type, zeroes, cases[i].len);
		assert_int_equal(vm_session_next(f.s, &f.e), -EPROTO);
		end(&f);
	}
}

/* A length that lies ends it before anything of it is waited for. */
static void lying_length(_unused_ void **state)
{
	const struct guest_head head = { GUEST_OUTPUT, GUEST_CHUNK_MAX + 1 };
	struct fixture f;

	begin_running(&f);
	assert_ok(fd_write_full(f.guest, &head, sizeof(head)));
	assert_int_equal(vm_session_next(f.s, &f.e), -EPROTO);
	end(&f);
}

/* The longest there is, a piece at a time. */
static void pieces(_unused_ void **state)
{
	static uint8_t data[sizeof(struct guest_head) + GUEST_CHUNK_MAX];
	const struct guest_head head = { GUEST_OUTPUT, GUEST_CHUNK_MAX };
	struct fixture f;

	begin_running(&f);
	memset(data, 'x', sizeof(data));
	memcpy(data, &head, sizeof(head));
	for (size_t i = 0; i < sizeof(data); i += 4096) {
		assert_int_equal(vm_session_next(f.s, &f.e), 0);
		assert_ok(fd_write_full(f.guest, data + i, MIN((size_t)4096, sizeof(data) - i)));
	}
	assert_int_equal(vm_session_next(f.s, &f.e), 1);
	assert_int_equal(f.e.len, GUEST_CHUNK_MAX);
	assert_memory_equal(f.e.data, data + sizeof(head), f.e.len);
	end(&f);
}

/* Copies: what comes out is handed on as it is, and either may fail at any time. */
static void copies(_unused_ void **state)
{
	const struct vm_guest_copy in = { .to = "/tmp", .name = "file" };
	struct guest_failed no_space = { ENOSPC, 125 };
	uint32_t directory = 1, zero = 0;
	struct iovec record = { (void *)(uintptr_t) "record", 6 };

	for (unsigned i = 0; i < 2; i++) {
		struct fixture f = { 0 };
		int fds[2];

		assert_ok(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds));
		f.guest = fds[1];
		assert_ok(i ? vm_session_copy_in(fds[0], &in, &f.s) :
			      vm_session_copy_out(fds[0], "/etc", &f.s));
		assert_int_equal(asked(&f).type, i ? GUEST_COPY_IN : GUEST_COPY_OUT);
		say(&f, GUEST_STARTED, &directory, i ? 0 : sizeof(directory));
		assert_int_equal(vm_session_next(f.s, &f.e), 1);
		assert_int_equal(f.e.kind, VM_SESSION_STARTED);
		assert_int_equal(f.e.directory, !i);
		if (i) {
			assert_ok(vm_session_tree(f.s, &record, 1));
			assert_int_equal(recv(f.guest, f.body, 1, MSG_DONTWAIT), -1);
			assert_int_equal(vm_session_events(f.s), POLLIN);
			assert_ok(vm_session_tree(f.s, NULL, 0));
			assert_int_equal(asked(&f).len, 6);
			assert_int_equal(asked(&f).len, 0);
			say(&f, GUEST_FAILED, &no_space, sizeof(no_space));
			assert_int_equal(vm_session_next(f.s, &f.e), 1);
			assert_int_equal(f.e.error, ENOSPC);
		} else {
			say(&f, GUEST_TREE, "record", 6);
			assert_int_equal(vm_session_next(f.s, &f.e), 1);
			assert_int_equal(f.e.kind, VM_SESSION_TREE);
			assert_int_equal(f.e.len, 6);
			say(&f, GUEST_EXITED, &zero, sizeof(zero));
			assert_int_equal(vm_session_next(f.s, &f.e), 1);
			assert_int_equal(f.e.kind, VM_SESSION_EXITED);
		}
		say(&f, GUEST_TREE, "more", 4);
		assert_int_equal(vm_session_next(f.s, &f.e), -EPROTO);
		end(&f);
	}
}

/* Arguments that a guest would refuse are not sent. */
static void too_many(_unused_ void **state)
{
	char **many = mem_new(GUEST_ARGS_MAX + 2, sizeof(*many));
	struct vm_guest_exec x = { .argv = many };
	struct vm_session *s;
	int fds[2];

	for (size_t i = 0; i <= GUEST_ARGS_MAX; i++)
		many[i] = argv[0];
	assert_ok(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds));
	assert_int_equal(vm_session_exec(fds[0], &x, &s), -E2BIG);
	assert_int_equal(fcntl(fds[0], F_GETFD), -1);
	fd_close(fds[1]);
	free(many);
	err_clear();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_command),	cmocka_unit_test(window),
		cmocka_unit_test(wishes),	cmocka_unit_test(failing),
		cmocka_unit_test(processes),	cmocka_unit_test(garbage),
		cmocka_unit_test(lying_length), cmocka_unit_test(pieces),
		cmocka_unit_test(too_many),	cmocka_unit_test(copies),
	};

	alarm(60);
	return cmocka_run_group_tests_name("microvm/session", tests, NULL, NULL);
}
