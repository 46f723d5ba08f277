/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/instance_top.h"

#include "base/err.h"
#include "engine/engine_.h"

int instance_top_open(struct engine *e, const char *id_or_name, const char *verb,
		      struct instance_top *ret)
{
	struct inst_state state;
	int r = inst_open(e->runroot_fd, id_or_name, &ret->inst);

	if (r >= 0)
		r = inst_state(ret->inst, &state);
	if (r >= 0)
		r = spec_from_json(inst_config(ret->inst), &ret->spec);
	if (r < 0)
		return r;
	if (state.status == INST_RUNNING || state.status == INST_PAUSED)
		return err(-EBUSY, "%s: %s is %s: stop it first", verb, id_or_name,
			   inst_status_name(state.status));
	r = rootfs_open_parts(e->store, ret->spec, false, &ret->root);
	return r == -EBUSY ? err(r, "%s: %s is just starting or ending: try again", verb,
				 id_or_name) :
			     r;
}

void instance_top_done(struct instance_top *t)
{
	rootfs_close(&t->root);
	spec_free(t->spec);
	inst_close(t->inst);
	*t = INSTANCE_TOP_NONE;
}
