/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Limits of a group that lives. v2's group holds the instance already and only has to be given the
 * controller; into one of v1 that it was not made with its processes would have to be moved, each
 * of them, while they fork.
 */
#include "runtime/cgroup.h"

#include "base/err.h"
#include "base/fd.h"
#include <errno.h>

static int update_dir(const struct cgroup_mount *m, const char *id, unsigned controllers,
		      const struct run_limits *l)
{
	struct cgroup_dir d = { .parent = -1, .fd = -1, .v2 = m->v2, .controllers = controllers };
	_close_ int root = -1, folder = cgroup_folder_open(m, false, &root), group = -1;
	int r = folder < 0 ? folder : 0;

	if (r >= 0 && m->v2)
		r = cgroup_v2_enable(root, folder, controllers);
	if (r >= 0) {
		group = openat(folder, id, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		r = group < 0 ? -errno : 0;
	}
	if (r == -ENOENT)
		return err(-EOPNOTSUPP,
			   "limit: %s runs in no group of the cgroup controller %s: "
			   "start it with such a limit",
			   id, cgroup_controller_name(controllers));
	if (r < 0)
		return err(r, "limit: cgroup of %s: %s", id, strerror(-r));
	d.fd = group;
	return cgroup_limit(&d, l);
}

int cgroup_update(const char *id, const struct run_limits *limits)
{
	unsigned missing = cgroup_controllers_of(limits);
	struct cgroup_mounts mounts;
	int r = cgroup_mounts_find(&mounts);

	if (r < 0)
		return r;
	for (size_t i = 0; r >= 0 && i < mounts.n; i++) {
		unsigned wanted = mounts.m[i].controllers & missing;

		if (wanted)
			r = update_dir(&mounts.m[i], id, wanted, limits);
		missing &= ~wanted;
	}
	cgroup_mounts_done(&mounts);
	if (r >= 0 && missing)
		r = err(-EOPNOTSUPP, "limit: this machine has no cgroup controller %s",
			cgroup_controller_name(missing));
	return r < 0 ? r : 0;
}
