/* SPDX-License-Identifier: Apache-2.0 */
/* strata-vmm making a machine for others to begin from (engine/warm.h). */
#ifndef ENGINE_VMM_MAKE_H
#define ENGINE_VMM_MAKE_H

#include "base/sha256.h"
#include "engine/spec.h"

/*
 * Boots the machine that @s begins from, in the jail, until its init is ready, and writes it to
 * VMM_SNAPSHOT. Nothing of an image is there.
 */
int vmm_make(const struct run_spec *s, const struct digest *key);

#endif
