/* SPDX-License-Identifier: Apache-2.0 */
/* The machine's network: one interface, as the VMM says. */
#include "microvm/guest/init.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <net/route.h>
#include <netinet/in.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <unistd.h>

#define INTERFACE "eth0" /* the only one that the machine has */

static bool given(const uint8_t address[4])
{
	return address[0] || address[1] || address[2] || address[3];
}

static void set_sockaddr(struct sockaddr *sa, const uint8_t address[4])
{
	struct sockaddr_in in = { .sin_family = AF_INET };

	memcpy(&in.sin_addr, address, 4);
	memcpy(sa, &in, sizeof(in));
}

static int set_address(int fd, unsigned long request, const uint8_t address[4])
{
	struct ifreq r = { .ifr_name = INTERFACE };

	set_sockaddr(&r.ifr_addr, address);
	return ioctl(fd, request, &r) < 0 ? -errno : 0;
}

static int set_netmask(int fd, unsigned prefix)
{
	uint32_t mask = prefix ? htonl(UINT32_MAX << (32 - prefix)) : 0;
	uint8_t bytes[4];

	memcpy(bytes, &mask, sizeof(bytes));
	return set_address(fd, SIOCSIFNETMASK, bytes);
}

static int set_mtu_and_up(int fd, unsigned mtu)
{
	struct ifreq m = { .ifr_name = INTERFACE, .ifr_mtu = (int)mtu };
	struct ifreq up = { .ifr_name = INTERFACE, .ifr_flags = IFF_UP | IFF_RUNNING };

	return ioctl(fd, SIOCSIFMTU, &m) < 0 || ioctl(fd, SIOCSIFFLAGS, &up) < 0 ? -errno : 0;
}

static int add_default_route(int fd, const uint8_t gateway[4])
{
	static const uint8_t any[4];
	struct rtentry r = { .rt_flags = RTF_UP | RTF_GATEWAY };

	set_sockaddr(&r.rt_dst, any);
	set_sockaddr(&r.rt_genmask, any);
	set_sockaddr(&r.rt_gateway, gateway);
	return ioctl(fd, SIOCADDRT, &r) < 0 ? -errno : 0;
}

static int interface_up(int fd, const struct guest_net *n)
{
	int r = set_mtu_and_up(fd, n->mtu);

	if (r == 0 && given(n->address))
		r = set_address(fd, SIOCSIFADDR, n->address);
	if (r == 0 && given(n->address))
		r = set_netmask(fd, n->prefix);
	if (r == 0 && given(n->gateway))
		r = add_default_route(fd, n->gateway);
	return r;
}

int net_set_mac(const uint8_t mac[6])
{
	struct ifreq r = { .ifr_name = INTERFACE, .ifr_hwaddr.sa_family = ARPHRD_ETHER };
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int e = fd < 0 ? -errno : 0;

	memcpy(r.ifr_hwaddr.sa_data, mac, 6);
	if (e == 0 && ioctl(fd, SIOCSIFHWADDR, &r) < 0)
		e = -errno;
	if (fd >= 0)
		close(fd);
	return e < 0 ? failing(e, "address of " INTERFACE) : 0;
}

int net_up(const struct guest_net *n)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	int r = fd < 0 ? -errno : n->prefix > 32 ? -EINVAL : interface_up(fd, n);

	if (fd >= 0)
		close(fd);
	if (r < 0)
		return failing(r, "network interface " INTERFACE);
	return 0;
}
