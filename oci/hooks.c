/* SPDX-License-Identifier: Apache-2.0 */
/* Hooks (config.md, "POSIX-platform Hooks"): programs of the engine's, the state on their stdin. */
#include "base/err.h"
#include "base/fd.h"
#include "base/proc.h"
#include "base/str.h"
#include "oci/config.h"
#include "oci/folder.h"
#include <poll.h>
#include <signal.h>

/* In milliseconds; -1 waits for ever. */
static int wait_for(int pidfd, int timeout, int *ret_status)
{
	struct pollfd p = { .fd = pidfd, .events = POLLIN };
	int r;

	do
		r = poll(&p, 1, timeout);
	while (r < 0 && errno == EINTR);
	if (r == 0)
		proc_pidfd_kill(pidfd, SIGKILL);
	if (proc_wait(pidfd, ret_status) < 0)
		return -ECHILD;
	return r == 0 ? -ETIMEDOUT : 0;
}

static int run(const char *path, char *const *argv, char *const *env, int state, int timeout)
{
	static char *const none[] = { NULL };
	char *const self[] = { (char *)path, NULL };
	const int fds[3] = { state, -1, STDERR_FILENO };
	int status = 0, r;
	_close_ int pidfd = -1;

	if (lseek(state, 0, SEEK_SET) < 0)
		return -errno;
	r = proc_spawn(path, argv && *argv ? argv : self, env ? env : none, fds, 3, NULL, &pidfd);
	if (r >= 0)
		r = wait_for(pidfd, timeout, &status);
	if (r < 0)
		return err(r, "hook %s: %s", path, strerror(-r));
	return status ? err(-EIO, "hook %s: exit status %d", path, status) : 0;
}

static int run_one(const json_t *hook, int state)
{
	_cleanup_(keep_done) struct keep mem = { 0 };
	char **argv = NULL, **env = NULL;
	const char *path = NULL;
	int64_t timeout = 0;
	int r = member_str(hook, "path", &path);

	if (r >= 0)
		r = member_strv(&mem, hook, "args", &argv);
	if (r >= 0)
		r = member_strv(&mem, hook, "env", &env);
	if (r >= 0)
		r = member_int(hook, "timeout", 1, 1000000, &timeout);
	if (r >= 0 && (!path || *path != '/'))
		r = err(-EINVAL, "config: a hook without an absolute path");
	return r < 0 ? r : run(path, argv, env, state, timeout ? (int)timeout * 1000 : -1);
}

int hooks_run(const json_t *hooks, const char *name, const json_t *state)
{
	const json_t *list = NULL;
	_free_ char *text = NULL;
	_close_ int fd = -1;
	size_t len;
	int r = member_array(hooks, name, &list);

	if (r < 0 || !json_array_size(list))
		return r;
	text = json_text(state, &len);
	fd = text ? fd_memfd("state", text, len) : -ENOMEM;
	if (fd < 0)
		return fd;
	for (size_t i = 0; r >= 0 && i < json_array_size(list); i++)
		r = run_one(json_array_get(list, i), fd);
	return r;
}
