/* SPDX-License-Identifier: Apache-2.0 */
/* Disks of a microVM: a raw file each, which the guest has as /dev/vda, vdb... */
#ifndef ENGINE_SPEC_DISK_H
#define ENGINE_SPEC_DISK_H

#include "engine/spec.h"

/* Adds "FILE[:/PATH][:ro]". -EINVAL and the like with a text for what is wrong. */
int spec_parse_disk(struct run_spec *s, const char *text);
void spec_disks_free(struct run_spec *s);
/* "disks" and "diskRate" of config.json. */
void spec_disks_to_json(const struct run_spec *s, json_t *config);
int spec_disks_from_json(const json_t *config, struct run_spec *s);
/* Its file, locked as long as the descriptor or a copy of it is open; -EBUSY: another has it. */
int spec_disk_open(const struct run_volume *d);

#endif
