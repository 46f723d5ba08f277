/* SPDX-License-Identifier: Apache-2.0 */
/* The machine: its ports, its name, its loopback. */
#include "microvm/guest/init.h"

#include <errno.h>
#include <net/if.h>
#include <stdarg.h>
#include <sys/io.h>
#include <sys/ioctl.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <unistd.h>

#define IO_PORTS (GUEST_IO_END - GUEST_IO_MARK + 1)

static char text[256];
unsigned failing_status = 125;

int failing(int e, const char *fmt, ...)
{
	va_list ap;

	if (!text[0]) {
		va_start(ap, fmt);
		vsnprintf(text, sizeof(text), fmt, ap);
		va_end(ap);
	}
	return e;
}

const char *failing_text(void)
{
	return text;
}

void machine_mark(enum guest_mark m)
{
	static bool allowed;

	allowed = allowed || ioperm(GUEST_IO_MARK, IO_PORTS, 1) == 0;
	if (allowed)
		outb((unsigned char)m, GUEST_IO_MARK);
}

void machine_end(void)
{
	if (ioperm(GUEST_IO_MARK, IO_PORTS, 1) == 0)
		outb(0, GUEST_IO_END);
	/* Another VMM than ours. */
	for (;;)
		reboot(RB_AUTOBOOT);
}

void machine_drop(void)
{
	ioperm(GUEST_IO_MARK, IO_PORTS, 0);
}

int machine_hostname(const char *name)
{
	if (name && sethostname(name, strlen(name)) < 0)
		return failing(-errno, "hostname \"%s\"", name);
	return 0;
}

int machine_loopback(void)
{
	struct ifreq r = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), e = 0;

	if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &r) < 0)
		e = failing(-errno, "loopback");
	if (fd >= 0)
		close(fd);
	return e;
}
