/* SPDX-License-Identifier: Apache-2.0 */
/*
 * strata-init: process 1 of a microVM. Mounts what the VMM names, runs one command, tells how it
 * ended, and waits for the machine to be turned off. It never returns.
 */
#include "microvm/guest/init.h"

#include <errno.h>
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

/*
 * The kernel gives us none: an initramfs without /dev/console has no console for its init. Without
 * these a port or a pipe would get one of their numbers, and the command lose it at its exec, where
 * dup2() of a descriptor onto itself leaves it to be closed.
 */
static int standard_files(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	while (fd >= 0 && fd <= 2);
	if (fd < 0)
		return failing(-errno, "/dev/null");
	close(fd);
	return 0;
}

/* The VMM has been told all; it turns the machine off, or goes. */
static void wait_for_end(int control)
{
	uint8_t data[GUEST_WISH_MAX];
	uint32_t type, len;

	for (;;) {
		struct pollfd p = { .fd = control, .events = POLLIN };

		if (poll(&p, 1, -1) > 0 && control_next(control, &type, data, &len) < 0)
			machine_end();
	}
}

static int prepare(const struct config *c)
{
	int r = c->identity.time_ns ? machine_identify(&c->identity) : 0;

	if (r == 0)
		r = mounts_root(c);
	if (r == 0)
		r = machine_hostname(c->hostname);
	if (r == 0 && c->net.mtu && c->identity.time_ns)
		r = net_set_mac(c->identity.mac);
	if (r == 0 && c->net.mtu)
		r = net_up(&c->net);
	return r;
}

static int run(struct ports *p)
{
	static struct config config;
	struct command command;
	unsigned status;
	int r = control_config(p->control, &config);

	if (r < 0)
		return r;
	machine_mark(GUEST_MARK_CONFIG);
	if (config.flags & (GUEST_FLAG_STDIN | GUEST_FLAG_TTY))
		r = ports_open_stdin(p);
	if (r == 0)
		r = prepare(&config);
	if (r < 0)
		return r;
	machine_mark(GUEST_MARK_ROOT);
	r = command_start(&config, &command);
	if (r < 0)
		return r;
	machine_mark(GUEST_MARK_STARTED);
	command.listener = sessions_open();
	control_started(p->control);
	status = relay(p, &config, &command);
	mounts_end(&config);
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

	/* The command of a rehearsal (engine/vmm_make.h). */
	if (getpid() != 1)
		return 0;
	machine_mark(GUEST_MARK_INIT);
	signals();
	r = mounts_early();
	if (r == 0)
		r = modules_load();
	if (r == 0)
		r = standard_files();
	if (r == 0)
		r = machine_loopback();
	if (r == 0)
		r = ports_open(&ports);
	if (r < 0)
		die(r);
	machine_ready();
	r = run(&ports);
	if (r < 0) {
		sync();
		control_failed(ports.control, -r);
	}
	wait_for_end(ports.control);
}
