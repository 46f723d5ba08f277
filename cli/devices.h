/* SPDX-License-Identifier: Apache-2.0 */
/* What a microVM's devices have moved, as inspect and stats show it. */
#ifndef CLI_DEVICES_H
#define CLI_DEVICES_H

#include "cli/cli.h"

/*
 * {fs: [...], disks: [...], net, vsock, balloon, console, rng}: what is known of them; disks and
 * file systems by the paths that the instance's @config has.
 */
json_t *devices_json(const struct device_stats *d, const json_t *config);

/* Bytes: read and written by all disks together; received and sent by the network. */
struct device_io {
	uint64_t in, out;
};
struct device_io devices_block_io(const struct device_stats *d);
struct device_io devices_net_io(const struct device_stats *d);
/* {input, output} of that, and the words for a table. */
json_t *device_io_json(struct device_io io);
struct device_io_text {
	char s[48];
} device_io_text(struct device_io io);

#endif
