/* SPDX-License-Identifier: Apache-2.0 */
/* attach: a connection to what a running instance prints and reads. */
#include "base/err.h"
#include "engine/engine_.h"
#include "engine/spec.h"

/* The words for a supervisor's answer. */
static int said(int r, const char *name)
{
	switch (r) {
	case -ESRCH:
		return err(r, "%s is not running", name);
	case -EBUSY:
		return err(r, "%s is paused: unpause it first", name);
	case -EUSERS:
		return err(r, "%s: as many are attached as can be", name);
	case -EOPNOTSUPP:
		return err(r, "%s runs with --rm in the foreground: its streams are its client's",
			   name);
	case -EINVAL:
		return err(r, "%s was started by an older strata: it cannot be attached to", name);
	default:
		return r < 0 ? err(r, "%s: attach: %s", name, strerror(-r)) : r;
	}
}

int engine_attach(struct engine *e, const char *id_or_name, struct attach *ret)
{
	_cleanup_(spec_freep) struct run_spec *spec = NULL;
	_cleanup_(inst_closep) struct inst *i = NULL;
	int r = engine_find(e, id_or_name, &i, &spec);

	if (r < 0)
		return r;
	if (spec->kind == RUN_MOUNT)
		return err(-EINVAL, "%s is a mount: nothing runs in it", id_or_name);
	r = inst_attach(i, &ret->link);
	if (r < 0)
		return said(r, id_or_name);
	ret->tty = spec->tty;
	ret->inst = take_ptr(i);
	return 0;
}

void attach_done(struct attach *a)
{
	inst_attachment_close(&a->link);
	inst_close(a->inst);
	a->inst = NULL;
}
