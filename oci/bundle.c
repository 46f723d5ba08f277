/* SPDX-License-Identifier: Apache-2.0 */
#include "oci/bundle.h"

#include "base/err.h"
#include "base/fd.h"
#include "base/str.h"
#include "base/userns.h"
#include "oci/parts.h"
#include "oci/seccomp.h"
#include <linux/magic.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>

/* It has to be one of that kind: a path may be anything. */
static int open_namespace(const char *path, int flag)
{
	_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	int type;

	if (fd < 0)
		return err_sys("cannot open the namespace %s", path);
	type = ioctl(fd, NS_GET_NSTYPE);
	if (type != flag)
		return err(-EINVAL, "%s is not a namespace of that type", path);
	return take_fd(fd);
}

/* Of the three kinds that have names or sysctls. */
static bool is_ours(int fd, int flag)
{
	struct stat its, ours;

	return fstat(fd, &its) == 0 &&
	       stat(flag == CLONE_NEWNET ? "/proc/self/ns/net" :
		    flag == CLONE_NEWIPC ? "/proc/self/ns/ipc" :
					   "/proc/self/ns/uts",
		    &ours) == 0 &&
	       its.st_ino == ours.st_ino && its.st_dev == ours.st_dev;
}

static int open_namespaces(struct oci_config *c)
{
	for (size_t i = 0; i < c->given.nnamespaces; i++) {
		struct ctr_namespace *n = &c->namespaces[i];

		if (!c->paths[i])
			continue;
		n->fd = open_namespace(c->paths[i], n->flag);
		if (n->fd < 0)
			return n->fd;
		if (n->flag & c->written && is_ours(n->fd, n->flag))
			return err(-EINVAL, "%s is the host's: its names and sysctls stay",
				   c->paths[i]);
	}
	return 0;
}

static int open_root(struct oci_config *c)
{
	/* With what is mounted below it; private, or the host would see our mounts. */
	struct mount_attr a = { .propagation = MS_PRIVATE };
	struct stat st;
	int fd = open_tree(AT_FDCWD, c->root, OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);

	if (fd < 0)
		return errno == EPERM ? err(-EPERM,
					    "root.path %s: operation not permitted: an ordinary "
					    "user needs a user namespace of his own around this "
					    "program, as podman makes one",
					    c->root) :
					err_sys("root.path %s", c->root);
	c->spec.root_mount = fd;
	if (fstat(fd, &st) < 0 || !S_ISDIR(st.st_mode))
		return err(-ENOTDIR, "root.path %s is no directory", c->root);
	if (mount_setattr(fd, "", AT_EMPTY_PATH | AT_RECURSIVE, &a, sizeof(a)) < 0)
		return err_sys("root.path %s", c->root);
	return 0;
}

void bundle_labels(struct oci_config *c)
{
	_free_ char *enabled = NULL;

	if (file_read_all(AT_FDCWD, "/sys/module/apparmor/parameters/enabled", 16, &enabled, NULL) <
		    0 ||
	    *enabled != 'Y' || (c->given.apparmor && !*c->given.apparmor))
		c->given.apparmor = NULL;
	if (access("/sys/fs/selinux/enforce", F_OK) < 0 || (c->given.selinux && !*c->given.selinux))
		c->given.selinux = NULL;
}

/* linux.mountLabel: SELinux' label of the files of what is made for the container. */
static int label_mounts(struct oci_config *c)
{
	struct ctr_given_mount *m = (struct ctr_given_mount *)c->given.mounts;
	const char *label = "";
	int r = member_str(json_object_get(c->doc, "linux"), "mountLabel", &label);

	if (r < 0 || !*label || access("/sys/fs/selinux/enforce", F_OK) < 0)
		return r;
	for (size_t i = 0; i < c->given.nmounts; i++) {
		if (!m[i].type || (!streq(m[i].type, "tmpfs") && !streq(m[i].type, "mqueue")))
			continue;
		m[i].data = keep_fmt(&c->mem, "%s%scontext=\"%s\"", m[i].data ?: "",
				     m[i].data ? "," : "", label);
		if (!m[i].data)
			return -ENOMEM;
	}
	return 0;
}

int bundle_open(struct oci_config *c)
{
	int r = open_namespaces(c);

	if (r >= 0)
		r = open_root(c);
	if (r >= 0)
		r = label_mounts(c);
	bundle_labels(c);
	/* Nobody may mknod there. */
	c->given.bind_devices = config_has_namespace(c, CLONE_NEWUSER, false) || userns_ids() > 0;
	return r;
}

int bundle_seccomp(struct oci_config *c, const json_t *profile, int root, struct sock_fprog *filter)
{
	_close_ int cache = -1;
	int r;

	if (!profile)
		return 0;
	if (mkdirat(root, ".seccomp", 0700) == 0 || errno == EEXIST)
		cache = fd_open_beneath(root, ".seccomp", O_RDONLY | O_DIRECTORY, 0);
	r = oci_seccomp(&c->mem, profile, cache, filter, &c->given.filter_flags);
	if (r >= 0)
		c->given.filter = filter;
	return r;
}
