/* SPDX-License-Identifier: Apache-2.0 */
/* What is done to a container that is there: start, kill, delete, pause, update. */
#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/proc.h"
#include "base/str.h"
#include "container/container.h"
#include "oci/folder.h"
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>

#define END_MS 10000 /* how long a killed process may take to end */

static int connect_gate(const struct folder *f)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };
	_close_ int s = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

	snprintf(a.sun_path, sizeof(a.sun_path), "%s/" FOLDER_GATE, fd_path(f->fd).s);
	if (s < 0 || connect(s, (struct sockaddr *)&a, sizeof(a)) < 0)
		return err_sys("cannot reach the container at its gate");
	return take_fd(s);
}

/* The state has "running" already: what fails now is a warning (runtime.md, step 9). */
static void run_after(const struct folder *f, const char *name, enum oci_status s)
{
	const json_t *hooks = json_object_get(f->state, "hooks");
	_json_ json_t *state = NULL;

	if (!hooks || !json_object_get(hooks, name))
		return;
	state = folder_state_json(f, s);
	if (hooks_run(hooks, name, state) < 0)
		log_warn("%s", err_take(-EIO));
}

int oci_start(const struct oci_options *o, const char *id)
{
	_cleanup_(folder_done) struct folder f = FOLDER_NONE;
	_close_ int conn = -1;
	enum oci_status s;
	int r = folder_open(o, id, true, &f);

	if (r < 0)
		return r;
	s = folder_status(&f);
	if (s != OCI_CREATED)
		return err(-EINVAL, "cannot start a container that is %s", oci_status_name(s));
	conn = connect_gate(&f);
	if (conn < 0)
		return conn;
	/* From here on it is not "created" any more, whatever becomes of us. */
	unlinkat(f.fd, FOLDER_GATE, 0);
	r = ctr_start_at(conn);
	if (r == -EPIPE)
		return err(r, "container not running");
	if (r >= 0)
		run_after(&f, "poststart", OCI_RUNNING);
	return r;
}

int oci_kill(const struct oci_options *o, const char *id, int sig, bool all)
{
	_cleanup_(folder_done) struct folder f = FOLDER_NONE;
	_close_ int pidfd = -1;
	int r = folder_open(o, id, false, &f);

	if (r < 0)
		return r;
	/* Also when the first has ended: the others may go on (a pid namespace of another's). */
	if (all && f.cgroup.n)
		r = oci_cgroup_signal(&f.cgroup, sig);
	else {
		pidfd = folder_pidfd(&f);
		r = pidfd < 0 ? pidfd : proc_pidfd_kill(pidfd, sig);
	}
	/* v1's freezer holds back what SIGKILL would end. */
	if (r >= 0 && sig == SIGKILL && oci_cgroup_frozen(&f.cgroup))
		r = oci_cgroup_freeze(&f.cgroup, false);
	return r;
}

/* Gone, or gone soon: the one who reaps it is another. */
static int end(struct folder *f)
{
	_close_ int pidfd = folder_pidfd(f);
	struct pollfd p = { .fd = pidfd, .events = POLLIN };

	if (pidfd < 0) {
		err_clear();
		return 0;
	}
	proc_pidfd_kill(pidfd, SIGKILL);
	if (oci_cgroup_frozen(&f->cgroup))
		oci_cgroup_freeze(&f->cgroup, false);
	return poll(&p, 1, END_MS) == 1 ? 0 : err(-EBUSY, "container %s does not end", f->id);
}

/*
 * Before the lock: who has it may be waiting for the container, which is not to answer. What was
 * not killed is killed with the lock.
 */
static void kill_first(const struct oci_options *o, const char *id)
{
	_cleanup_(folder_done) struct folder f = FOLDER_NONE;

	if (folder_open(o, id, false, &f) >= 0 && end(&f) >= 0)
		oci_cgroup_kill(&f.cgroup);
	err_clear();
}

int oci_delete(const struct oci_options *o, const char *id, bool force)
{
	_cleanup_(folder_done) struct folder f = FOLDER_NONE;
	enum oci_status s;
	int r;

	if (force)
		kill_first(o, id);
	r = folder_open(o, id, true, &f);
	if (r == -ENOENT && force) {
		err_clear();
		return 0;
	}
	if (r < 0)
		return r;
	s = folder_status(&f);
	if (!force && (s == OCI_RUNNING || s == OCI_PAUSED))
		return err(-EBUSY, "cannot delete container %s that is not stopped: %s", id,
			   oci_status_name(s));
	r = end(&f);
	if (r >= 0)
		r = oci_cgroup_kill(&f.cgroup);
	if (r < 0 && !force)
		return r;
	oci_cgroup_remove(&f.cgroup);
	run_after(&f, "poststop", OCI_STOPPED);
	return folder_remove(&f);
}

int oci_pause(const struct oci_options *o, const char *id, bool pause)
{
	_cleanup_(folder_done) struct folder f = FOLDER_NONE;
	enum oci_status s, want = pause ? OCI_RUNNING : OCI_PAUSED;
	int r = folder_open(o, id, true, &f);

	if (r < 0)
		return r;
	s = folder_status(&f);
	if (s == OCI_STOPPED)
		return err(-ESRCH, "container not running");
	if (s != want)
		return err(-EINVAL, "cannot %s a container that is %s", pause ? "pause" : "resume",
			   oci_status_name(s));
	return oci_cgroup_freeze(&f.cgroup, pause);
}

int oci_update(const struct oci_options *o, const char *id, const json_t *resources)
{
	_cleanup_(folder_done) struct folder f = FOLDER_NONE;
	int r = folder_open(o, id, true, &f);

	if (r >= 0 && folder_status(&f) == OCI_STOPPED)
		r = err(-ESRCH, "container not running");
	return r < 0 ? r : oci_cgroup_apply(&f.cgroup, resources, NULL, true);
}

int oci_pids(const struct oci_options *o, const char *id, pid_t **ret, size_t *ret_n)
{
	_cleanup_(folder_done) struct folder f = FOLDER_NONE;
	int r = folder_open(o, id, false, &f);

	if (r < 0)
		return r;
	if (f.cgroup.n)
		return oci_cgroup_pids(&f.cgroup, ret, ret_n);
	/* Without groups the first is all that is known. */
	*ret = mem_new(1, sizeof(**ret));
	*ret_n = *ret && folder_status(&f) != OCI_STOPPED;
	if (*ret)
		**ret = f.pid;
	return *ret ? 0 : -ENOMEM;
}

int oci_signal(const char *name)
{
	uint64_t n;

	if (str_u64(name, 1, 64, &n) == 0)
		return (int)n;
	if (str_after(name, "SIG"))
		name = str_after(name, "SIG");
	for (int sig = 1; sig <= 64; sig++) {
		const char *abbrev = sigabbrev_np(sig);

		if (abbrev && streq(abbrev, name))
			return sig;
	}
	if (str_after(name, "RTMIN+") && str_u64(str_after(name, "RTMIN+"), 0, 30, &n) == 0)
		return SIGRTMIN + (int)n;
	return err(-EINVAL, "unknown signal \"%s\"", name);
}
