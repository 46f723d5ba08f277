/* SPDX-License-Identifier: Apache-2.0 */
/* What the devices of a microVM have moved since its VMM began; part of engine/engine.h. */
#ifndef ENGINE_DEVICE_STATS_H
#define ENGINE_DEVICE_STATS_H

#include <stdint.h>

#define DEVICE_FS_MAX	 17u /* the root, and volumes */
#define DEVICE_DISKS_MAX 4u

/* What is known: a device that there is, whose counters are had. */
enum {
	DEVICE_NET = 1,
	DEVICE_VSOCK = 2,
	DEVICE_BALLOON = 4,
	DEVICE_DISKS = 8,
	DEVICE_CONSOLE = 16,
	DEVICE_RNG = 32,
};

/*
 * As its VMM says, which is not trusted, in one message. "in" is to the guest, "out" from it. What
 * is not @known is all zeroes.
 */
struct device_stats {
	uint32_t known, nfs, ndisks, pad;
	struct device_net {
		uint64_t in_frames, in_bytes, out_frames, out_bytes, dropped;
	} net;
	struct device_vsock {
		uint64_t connections, in_bytes, out_bytes, refused;
	} vsock;
	/*
	 * Bytes: of the machine; with the host now; given back by reports in all; and available as
	 * the guest said last. UINT64_MAX = not known.
	 */
	struct device_balloon {
		uint64_t total, ballooned, reported, available;
	} balloon;
	struct device_console {
		uint64_t in_bytes, out_bytes; /* of all ports; on KVM with init's messages */
	} console;
	uint64_t rng_bytes;
	struct device_fs {
		uint64_t requests, in_bytes, out_bytes; /* answers, and what was asked */
	} fs[DEVICE_FS_MAX];				/* the root's, then the volumes' */
	struct device_disk {
		uint64_t reads, read_bytes, writes, write_bytes, flushes, discards, errors;
	} disks[DEVICE_DISKS_MAX]; /* in the spec's order */
};

#endif
