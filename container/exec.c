/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command: searched in the container's own PATH, by trying. Texts are docker's, which callers
 * match.
 */
#include "container/inner.h"

#include "base/fd.h"
#include "base/str.h"
#include <stdio.h>

static int try(struct child *c, const char *path)
{
	execve(path, c->spec->argv, c->env);
	return -errno;
}

/*
 * Each absolute directory in turn; a file that may not be executed counts only if there is no
 * other.
 */
static int search(struct child *c, const char *name, const char *dirs)
{
	char path[PATH_MAX];
	int found = -ENOENT;

	for (const char *end; dirs; dirs = *end ? end + 1 : NULL) {
		int len = (int)((end = strchrnul(dirs, ':')) - dirs), r;

		if (*dirs != '/' ||
		    snprintf(path, sizeof(path), "%.*s/%s", len, dirs, name) >= (int)sizeof(path))
			continue;
		r = try(c, path);
		if (r != -ENOENT && r != -ENOTDIR && r != -EACCES)
			return r;
		if (r == -EACCES)
			found = r;
	}
	return found;
}

int exec_command(struct child *c)
{
	const char *name = c->spec->argv[0];
	char shown[256];
	int r;

	str_printable(shown, sizeof(shown), name);
	if (!*name)
		return err(-ENOENT, "exec \"\": executable file not found in $PATH");
	if (strchr(name, '/')) {
		r = try(c, name);
		if (r == -ENOTDIR)
			r = -ENOENT;
		return err(r, "exec \"%s\": %s", shown,
			   r == -ENOENT	 ? "no such file or directory" :
			   r == -EACCES	 ? "permission denied" :
			   r == -ENOEXEC ? "exec format error" :
					   strerror(-r));
	}
	r = search(c, name, strv_getenv(c->env, "PATH"));
	return err(r, "exec \"%s\": %s", shown,
		   r == -ENOENT ? "executable file not found in $PATH" :
		   r == -EACCES ? "permission denied" :
				  strerror(-r));
}
