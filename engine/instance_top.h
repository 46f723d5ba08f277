/* SPDX-License-Identifier: Apache-2.0 */
/* The writable top of an instance that does not run: what diff and commit read. */
#ifndef ENGINE_INSTANCE_TOP_H
#define ENGINE_INSTANCE_TOP_H

#include "engine/rootfs.h"

struct instance_top {
	struct inst *inst;
	struct run_spec *spec;
	struct rootfs root; /* its parts, not mounted; the snapshot is locked */
};

#define INSTANCE_TOP_NONE ((struct instance_top){ .root = ROOTFS_NONE })

/*
 * -EBUSY, with a text that begins with the @verb: it runs. Done by instance_top_done() in any case.
 */
int instance_top_open(struct engine *e, const char *id_or_name, const char *verb,
		      struct instance_top *ret);
void instance_top_done(struct instance_top *t);

#endif
