/* SPDX-License-Identifier: Apache-2.0 */
#include "microvm/stats.h"

#include "base/mem.h"
#include "microvm/guest/protocol.h"

static const char *const names[] = {
	[GUEST_MARK_INIT] = "init runs",	  [GUEST_MARK_PORTS] = "console ports open",
	[GUEST_MARK_CONFIG] = "told what to run", [GUEST_MARK_ROOT] = "root mounted",
	[GUEST_MARK_STARTED] = "command started", [GUEST_MARK_EXITED] = "command ended",
	[GUEST_MARK_SYNCED] = "files synced",
};

const char *vm_mark_name(unsigned n)
{
	return n < ARRAY_SIZE(names) ? names[n] : NULL;
}
