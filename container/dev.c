/* SPDX-License-Identifier: Apache-2.0 */
/*
 * /dev: a tmpfs of our own on which no device node works, and the host's six harmless ones bound
 * into it, each checked. So a container's root, who may mknod, gets nothing by it, without a device
 * cgroup; and it is the same in a user namespace, where nobody may mknod.
 */
#include "container/inner.h"

#include "base/fd.h"
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

static const struct {
	const char *host, *name;
	unsigned int major, minor;
} nodes[] = {
	{ "/dev/null", "null", 1, 3 },	     { "/dev/zero", "zero", 1, 5 },
	{ "/dev/full", "full", 1, 7 },	     { "/dev/random", "random", 1, 8 },
	{ "/dev/urandom", "urandom", 1, 9 }, { "/dev/tty", "tty", 5, 0 },
};

static const struct {
	const char *target, *name;
} links[] = {
	{ "/proc/self/fd", "fd" },	 { "/proc/self/fd/0", "stdin" },
	{ "/proc/self/fd/1", "stdout" }, { "/proc/self/fd/2", "stderr" },
	{ "pts/ptmx", "ptmx" },
};

static int make_node(int dev, size_t i)
{
	struct stat st;

	if (mknodat(dev, nodes[i].name, S_IFREG | 0666, 0) < 0 ||
	    mount(nodes[i].host, nodes[i].name, NULL, MS_BIND, NULL) < 0 ||
	    fstatat(dev, nodes[i].name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return err_sys("cannot make /dev/%s", nodes[i].name);
	if (!S_ISCHR(st.st_mode) || st.st_rdev != makedev(nodes[i].major, nodes[i].minor))
		return err(-ENODEV, "the host's %s is not device %u:%u", nodes[i].host,
			   nodes[i].major, nodes[i].minor);
	return 0;
}

static int make_entries(int dev)
{
	for (size_t i = 0; i < ARRAY_SIZE(nodes); i++) {
		int r = make_node(dev, i);

		if (r < 0)
			return r;
	}
	for (size_t i = 0; i < ARRAY_SIZE(links); i++) {
		if (symlinkat(links[i].target, dev, links[i].name) < 0)
			return err_sys("cannot make /dev/%s", links[i].name);
	}
	if (mkdirat(dev, "pts", 0755) < 0 || mkdirat(dev, "shm", 0755) < 0 ||
	    mkdirat(dev, "mqueue", 0755) < 0)
		return err_sys("cannot make the directories of /dev");
	return 0;
}

/* Relative to /dev, where we are: names that were just made there. */
static int mount_below(const struct ctr_spec *spec)
{
	/* Group 5 is tty's in every distribution. */
	bool gid = !spec->userns || spec->id_count > 5;
	const char *pts = gid ? "newinstance,ptmxmode=0666,mode=0620,gid=5" :
				"newinstance,ptmxmode=0666,mode=0620";
	char shm[64];

	if (mount("devpts", "pts", "devpts", MS_NOSUID | MS_NOEXEC, pts) < 0)
		return err_sys("cannot mount /dev/pts");
	snprintf(shm, sizeof(shm), "mode=1777,size=%s", spec->shm_size ? spec->shm_size : "65536k");
	if (mount("shm", "shm", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, shm) < 0)
		return err_sys("cannot mount /dev/shm");
	if (mount("mqueue", "mqueue", "mqueue", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0 &&
	    errno != ENODEV)
		return err_sys("cannot mount /dev/mqueue");
	return 0;
}

int dev_setup(struct child *c)
{
	static const char *const opts[] = { "mode", "755", "size", "65536k", NULL };
	int r;

	c->dev = mounts_new("tmpfs", opts, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV);
	if (c->dev < 0)
		return err(c->dev, "cannot make a tmpfs: %s", strerror(-c->dev));
	r = mounts_place(c->dev, c->root, "dev");
	if (r < 0)
		return r;
	if (fchdir(c->dev) < 0)
		return err_sys("cannot enter /dev");
	r = make_entries(c->dev);
	if (r >= 0)
		r = mount_below(c->spec);
	if (r >= 0 && c->spec->tty)
		r = tty_setup(c);
	return r;
}
