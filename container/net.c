/* SPDX-License-Identifier: Apache-2.0 */
/* The loopback of a new network namespace, which is down. */
#include "container/inner.h"

#include "base/fd.h"
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

int net_loopback_up(void)
{
	struct ifreq lo = { .ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING };
	_close_ int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (s < 0 && errno == EAFNOSUPPORT)
		return 0; /* a kernel without IPv4 has no loopback to speak of */
	if (s < 0 || ioctl(s, SIOCSIFFLAGS, &lo) < 0)
		return err_sys("cannot bring up the loopback interface");
	return 0;
}
