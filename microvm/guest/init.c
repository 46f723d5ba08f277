/* SPDX-License-Identifier: Apache-2.0 */
/*
 * strata-init: process 1 of a microVM. Mounts what the VMM names, runs one command, tells how it
 * ended, and waits for the machine to be turned off. It never returns.
 */
#include "microvm/guest/init.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

/* All signals wait: SIGCHLD for its descriptor, and nothing else is for us. */
static void signals(void)
{
	sigset_t all;

	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	signal(SIGPIPE, SIG_IGN);
}

/* The VMM has been told all; it turns the machine off, or goes. */
static void wait_for_end(int control)
{
	uint8_t data[64];
	uint32_t type, len;

	for (;;) {
		struct pollfd p = { .fd = control, .events = POLLIN };

		if (poll(&p, 1, -1) > 0 && control_next(control, &type, data, &len) < 0)
			machine_end();
	}
}

static int prepare(const struct config *c)
{
	int r = mounts_root(c);

	if (r == 0)
		r = machine_hostname(c->hostname);
	if (r == 0)
		r = machine_loopback();
	return r;
}

static int run(const struct ports *p)
{
	static struct config config;
	struct command command;
	unsigned status;
	int r = control_config(p->control, &config);

	if (r < 0)
		return r;
	machine_mark(GUEST_MARK_CONFIG);
	r = prepare(&config);
	if (r < 0)
		return r;
	machine_mark(GUEST_MARK_ROOT);
	r = command_start(&config, &command);
	if (r < 0)
		return r;
	machine_mark(GUEST_MARK_STARTED);
	control_started(p->control);
	status = relay(p, &command);
	sync();
	machine_mark(GUEST_MARK_SYNCED);
	control_exited(p->control, status);
	return 0;
}

/* Without ports there is only the kernel's console to say it on. */
static void die(int r)
{
	int fd = open("/dev/console", O_WRONLY | O_NOCTTY | O_CLOEXEC);

	if (fd >= 0)
		dprintf(fd, "strata-init: %s: %s\n", failing_text(), strerror(-r));
	machine_end();
}

int main(void)
{
	struct ports ports = { -1, -1, -1, -1 };
	int r;

	machine_mark(GUEST_MARK_INIT);
	signals();
	r = mounts_early();
	if (r == 0)
		r = ports_open(&ports);
	if (r < 0)
		die(r);
	machine_mark(GUEST_MARK_PORTS);
	r = run(&ports);
	if (r < 0) {
		sync();
		control_failed(ports.control, -r);
	}
	wait_for_end(ports.control);
}
