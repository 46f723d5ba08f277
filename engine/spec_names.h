/* SPDX-License-Identifier: Apache-2.0 */
/* Which names an instance knows, and whom it asks for others: --dns and its kin, --add-host. */
#ifndef ENGINE_SPEC_NAMES_H
#define ENGINE_SPEC_NAMES_H

#include "engine/spec.h"

#define HOST_GATEWAY "host-gateway" /* in place of an address: the host's, at the bridge */

/* After the network is known. -EINVAL with a text for what is wrong. */
int spec_join_names(struct run_spec *s, const struct run_options *o);

#endif
