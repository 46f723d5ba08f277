/* SPDX-License-Identifier: Apache-2.0 */
/*
 * network: the bridge of a host's instances. strata-net, a program that runs for moments, makes the
 * bridge with its first user and takes it away with its last; it gives each instance an address,
 * a device (a container's network namespace with an eth0, a microVM's TAP), and its part of the
 * rules: NAT, published ports, what nobody may send. Only it loads libnftables.
 *
 *     strata-net up RUNROOT ID container|vm BRIDGE [PORT...]     answers on descriptor 3
 *     strata-net down RUNROOT ID
 *
 * What is given stands in RUNROOT/network/ID, a lease: its file is flock()ed by the descriptor that
 * the answer carries. Who holds that keeps the lease; when the last holder is gone, killed or not,
 * the lease is dead, and the next strata-net of this RUNROOT clears it. RUNROOT/network/lock is
 * held meanwhile. The rules are made anew from the leases each time, in one transaction.
 *
 * Errors: as everywhere, -errno with a text; they go back in the answer.
 */
#ifndef NETWORK_NETWORK_H
#define NETWORK_NETWORK_H

#include <stdint.h>

#define NETWORK_MAC_LEN 6u

/* The address of the eth0 of instance @id: the first ten digits of the id. */
void network_mac(const char *id, uint8_t ret[NETWORK_MAC_LEN]);

#define NETWORK_FOLDER "network" /* in RUNROOT */
#define NETWORK_BRIDGE "strata0"
/*
 * The bridge's own address: of none of the ranges that podman (10.88.0.0/16 and up), docker
 * (172.17.0.0/16 and up, 192.168.0.0/16), libvirt or QEMU take by default. A /22 has as many
 * addresses as a bridge can have ports.
 */
#define NETWORK_DEFAULT "10.77.0.1/22"
#define NETWORK_MTU	1500u /* Ethernet's: what leaves the host is not cut again */

/*
 * A published port as PROTOCOL/ADDRESS/HOST/GUEST, such as tcp/0.0.0.0/8080/80; 0.0.0.0 is every
 * address of the host's.
 */
#define NETWORK_PORT_FMT "%s/%s/%u/%u"

/* What `up` answers, with two descriptors when error is 0: the lease, and the device. */
struct network_answer {
	int32_t error;
	uint8_t address[4], gateway[4];
	uint32_t prefix;
	char text[200];
};

int network_main(int argc, char **argv);

#endif
