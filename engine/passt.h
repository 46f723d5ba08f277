/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The network of a microVM: passt(1), which turns its connections into ones of the host's. Needs no
 * privilege and leaves nothing behind: it ends when the VM's end of the socket closes.
 */
#ifndef ENGINE_PASST_H
#define ENGINE_PASST_H

#include "engine/spec.h"

/*
 * What the guest is given: QEMU's and slirp's since ever. Nothing of it is an address of the
 * host's: its loopback is out of the guest's reach (--no-map-gw); its resolver answers at the DNS
 * address.
 */
#define PASST_ADDRESS { 10, 0, 2, 15 }
#define PASST_GATEWAY { 10, 0, 2, 2 }
#define PASST_DNS     { 10, 0, 2, 3 }
#define PASST_PREFIX  24u
#define PASST_MTU     65520u /* passt's own default: TCP without segmentation costs least */

/*
 * Starts one for @spec, with its published ports; returns when it is ready. What it has to say goes
 * to @log_fd. *@ret_fd is the VM's end.
 */
int passt_start(const struct run_spec *spec, int log_fd, int *ret_fd);

#endif
