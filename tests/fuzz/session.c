/* SPDX-License-Identifier: Apache-2.0 */
/* A guest's init that is the fuzzer's: what it says in a session, and over the control port. */
#include "base/err.h"
#include "base/fd.h"
#include "microvm/microvm.h"
#include <sys/socket.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void session(struct vm_session *s)
{
	struct vm_session_event e;
	volatile uint8_t last = 0;

	while (vm_session_next(s, &e) == 1) {
		size_t room = vm_session_room(s);

		if (e.len)
			last = e.data[e.len - 1];
		if (room)
			vm_session_input(s, "input", MIN(room, (size_t)5));
	}
	(void)last;
	vm_session_free(s);
}

static void control(int fd)
{
	struct vm_guest_event e;
	struct vm_control *c;

	if (vm_control_new(fd, &c) < 0) {
		fd_close(fd);
		return;
	}
	while (vm_control_next(c, &e) == 1)
		;
	vm_control_free(c);
}

static int new_session(unsigned kind, int fd, struct vm_session **ret)
{
	static char name[] = "true";
	char *const argv[] = { name, NULL };
	const struct vm_guest_exec x = { .argv = argv, .stdin_open = true };
	const struct vm_guest_copy c = { .to = "/", .name = "file" };

	switch (kind) {
	case 0:
		return vm_session_processes(fd, ret);
	case 1:
		return vm_session_exec(fd, &x, ret);
	case 3:
		return vm_session_copy_out(fd, "/", ret);
	default:
		return vm_session_copy_in(fd, &c, ret);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct vm_session *s;
	int fds[2];

	if (!size || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) < 0)
		return 0;
	(void)!send(fds[1], data + 1, size - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
	shutdown(fds[1], SHUT_WR);
	if (data[0] % 5 == 2)
		control(fds[0]);
	else if (new_session(data[0] % 5, fds[0], &s) == 0)
		session(s);
	fd_close(fds[1]);
	err_clear();
	return 0;
}
