/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command: searched in the container's own PATH, by trying. Texts are docker's, which callers
 * match.
 */
#include "container/inner.h"

#include "base/fd.h"
#include "base/mem.h"
#include "base/str.h"
#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>

#define DEFAULT_PATH "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

static int try(struct child *c, const char *path)
{
	execve(path, c->spec->argv, c->env);
	return -errno;
}

/* Whether try() would find it, as far as can be told without trying. */
static int check(struct child *c _unused_, const char *path)
{
	struct stat st;

	if (stat(path, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EACCES;
	return faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) < 0 ? -errno : 0;
}

/*
 * Each absolute directory in turn; a file that may not be executed counts only if there is no
 * other.
 */
static int search(struct child *c, int (*fn)(struct child *, const char *), const char *name,
		  const char *dirs)
{
	char path[PATH_MAX];
	int found = -ENOENT;

	for (const char *end; dirs; dirs = *end ? end + 1 : NULL) {
		int len = (int)((end = strchrnul(dirs, ':')) - dirs), r;

		if (*dirs != '/' ||
		    snprintf(path, sizeof(path), "%.*s/%s", len, dirs, name) >= (int)sizeof(path))
			continue;
		r = fn(c, path);
		if (r != -ENOENT && r != -ENOTDIR && r != -EACCES)
			return r;
		if (r == -EACCES)
			found = r;
	}
	return found;
}

static int command(struct child *c, int (*fn)(struct child *, const char *))
{
	const char *name = c->spec->argv[0], *dirs = strv_getenv(c->env, "PATH");
	char shown[256];
	int r;

	str_printable(shown, sizeof(shown), name);
	if (!*name)
		return err(-ENOENT, "exec \"\": executable file not found in $PATH");
	if (strchr(name, '/')) {
		r = fn(c, name);
		if (r >= 0)
			return 0;
		if (r == -ENOTDIR)
			r = -ENOENT;
		return err(r, "exec \"%s\": %s", shown,
			   r == -ENOENT	 ? "no such file or directory" :
			   r == -EACCES	 ? "permission denied" :
			   r == -ENOEXEC ? "exec format error" :
					   strerror(-r));
	}
	r = search(c, fn, name, dirs || !c->spec->given ? dirs : DEFAULT_PATH);
	return r >= 0 ? 0 :
			err(r, "exec \"%s\": %s", shown,
			    r == -ENOENT ? "executable file not found in $PATH" :
			    r == -EACCES ? "permission denied" :
					   strerror(-r));
}

int exec_find(struct child *c)
{
	return command(c, check);
}

/*
 * It looks for the command as we do; that it is not there is for us to tell. A signal that comes
 * before it waits for signals has to be kept: to process 1 the kernel gives none that has no
 * handler and is not blocked.
 */
static int exec_reaper(struct child *c)
{
	char name[] = "strata-reap";
	sigset_t all;
	_free_ char **argv = mem_new(strv_len(c->spec->argv) + 2, sizeof(*argv));
	int r = argv ? exec_find(c) : -ENOMEM;

	if (r < 0)
		return r;
	argv[0] = name;
	memcpy(argv + 1, c->spec->argv, strv_len(c->spec->argv) * sizeof(*argv));
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	execveat(c->spec->reaper, "", argv, c->env, AT_EMPTY_PATH);
	return err(-EIO, "cannot execute strata-reap: %s", strerror(errno));
}

int exec_command(struct child *c)
{
	return c->spec->reaper ? exec_reaper(c) : command(c, try);
}
