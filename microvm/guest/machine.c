/* SPDX-License-Identifier: Apache-2.0 */
/* The machine: its ports, its name, its loopback. */
#include "microvm/guest/init.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/random.h>
#include <net/if.h>
#include <stdarg.h>
#include <sys/io.h>
#include <sys/ioctl.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define IO_PORTS (GUEST_IO_END - GUEST_IO_MARK + 1)

#define NS UINT64_C(1000000000)

static char text[256];
unsigned failing_status = 125;
const char *failing_why;

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

void failing_line(char *line, size_t size, int e)
{
	snprintf(line, size, "%s: %s", text, failing_why ? failing_why : strerror(e < 0 ? -e : e));
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

/* ---- what a machine from a snapshot is given ---- */

static uint64_t ready_ns; /* CLOCK_MONOTONIC, which stands while the machine is in a file */

static uint64_t monotonic_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * NS + (uint64_t)t.tv_nsec;
}

void machine_ready(void)
{
	ready_ns = monotonic_ns();
	machine_mark(GUEST_MARK_PORTS);
}

static int set_time(uint64_t went_on_ns)
{
	uint64_t now = went_on_ns + (monotonic_ns() - ready_ns);
	struct timespec t = { .tv_sec = (time_t)(now / NS), .tv_nsec = (long)(now % NS) };

	return clock_settime(CLOCK_REALTIME, &t) < 0 ? failing(-errno, "time") : 0;
}

/* Mixed in and used at once, by all that the kernel has handed out numbers from before. */
static int reseed(const uint8_t entropy[GUEST_ENTROPY_LEN])
{
	uint64_t room[(sizeof(struct rand_pool_info) + GUEST_ENTROPY_LEN) / sizeof(uint64_t) + 1];
	struct rand_pool_info *p = (struct rand_pool_info *)room;
	int fd = open("/dev/urandom", O_RDWR | O_CLOEXEC), r;

	p->entropy_count = 8 * (int)GUEST_ENTROPY_LEN;
	p->buf_size = GUEST_ENTROPY_LEN;
	memcpy(p->buf, entropy, GUEST_ENTROPY_LEN);
	r = fd < 0 || ioctl(fd, RNDADDENTROPY, p) < 0 || ioctl(fd, RNDRESEEDCRNG) < 0 ? -errno : 0;
	explicit_bzero(room, sizeof(room));
	if (fd >= 0)
		close(fd);
	return r < 0 ? failing(r, "random numbers") : 0;
}

int machine_identify(const struct guest_identity *i)
{
	int r = reseed(i->entropy);

	return r == 0 ? set_time(i->time_ns) : r;
}

void machine_restored(const struct guest_identity *i)
{
	ready_ns = monotonic_ns();
	machine_identify(i);
}

#define MACHINE_ID "/etc/machine-id"

/* Only where there is one (machine-id(5)): an image without goes on without. */
static int set_machine_id(const uint8_t id[16])
{
	char line[2 * 16 + 2];
	int fd = open(MACHINE_ID, O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC), r = 0;

	if (fd < 0)
		return errno == ENOENT ? 0 : failing(-errno, MACHINE_ID);
	for (size_t i = 0; i < 16; i++)
		snprintf(line + 2 * i, 3, "%02x", id[i]);
	line[sizeof(line) - 2] = '\n';
	if (pwrite(fd, line, sizeof(line) - 1, 0) < 0 || ftruncate(fd, sizeof(line) - 1) < 0)
		r = failing(-errno, MACHINE_ID);
	close(fd);
	return r;
}

void machine_cloned(const struct guest_clone *c)
{
	static const uint8_t none[6];
	char name[sizeof(c->hostname) + 1] = "";

	memcpy(name, c->hostname, sizeof(c->hostname));
	machine_restored(&c->identity);
	machine_hostname(name);
	set_machine_id(c->machine_id);
	if (memcmp(c->identity.mac, none, sizeof(none)) != 0)
		net_set_mac(c->identity.mac);
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
