/* SPDX-License-Identifier: Apache-2.0 */
/* What this host can do, each thing by trying it where that costs nothing and leaves nothing. */
#include "base/err.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/str.h"
#include "engine/engine_.h"
#include "engine/image_mount.h"
#include "engine/kernel.h"
#include "engine/passt.h"
#include "engine/rootless.h"
#include "engine/qemu.h"
#include "engine/union_mount.h"
#include "layer/layer.h"
#include "microvm/microvm.h"
#include <linux/mount.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/statfs.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>

#define CGROUP2_MAGIC 0x63677270 /* linux/magic.h CGROUP2_SUPER_MAGIC */

struct doctor {
	int (*fn)(void *ctx, const struct doctor_item *i);
	void *ctx;
	unsigned major, minor; /* of the running kernel */
	int stop;
};

static void say(struct doctor *d, const char *name, enum doctor_verdict verdict, const char *fmt,
		...) __attribute__((format(printf, 4, 5)));

static void say(struct doctor *d, const char *name, enum doctor_verdict verdict, const char *fmt,
		...)
{
	char detail[256];
	struct doctor_item item = { name, verdict, detail };
	va_list ap;

	if (d->stop)
		return;
	va_start(ap, fmt);
	vsnprintf(detail, sizeof(detail), fmt, ap);
	va_end(ap);
	d->stop = d->fn(d->ctx, &item);
}

static bool kernel_at_least(const struct doctor *d, unsigned major, unsigned minor)
{
	return d->major > major || (d->major == major && d->minor >= minor);
}

static void check_kernel(struct doctor *d)
{
	struct utsname u;
	char *end;

	uname(&u);
	d->major = strtoul(u.release, &end, 10);
	d->minor = *end == '.' ? strtoul(end + 1, NULL, 10) : 0;
	say(d, "kernel", kernel_at_least(d, 5, 15) ? DOCTOR_YES : DOCTOR_NO,
	    "Linux %s; strata needs 5.15 or later", u.release);
}

static void check_root(struct doctor *d)
{
	uint32_t ids = geteuid() == 0 ? 0 : rootless_ids_given();

	if (geteuid() == 0)
		say(d, "root", DOCTOR_YES, "runs as root");
	else if (ids)
		say(d, "root", DOCTOR_PARTLY,
		    "uid %d: runs as root of a user namespace of %u ids (subuid(5))",
		    (int)geteuid(), ids);
	else
		say(d, "root", DOCTOR_NO,
		    "uid %d: images can be handled, and mounted by fusermount3. For run: %s",
		    (int)geteuid(), err_take(-EPERM));
}

/* Its engine, the caller's, or NULL. */
static struct engine *check_store(struct doctor *d, const struct engine_options *o)
{
	struct engine *e;
	int r = engine_open(o, 0, &e);

	if (r < 0) {
		say(d, "store", DOCTOR_PARTLY, "%s", err_take(r));
		return NULL;
	}
	say(d, "store", DOCTOR_YES, "%s", store_path(e->store));
	return e;
}

static void check_fuse(struct doctor *d)
{
	_close_ int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);

	if (fd < 0) {
		say(d, "fuse", DOCTOR_NO, "/dev/fuse: %s; try `modprobe fuse`", strerror(errno));
		return;
	}
	say(d, "fuse", DOCTOR_YES, "/dev/fuse opens");
	if (kernel_at_least(d, 6, 9)) {
		say(d, "resend", DOCTOR_YES,
		    "a killed file server is replaced, its mount goes on (Linux 6.9)");
		say(d, "passthrough", geteuid() == 0 ? DOCTOR_YES : DOCTOR_NO,
		    "reads without the server (Linux 6.9, root); not used: docs/KERNELS.md");
	} else {
		say(d, "resend", DOCTOR_NO,
		    "Linux %u.%u: needs 6.9; a killed file server ends its mount", d->major,
		    d->minor);
		say(d, "passthrough", DOCTOR_NO, "Linux %u.%u: needs 6.9", d->major, d->minor);
	}
}

/* Who mounts directories by strata-unionfs, podman's mount_program among them. */
static void check_unionfs(struct doctor *d)
{
	_free_ char *path = NULL;
	struct stat st;

	if (access("/dev/fuse", R_OK | W_OK) < 0) {
		say(d, "unionfs", DOCTOR_NO, "/dev/fuse: %s: strata-unionfs cannot mount",
		    strerror(errno));
		return;
	}
	if (geteuid() == 0) {
		say(d, "unionfs", DOCTOR_YES, "strata-unionfs mounts directories");
		return;
	}
	path = union_fusermount();
	if (path && stat(path, &st) == 0 && st.st_mode & S_ISUID)
		say(d, "unionfs", DOCTOR_YES, "strata-unionfs mounts directories by %s", path);
	else
		say(d, "unionfs", DOCTOR_PARTLY,
		    "strata-unionfs mounts in a user namespace only (podman does); install fuse3");
}

static bool has_fs(const char *name)
{
	int fd = syscall(SYS_fsopen, name, FSOPEN_CLOEXEC);

	if (fd >= 0)
		fd_close(fd);
	return fd >= 0 || errno == EPERM;
}

/*
 * An empty image, a file of the store without a name: 0, or why it cannot be mounted, with a text.
 */
static int try_erofs(const char *store)
{
	_close_ int fd = open(store, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	struct layer_tree *tree;
	struct fd_path path = fd_path(fd);
	struct image_erofs erofs = { .index = path.s, .packs = (char *[]){ NULL } };
	struct image_kind kind = image_erofs(&erofs);
	int r;

	if (fd < 0)
		return err_sys("%s", store);
	r = layer_tree_new(&tree);
	if (r < 0)
		return r;
	r = layer_tree_write(tree, NULL, 0, fd);
	layer_tree_free(tree);
	if (r >= 0)
		r = kind.mount(kind.ctx);
	if (r < 0)
		return r;
	fd_close(r);
	return 0;
}

/* Whether the driver overlay stands on EROFS here. */
static bool check_erofs(struct doctor *d, const char *store)
{
	int r;

	if (!has_fs("erofs")) {
		say(d, "erofs", DOCTOR_NO, "this kernel has no EROFS; try `modprobe erofs`");
		return false;
	}
	if (!kernel_at_least(d, 6, 12)) {
		say(d, "erofs", DOCTOR_NO,
		    "Linux %u.%u mounts no EROFS from a plain file: needs 6.12", d->major,
		    d->minor);
		return false;
	}
	if (geteuid() != 0) {
		say(d, "erofs", DOCTOR_NO, "root's alone to mount: a user's images are FUSE");
		return false;
	}
	r = store ? try_erofs(store) : 0;
	if (r < 0)
		say(d, "erofs", DOCTOR_NO, "not from a file of this store: %s", strerror(-r));
	else
		say(d, "erofs", DOCTOR_YES, "mounts from a plain file (Linux 6.12)");
	err_clear();
	return r == 0;
}

static void check_overlay(struct doctor *d, const char *store)
{
	bool erofs = check_erofs(d, store);

	if (!has_fs("overlay"))
		say(d, "overlay", DOCTOR_NO,
		    "this kernel has no overlayfs; try `modprobe overlay`");
	else
		say(d, "overlay", DOCTOR_YES, "the driver overlay works, over %s; %s",
		    erofs ? "EROFS" : "FUSE",
		    geteuid() == 0 && kernel_at_least(d, 6, 15) ?
			    "one mount for all instances of an image (Linux 6.15)" :
			    "a mount for each instance (one for all: Linux 6.15)");
}

/* Which v1 controllers there are, from /proc/cgroups-style mounts: "cpu memory pids". */
static void list_v1(char *text, size_t size)
{
	static const char *const names[] = { "memory", "cpu", "pids", "blkio", "freezer" };
	size_t len = 0;

	for (unsigned i = 0; i < ARRAY_SIZE(names); i++) {
		_free_ char *path = str_fmt("/sys/fs/cgroup/%s/cgroup.procs", names[i]);

		if (path && access(path, F_OK) == 0 && len < size)
			len += snprintf(text + len, size - len, " %s", names[i]);
	}
}

/* Who is not root has what systemd delegates to him, in version 2 alone (runtime/cgroup.h). */
static void check_user_cgroups(struct doctor *d)
{
	struct statfs s;

	if (statfs("/sys/fs/cgroup", &s) == 0 && s.f_type == CGROUP2_MAGIC)
		say(d, "cgroups", DOCTOR_PARTLY,
		    "version 2: limits where `systemd-run --user --scope` began the command");
	else
		say(d, "cgroups", DOCTOR_NO, "version 1: an ordinary user's runs have no limits");
}

static void check_cgroups(struct doctor *d)
{
	_free_ char *controllers = NULL;
	char v1[64] = "";
	struct statfs s;

	if (statfs("/sys/fs/cgroup", &s) == 0 && s.f_type == CGROUP2_MAGIC) {
		size_t len = 0;

		if (file_read_all(AT_FDCWD, "/sys/fs/cgroup/cgroup.controllers", 4096, &controllers,
				  &len) == 0 &&
		    len)
			controllers[strcspn(controllers, "\n")] = '\0';
		say(d, "cgroups", DOCTOR_YES, "version 2: %s", controllers ? controllers : "");
		return;
	}
	list_v1(v1, sizeof(v1));
	if (!v1[0])
		say(d, "cgroups", DOCTOR_NO, "none is mounted at /sys/fs/cgroup: no limits");
	else
		say(d, "cgroups", DOCTOR_YES, "version 1:%s%s", v1,
		    access("/sys/fs/cgroup/unified/cgroup.procs", F_OK) == 0 ? "; hybrid" : "");
}

static void check_userns(struct doctor *d)
{
	pid_t pid = fork();
	int status = -1;

	if (pid == 0)
		_exit(unshare(CLONE_NEWUSER) < 0 ? errno : 0);
	if (pid > 0)
		waitpid(pid, &status, 0);
	if (status == 0)
		say(d, "user-ns", DOCTOR_YES, "user namespaces can be made");
	else
		say(d, "user-ns", DOCTOR_NO, "user namespaces: %s",
		    WIFEXITED(status) ? strerror(WEXITSTATUS(status)) : "refused");
}

static void check_kvm(struct doctor *d)
{
	char why[200] = "";
	enum vm_probe_result r = vm_probe(why, sizeof(why));

	say(d, "kvm",
	    r == VM_PROBE_OK	 ? DOCTOR_YES :
	    r == VM_PROBE_NO_KVM ? DOCTOR_NO :
				   DOCTOR_PARTLY,
	    "%s", why);
}

static void check_landlock(struct doctor *d)
{
	int abi = vm_landlock_abi();

	if (abi < 0)
		say(d, "landlock", DOCTOR_NO,
		    "a VMM has its jail without Landlock (Linux 5.19, in the kernel's lsm= list)");
	else
		say(d, "landlock", DOCTOR_YES,
		    "ABI %d: a VMM opens names in its top and volumes alone", abi);
}

static void check_guest(struct doctor *d, struct store *s)
{
	struct kernel_files f = { 0 };
	int r = kernel_choose(s, NULL, &f);

	say(d, "kernel-vm", r < 0 ? DOCTOR_NO : DOCTOR_YES, "%s", r < 0 ? err_take(r) : f.vmlinux);
	kernel_files_done(&f);
}

static void check_qemu(struct doctor *d)
{
	_free_ char *path = NULL;
	int r = qemu_find(&path);

	if (r < 0)
		say(d, "qemu", DOCTOR_NO, "%s", err_take(r));
	else
		say(d, "qemu", DOCTOR_YES,
		    "%s; emulates microVMs where KVM cannot run them, and the testbed", path);
}

static void check_network(struct doctor *d)
{
	_free_ char *path = NULL;
	int r = passt_find("pasta", &path);

	if (r < 0)
		say(d, "network-user", DOCTOR_NO, "%s", err_take(r));
	else
		say(d, "network-user", DOCTOR_YES, "%s", path);
	if (geteuid() == 0)
		say(d, "network-bridge", DOCTOR_YES, "by nftables");
	else
		say(d, "network-bridge", DOCTOR_NO, "needs root");
}

int engine_doctor(const struct engine_options *o, int (*fn)(void *ctx, const struct doctor_item *i),
		  void *ctx)
{
	struct doctor d = { .fn = fn, .ctx = ctx };
	_cleanup_(engine_closep) struct engine *e = NULL;
	struct store *s;

	check_kernel(&d);
	check_root(&d);
	e = check_store(&d, o);
	s = e ? e->store : NULL;
	check_fuse(&d);
	check_unionfs(&d);
	check_overlay(&d, s ? store_path(s) : NULL);
	if (geteuid() == 0)
		check_cgroups(&d);
	else
		check_user_cgroups(&d);
	check_userns(&d);
	check_kvm(&d);
	check_landlock(&d);
	check_guest(&d, s);
	check_qemu(&d);
	check_network(&d);
	return d.stop;
}
