/* SPDX-License-Identifier: Apache-2.0 */
/*
 * strata-vmm making a machine for others to begin from (engine/warm.h), and rehearsing with it what
 * they will do.
 */
#ifndef ENGINE_VMM_MAKE_H
#define ENGINE_VMM_MAKE_H

#include "base/sha256.h"
#include "engine/spec.h"

/*
 * Boots the machine that @s begins from, in the jail, until its init is ready, and writes it to
 * VMM_SNAPSHOT. Nothing of an image is there.
 */
int vmm_make(const struct run_spec *s, const struct digest *key);
/*
 * Begins from it as a run does, in the jail: with VMM_UPPER as its root, read-only, and /init in
 * there as its command. What memory that touched is added to VMM_SNAPSHOT.
 */
int vmm_rehearse(const struct run_spec *s, const struct digest *key);

#endif
