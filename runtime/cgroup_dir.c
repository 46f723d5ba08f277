/* SPDX-License-Identifier: Apache-2.0 */
/* Emptying and removing the folder of a group, whatever its processes made below it. */
#include "runtime/cgroup.h"

#include "base/dir.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/str.h"
#include <poll.h>
#include <signal.h>

#define DEPTH_MAX 32 /* groups below a group: a container may make its own */
/* pauses between the rounds, each twice the one before: about 1 s together */
#define KILL_ROUNDS 10
#define PROCS_MAX   (8u << 20)	/* bytes of cgroup.procs */
#define KEYED_MAX   (64u << 10) /* of a flat keyed file: memory.stat is the longest */

uint64_t cgroup_dir_get(int dir, const char *file, const char *key)
{
	_free_ char *text = NULL;
	size_t len = strlen(key);

	if (file_read_all(dir, file, KEYED_MAX, &text, NULL) < 0)
		return 0;
	for (const char *s = text; s && *s; s = strchr(s, '\n'), s += s != NULL) {
		if (strncmp(s, key, len) == 0 && s[len] == ' ')
			return strtoull(s + len + 1, NULL, 10);
	}
	return 0;
}

/* Calls @fn for each group right below @dir. */
static int each_child(int dir, int depth, int (*fn)(int parent, const char *name, int depth))
{
	_closedir_ DIR *d = dir_open(dir, ".");
	struct dirent *e;
	int r = 0;

	if (!d)
		return -errno;
	while (r >= 0 && (e = dir_next(d))) {
		if (e->d_type == DT_DIR)
			r = fn(dir, e->d_name, depth);
	}
	return r;
}

/*
 * SIGKILL to what is listed now: how many. In v2 a threaded or foreign-namespace process shows as
 * 0.
 */
static int kill_listed(int dir)
{
	_free_ char *list = NULL;
	int n = 0;

	if (file_read_all(dir, "cgroup.procs", PROCS_MAX, &list, NULL) < 0)
		return 0;
	for (char *s = list, *end; *s; s = end) {
		long pid = strtol(s, &end, 10);

		if (end == s)
			break;
		if (pid > 0)
			kill((pid_t)pid, SIGKILL);
		n++;
		end += *end == '\n';
	}
	return n;
}

static int kill_tree(int parent, const char *name, int depth)
{
	_close_ int dir = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int n, r;

	if (dir < 0 || depth > DEPTH_MAX)
		return 0;
	n = kill_listed(dir);
	r = each_child(dir, depth + 1, kill_tree);
	return r < 0 ? r : n;
}

int cgroup_dir_kill(int dir)
{
	/* Linux 5.14: at once and for all below, no fork escapes. */
	if (file_write(dir, "cgroup.kill", "1") >= 0)
		return 0;
	/*
	 * A bomb may fork between the reading and the killing; a pid namespace ends with its init,
	 * the first listed.
	 */
	for (int round = 0, ms = 1; round < KILL_ROUNDS; round++, ms *= 2) {
		each_child(dir, 1, kill_tree);
		if (kill_listed(dir) == 0)
			return 0;
		poll(NULL, 0, ms);
	}
	return err(-EBUSY, "cgroup: its processes do not end");
}

static int remove_tree(int parent, const char *name, int depth)
{
	_close_ int dir = -1;

	if (unlinkat(parent, name, AT_REMOVEDIR) == 0 || errno == ENOENT)
		return 0;
	if (errno != EBUSY || depth > DEPTH_MAX)
		return -errno;
	dir = openat(parent, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return errno == ENOENT ? 0 : -errno;
	each_child(dir, depth + 1, remove_tree);
	return unlinkat(parent, name, AT_REMOVEDIR) == 0 || errno == ENOENT ? 0 : -errno;
}

int cgroup_dir_remove(int parent, const char *name, int longest_ms)
{
	int r;

	for (int ms = 1;; ms *= 2) {
		r = remove_tree(parent, name, 0);
		if (r != -EBUSY || ms > longest_ms)
			return r;
		poll(NULL, 0, ms);
	}
}
