/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/vmm_make.h"

#include "base/err.h"
#include "base/log.h"
#include "engine/vmm.h"
#include "engine/vmm_machine.h"

static int boot(struct vm *v)
{
	enum vm_end end;
	int r = vm_run(v, &end);

	if (r < 0)
		return r;
	return end == VM_END_MARK ? 0 :
				    err(-EIO, "the guest ended before its init was ready: %s",
					end == VM_END_CRASHED ? vm_why(v) : "reset");
}

int vmm_make(const struct run_spec *s, const struct digest *key)
{
	const struct vm_jail jail = { .uid = vmm_uid_base(s), .gid = vmm_uid_base(s) };
	const struct vm_snapshot snapshot = { VMM_SNAPSHOT, *key };
	const struct vmm_machine m = { .kind = VMM_MADE, .port_fd = -1 };
	char weak[256] = "";
	struct vm *v = NULL;
	int r = vmm_machine_new(s, &m, &v);

	if (r >= 0)
		r = vm_jail(&jail, weak, sizeof(weak));
	if (r >= 0 && weak[0])
		log_warn("%s", weak);
	if (r >= 0)
		r = boot(v);
	if (r >= 0)
		r = vm_snapshot_save(v, &snapshot);
	vm_free(v);
	return r;
}
