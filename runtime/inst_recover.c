/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is left to do when a supervisor was killed: end what it ran, clear its cgroup, write down
 * that it has ended.
 */
#include "runtime/inst.h"

#include "base/err.h"
#include "base/fd.h"
#include "base/str.h"
#include <poll.h>
#include <signal.h>

/* how long a killed process may take: it may have to tear down gigabytes or wait for a disk */
#define KILL_MS 10000

/* Kills the process that the record names, if it is still that one, and waits for its end. */
static int kill_recorded(const struct inst_record *record)
{
	_close_ int pidfd = -1;
	struct pollfd p;
	int r;

	if (!proc_alive(record->state.pid, record->pid_start))
		return 0;
	pidfd = proc_pidfd(record->state.pid);
	if (pidfd == -ESRCH)
		return 0;
	if (pidfd < 0)
		return err(pidfd, "process %d: %s", record->state.pid, strerror(-pidfd));
	/* Only now is it certain whose descriptor this is. */
	if (!proc_alive(record->state.pid, record->pid_start))
		return 0;
	r = proc_pidfd_kill(pidfd, SIGKILL);
	if (r < 0 && r != -ESRCH)
		return err(r, "process %d: %s", record->state.pid, strerror(-r));
	p = (struct pollfd){ .fd = pidfd, .events = POLLIN };
	if (poll(&p, 1, KILL_MS) == 0)
		return err(-ETIMEDOUT, "process %d does not end", record->state.pid);
	return 0;
}

/* With the lock held. */
static int recover(const struct inst *i)
{
	struct inst_record record = { 0 };
	struct boot_id now;
	int r;

	r = inst_record_read(i, &record);
	if (r == -EBADMSG) { /* what it ran is not known, but all of it is in the cgroup */
		err_clear();
		r = cgroup_purge(i->id);
	}
	if (r < 0 || record.state.status == INST_STOPPED)
		return r == -ENOENT ? 0 : r;
	r = proc_boot_id(&now);
	if (r < 0)
		return err(r, "boot id: %s", strerror(-r));
	if (streq(now.s, record.boot.s) && record.state.monitor) {
		r = kill_recorded(&record);
		if (r < 0)
			return r;
		r = cgroup_purge(i->id);
		if (r < 0)
			return r;
	}
	inst_record_end(&record);
	clock_gettime(CLOCK_REALTIME, &record.state.finished);
	return inst_record_write(i, &record);
}

int inst_recover(struct inst *i)
{
	bool ours = i->lock >= 0;
	int r;

	r = inst_lock(i);
	if (r < 0)
		return r;
	r = recover(i);
	if (!ours)
		inst_unlock(i);
	return r;
}
