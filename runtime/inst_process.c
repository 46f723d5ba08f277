/* SPDX-License-Identifier: Apache-2.0 */
/* The process of an instance, for whoever is not its parent. */
#include "runtime/inst.h"

#include "base/err.h"
#include "base/fd.h"
#include "base/proc.h"
#include "runtime/runtime.h"

int inst_process(const struct inst *i, int *ret_pidfd)
{
	struct inst_record record = { 0 };
	_close_ int pidfd = -1;
	uint64_t start;
	int r = inst_record_truth(i, &record);

	if (r < 0)
		return r;
	if (record.state.pid <= 0)
		return -ESRCH;
	pidfd = proc_pidfd(record.state.pid);
	if (pidfd < 0)
		return pidfd;
	/* The number was its own before pidfd_open(2), so it was so then. */
	if (proc_start_time(record.state.pid, &start) < 0 || start != record.pid_start)
		return -ESRCH;
	*ret_pidfd = take_fd(pidfd);
	return 0;
}
