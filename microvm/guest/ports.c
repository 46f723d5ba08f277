/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Finds our console ports by name. The driver learns of them from the device while the kernel
 * boots, and may not have heard all when we start: then its uevents tell. From our own VMM
 * the name comes last, when the port is connected; QEMU connects a moment later.
 */
#include "microvm/guest/init.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#define CLASS "/sys/class/virtio-ports"

static int uevents_open(void)
{
	struct sockaddr_nl a = { .nl_family = AF_NETLINK, .nl_groups = 1 };
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_KOBJECT_UEVENT);

	if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0)
		return failing(-errno, "uevents");
	return fd;
}

static int *wanted(struct ports *p, const char *name)
{
	if (strcmp(name, GUEST_PORT_CONTROL) == 0)
		return &p->control;
	if (strcmp(name, GUEST_PORT_STDIN) == 0)
		return &p->in;
	if (strcmp(name, GUEST_PORT_STDOUT) == 0)
		return &p->out;
	if (strcmp(name, GUEST_PORT_STDERR) == 0)
		return &p->err;
	return NULL;
}

/*
 * What is written to a port that is not connected yet is dropped. SIGIO tells of the change. Not
 * for the one that is read: it may be over already. Its turn to connect is before the control
 * port's.
 */
static void wait_connected(int fd)
{
	struct pollfd p = { .fd = fd };
	int flags = fcntl(fd, F_GETFL);
	sigset_t io;

	sigemptyset(&io);
	sigaddset(&io, SIGIO);
	fcntl(fd, F_SETOWN, getpid());
	fcntl(fd, F_SETFL, flags | O_ASYNC);
	while (poll(&p, 1, 0) == 1 && p.revents & POLLHUP)
		sigwaitinfo(&io, NULL);
	fcntl(fd, F_SETFL, flags);
}

static void port_try(struct ports *p, const char *device)
{
	char path[300], name[64];
	int fd, *slot;
	ssize_t n;

	snprintf(path, sizeof(path), CLASS "/%s/name", device);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	n = fd < 0 ? -1 : read(fd, name, sizeof(name) - 1);
	if (fd >= 0)
		close(fd);
	if (n <= 0)
		return;
	name[n - (name[n - 1] == '\n')] = '\0';
	slot = wanted(p, name);
	if (!slot || *slot >= 0)
		return;
	snprintf(path, sizeof(path), "/dev/%s", device);
	*slot = open(path, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (*slot >= 0 && slot != &p->in)
		wait_connected(*slot);
}

static bool has_output(const struct ports *p)
{
	return p->control >= 0 && p->out >= 0 && p->err >= 0;
}

static bool has_input(const struct ports *p)
{
	return p->in >= 0;
}

static void scan(struct ports *p)
{
	DIR *d = opendir(CLASS);
	struct dirent *e;

	while (d && (e = readdir(d)))
		port_try(p, e->d_name);
	if (d)
		closedir(d);
}

static int wait_for(struct ports *p, bool (*complete)(const struct ports *p))
{
	int fd = uevents_open();
	char event[4096];

	if (fd < 0)
		return fd;
	for (scan(p); !complete(p); scan(p)) {
		if (recv(fd, event, sizeof(event), 0) < 0 && errno != EINTR && errno != ENOBUFS)
			break;
	}
	close(fd);
	return complete(p) ? 0 : failing(-ENODEV, "console ports");
}

int ports_open(struct ports *p)
{
	*p = (struct ports){ -1, -1, -1, -1 };
	return wait_for(p, has_output);
}

int ports_open_stdin(struct ports *p)
{
	return has_input(p) ? 0 : wait_for(p, has_input);
}
