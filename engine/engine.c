/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/engine_.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/str.h"

/* What @given or the environment says, else where such things are of root's, or of a user's. */
static int default_path(const char *given, const char *variable, const char *of_root,
			const char *home_variable, const char *below_home, char **ret)
{
	const char *env = getenv(variable), *home;

	if (!given && env && *env)
		given = env;
	if (!given && geteuid() == 0)
		given = of_root;
	if (given) {
		*ret = given[0] == '/' ? strdup(given) : NULL;
		if (given[0] != '/')
			return err(-EINVAL, "%s '%s': must be an absolute path", variable, given);
		return *ret ? 0 : -ENOMEM;
	}
	home = getenv(home_variable);
	if (!home || home[0] != '/')
		return err(-EINVAL, "%s is not set: set it or %s", home_variable, variable);
	*ret = str_fmt("%s/%s", home, below_home);
	return *ret ? 0 : -ENOMEM;
}

static int open_runroot(struct engine *e)
{
	int r = fd_mkdir_p(AT_FDCWD, e->runroot, 0700);

	if (r < 0)
		return err(r, "state folder %s: %s; choose another by --runroot", e->runroot,
			   strerror(-r));
	e->runroot_fd = open(e->runroot, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return e->runroot_fd < 0 ? err_sys("state folder %s", e->runroot) : 0;
}

int engine_paths(const struct engine_options *o, char **ret_root, char **ret_runroot)
{
	_free_ char *root = NULL;
	int r = default_path(o->root, "STRATA_ROOT", "/var/lib/strata", "HOME",
			     ".local/share/strata", &root);

	if (r >= 0)
		r = default_path(o->runroot, "STRATA_RUNROOT", "/run/strata", "XDG_RUNTIME_DIR",
				 "strata", ret_runroot);
	if (r >= 0)
		*ret_root = take_ptr(root);
	return r;
}

int engine_open(const struct engine_options *o, unsigned store_flags, struct engine **ret)
{
	_cleanup_(engine_closep) struct engine *e = new0(struct engine);
	int r;

	if (!e)
		return -ENOMEM;
	e->runroot_fd = -1;
	r = engine_paths(o, &e->root, &e->runroot);
	if (r >= 0)
		r = store_open(e->root, store_flags, &e->store);
	if (r >= 0 && getenv("STRATA_BOUNDS"))
		r = store_set_bounds(e->store, getenv("STRATA_BOUNDS"));
	if (r >= 0)
		r = open_runroot(e);
	if (r < 0)
		return r;
	*ret = take_ptr(e);
	return 0;
}

void engine_close(struct engine *e)
{
	if (!e)
		return;
	store_close(e->store);
	fd_close(e->runroot_fd);
	free(e->root);
	free(e->runroot);
	free(e);
}

struct store *engine_store(struct engine *e)
{
	return e->store;
}

const char *engine_note(const struct engine *e)
{
	return e->note[0] ? e->note : NULL;
}

int engine_runroot(struct engine *e)
{
	return e->runroot_fd;
}

const char *engine_runroot_path(struct engine *e)
{
	return e->runroot;
}
