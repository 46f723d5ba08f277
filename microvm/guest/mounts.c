/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mounts: what a command finds besides its root, before the machine is ready, so that one that goes
 * on from there has it; then the image's root, and the others moved into it. An image's /tmp and
 * /run stay its own.
 */
#include "microvm/guest/init.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#define NEW_ROOT "/root"

/* mkdir -p */
int mkdirs(const char *path, mode_t mode)
{
	char *copy = strdup(path), *p = copy;
	struct stat st;

	if (!copy)
		return -ENOMEM;
	if (stat(path, &st) == 0) {
		free(copy);
		return S_ISDIR(st.st_mode) ? 0 : -ENOTDIR;
	}
	while (p && (p = strchr(p + 1, '/'))) {
		*p = '\0';
		mkdir(copy, 0755);
		*p = '/';
	}
	free(copy);
	return mkdir(path, mode) < 0 && errno != EEXIST ? -errno : 0;
}

struct mounted {
	const char *target, *type, *options;
	unsigned long flags;
};

static int mount_one(const struct mounted *m)
{
	int r = mkdirs(m->target, 0755);

	if (r < 0)
		return failing(r, "%s", m->target);
	if (mount(m->type, m->target, m->type, m->flags, m->options) < 0)
		return failing(-errno, "mount %s", m->target);
	return 0;
}

static int mount_all(const struct mounted *m, size_t n)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < n; i++)
		r = mount_one(&m[i]);
	return r;
}

static void dev_links(void)
{
	static const char *const links[][2] = {
		{ "/proc/self/fd", "/dev/fd" },
		{ "/proc/self/fd/0", "/dev/stdin" },
		{ "/proc/self/fd/1", "/dev/stdout" },
		{ "/proc/self/fd/2", "/dev/stderr" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(links); i++)
		(void)!symlink(links[i][0], links[i][1]);
}

int mounts_early(void)
{
	static const struct mounted early[] = {
		{ "/dev", "devtmpfs", "mode=0755", MS_NOSUID },
		{ "/dev/pts", "devpts", "newinstance,ptmxmode=0666,mode=0620,gid=5",
		  MS_NOSUID | MS_NOEXEC },
		{ "/dev/shm", "tmpfs", "mode=1777", MS_NOSUID | MS_NODEV | MS_NOEXEC },
		{ "/dev/mqueue", "mqueue", NULL, MS_NOSUID | MS_NODEV | MS_NOEXEC },
		{ "/sys", "sysfs", NULL, MS_NOSUID | MS_NODEV | MS_NOEXEC },
		{ "/sys/fs/cgroup", "cgroup2", NULL, MS_NOSUID | MS_NODEV | MS_NOEXEC },
		{ "/proc", "proc", NULL, MS_NOSUID | MS_NODEV | MS_NOEXEC },
	};
	int r = mount_all(early, ARRAY_SIZE(early));

	if (r == 0) {
		dev_links();
		r = mkdirs(NEW_ROOT, 0755);
	}
	return r;
}

/* With what is mounted below it. */
static int move(const char *path)
{
	char to[sizeof(NEW_ROOT) + 16];
	int r;

	snprintf(to, sizeof(to), NEW_ROOT "%s", path);
	r = mkdirs(to, 0755);
	if (r == 0 && mount(path, to, NULL, MS_MOVE, NULL) < 0)
		r = -errno;
	return r < 0 ? failing(r, "%s of the image", path) : 0;
}

/* The root becomes /; the initramfs is below it, out of reach. */
static int switch_root(void)
{
	if (chdir(NEW_ROOT) < 0 || mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0 ||
	    chdir("/") < 0)
		return failing(-errno, "switch to the root");
	return 0;
}

static bool volume_is_disk(const struct volume *v)
{
	return strncmp(v->tag, "/dev/vd", strlen("/dev/vd")) == 0;
}

/* A disk that is not let go has its journal to be played by the next who mounts it. */
void mounts_end(const struct config *c)
{
	for (unsigned i = c->nvolumes; i--;) {
		const struct volume *v = &c->volumes[i];

		if (volume_is_disk(v) && umount2(v->target, 0) < 0)
			mount(NULL, v->target, NULL, MS_REMOUNT | MS_RDONLY, NULL);
	}
}

static int mount_tmpfs(const struct volume *v)
{
	const uint32_t f = v->tmpfs.flags;
	unsigned long flags = MS_NODEV | (f & GUEST_TMPFS_RO ? MS_RDONLY : 0) |
			      (f & GUEST_TMPFS_EXEC ? 0 : MS_NOEXEC) |
			      (f & GUEST_TMPFS_SUID ? 0 : MS_NOSUID);
	char options[64];
	int n = snprintf(options, sizeof(options), "mode=%o", v->tmpfs.mode);

	if (v->tmpfs.size)
		snprintf(options + n, sizeof(options) - (size_t)n, ",size=%llu",
			 (unsigned long long)v->tmpfs.size);
	return mount("tmpfs", v->target, "tmpfs", flags, options);
}

static int mount_volume(const struct volume *v)
{
	int r = mkdirs(v->target, 0755);

	if (r < 0)
		return r;
	r = v->is_tmpfs ? mount_tmpfs(v) :
			  mount(v->tag, v->target, volume_is_disk(v) ? "ext4" : "virtiofs",
				v->rdonly ? MS_RDONLY : 0, NULL);
	return r < 0 ? -errno : 0;
}

static int shm_resize(const struct config *c)
{
	char options[48];

	snprintf(options, sizeof(options), "mode=1777,size=%llu", (unsigned long long)c->shm_size);
	if (c->shm && mount(NULL, "/dev/shm", NULL, MS_REMOUNT | MS_NOSUID | MS_NODEV | MS_NOEXEC,
			    options) < 0)
		return failing(-errno, "size of /dev/shm");
	return 0;
}

static int volumes(const struct config *c)
{
	for (unsigned i = 0; i < c->nvolumes; i++) {
		const struct volume *v = &c->volumes[i];
		const bool disk = volume_is_disk(v);
		int r = mount_volume(v);

		if (disk && (r == -ENODEV || r == -ENOENT))
			failing_why = "this kernel has no disks or no ext4: `strata kernel build "
				      "--with blk` makes one that has";
		if (r < 0)
			return failing(r, "volume %s", v->target);
	}
	return 0;
}

#define FILE_MADE "/dev/.file" /* until it is bound over the image's */

static bool write_all(int fd, const char *data, size_t len)
{
	ssize_t n;

	for (; len; data += n, len -= (size_t)n) {
		n = write(fd, data, len);
		if (n <= 0)
			return false;
	}
	return true;
}

/*
 * Bound over the image's, which stays as it is. An image that has no place for it and lets us make
 * none, since it is read-only or has a link to nowhere, goes without.
 */
static void bind_file(const struct file *f)
{
	int fd = open(FILE_MADE, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	int place = open(f->target, O_RDONLY | O_CREAT | O_CLOEXEC | O_NOCTTY | O_NONBLOCK, 0644);

	if (fd >= 0 && place >= 0 && write_all(fd, f->text, strlen(f->text)))
		(void)!mount(FILE_MADE, f->target, NULL, MS_BIND, NULL);
	if (fd >= 0)
		close(fd);
	if (place >= 0)
		close(place);
	unlink(FILE_MADE);
}

int mounts_root(const struct config *c)
{
	static const char *const moved[] = { "/dev", "/sys", "/proc" };
	int r = 0;

	if (mount(c->root, NEW_ROOT, "virtiofs", 0, NULL) < 0)
		return failing(-errno, "root file system \"%s\"", c->root);
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(moved); i++)
		r = move(moved[i]);
	if (r == 0)
		r = switch_root();
	if (r < 0)
		return r;
	for (unsigned i = 0; i < c->nfiles; i++)
		bind_file(&c->files[i]);
	r = shm_resize(c);
	return r == 0 ? volumes(c) : r;
}

int mounts_seal(const struct config *c)
{
	if ((c->flags & GUEST_FLAG_ROOT_RO) &&
	    mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL) < 0)
		return failing(-errno, "root read-only");
	return 0;
}
