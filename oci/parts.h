/* SPDX-License-Identifier: Apache-2.0 */
/* What only the files that make up a config share. */
#ifndef OCI_PARTS_H
#define OCI_PARTS_H

#include "oci/config.h"

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x80 /* linux/sched.h, which clashes with sched.h in old C libraries */
#endif

int config_devices(struct oci_config *c, const json_t *l); /* config_devices.c */

#endif
