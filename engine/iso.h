/* SPDX-License-Identifier: Apache-2.0 */
/* The isolations that a supervisor is handed, one constructor each. They own nothing until create()
 * is called. */
#ifndef ENGINE_ISO_H
#define ENGINE_ISO_H

#include "engine/rootfs.h"

struct iso_context {
	struct store *store;
	const struct run_spec *spec;
	int dir;    /* the instance's folder */
	const char *runroot;
	int log_fd; /* where our own programs write what goes wrong */
	bool restore; /* it goes on from its checkpoint */
	bool hashed;  /* which whoever started us has read as a whole */
	int machines; /* RUNROOT/machines (warm.h), -1 = none */
	int images; /* RUNROOT/images: who has which image mounted (image_mount.h) */
};

extern const struct isolation iso_container, iso_vm, iso_mount;

/* The context of one run for supervise(): freed by iso_free(). NULL without memory. */
void *iso_container_new(const struct iso_context *c);
void *iso_vm_new(const struct iso_context *c);
void *iso_mount_new(const struct iso_context *c);

#endif
