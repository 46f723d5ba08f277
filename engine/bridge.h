/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An instance at the host's bridge: what strata-net (network/network.h) has given it, and what is
 * held for it. It ends with who holds it, killed or not; what a killed holder leaves of it (a lease
 * without a holder, its rules) the next start, rm -f or instance at the bridge clears.
 */
#ifndef ENGINE_BRIDGE_H
#define ENGINE_BRIDGE_H

#include "engine/spec.h"

struct bridge_end {
	int lease;
	int device; /* a container's network namespace, or a microVM's TAP */
	int *ports; /* sockets bound to what is published, which nobody else listens on then */
	size_t nports;
	uint8_t address[4], gateway[4];
	unsigned prefix;
};

#define BRIDGE_END_NONE ((struct bridge_end){ .lease = -1, .device = -1 })

/* What @spec asks for, with its published ports; strata-net writes to @log_fd. */
int bridge_open(const char *runroot, const struct run_spec *spec, int log_fd,
		struct bridge_end *ret);
/* Gives it back: with nothing open any more, the device first. */
void bridge_close(const char *runroot, const char *id, struct bridge_end *e);
/* Clears what a killed supervisor of @id left, if there is something. */
void bridge_recover(const char *runroot, const char *id);

#endif
