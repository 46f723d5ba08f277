/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The network of a microVM: passt(1), which turns its connections into ones of the host's. Needs no
 * privilege and leaves nothing behind: it ends when the VM's end of the socket closes. A
 * container's is pasta(1), the same program by another name (engine/pasta.h).
 */
#ifndef ENGINE_PASST_H
#define ENGINE_PASST_H

#include "engine/spec.h"

/*
 * What the guest, or the container, is given: QEMU's and slirp's since ever. Nothing of it is an
 * address of the host's: its loopback is out of the guest's reach (--no-map-gw); its resolver
 * answers at the DNS address.
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

/* The words for what passt and pasta are told alike, added to @argv: addresses and ports. */
int passt_add_words(const struct run_spec *spec, char ***argv);
/* Where the program @name of that package is; -EOPNOTSUPP with a text. */
int passt_find(const char *name, char **ret);
/* What to say when one ended with @status before there was a network. */
int passt_failed(const char *name, int status);

#endif
