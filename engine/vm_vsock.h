/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host's side of a microVM's vsock: the socket "vsock" in the instance's folder, and beside it
 * "vsock_PORT" for each of the host's servers that the guest may reach (docs/formats/guest.md).
 */
#ifndef ENGINE_VM_VSOCK_H
#define ENGINE_VM_VSOCK_H

#include <stdint.h>

/* A new listening socket in the instance's folder @dir, for the user's own programs alone. */
int vm_vsock_listen(int dir);
/*
 * Takes one request of a VMM from @fd and answers it with a connection to DIR/vsock_PORT, if
 * somebody listens there. 0, -EPIPE = the VMM has gone, or speaks nonsense.
 */
int vm_vsock_serve(int dir, int fd);
/*
 * A connection to @port of the guest whose instance's folder is @dir; -ECONNREFUSED: nobody listens
 * there; -ETIMEDOUT: the guest does not answer. With a text.
 */
int vm_vsock_connect(int dir, uint32_t port);

#endif
