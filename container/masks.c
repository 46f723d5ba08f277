/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Docker's masked and read-only paths (moby daemon/pkg/oci/defaults.go). Each is a relative name
 * from inside the procfs or sysfs made in mounts.c, where there is nothing of the image to lead
 * elsewhere: one call each.
 */
#include "container/inner.h"

#include "base/mem.h"
#include "base/str.h"
#include <fcntl.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

static const char *const proc_rdonly[] = { "bus", "fs", "irq", "sys", "sysrq-trigger" };
static const char *const proc_masked[] = { "interrupts",    "kcore",	  "keys",
					   "latency_stats", "timer_list", "timer_stats",
					   "sched_debug" };
static const char *const proc_masked_dirs[] = { "acpi", "asound", "scsi" };
static const char *const sys_masked_dirs[] = { "firmware", "devices/virtual/powercap" };

#define CPUS_MAX 8192 /* the largest NR_CPUS of x86-64 */

/* The host's, which covers what is masked: a null device and nothing else (CVE-2025-31133). */
static int check_null(void)
{
	struct stat st;

	if (stat("/dev/null", &st) < 0 || !S_ISCHR(st.st_mode) || st.st_rdev != makedev(1, 3))
		return err(-ENODEV, "the host's /dev/null is no null device");
	return 0;
}

static int mask_files(const char *const *names, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (mount("/dev/null", names[i], NULL, MS_BIND, NULL) < 0 && errno != ENOENT)
			return err_sys("cannot mask /proc/%s", names[i]);
	}
	return 0;
}

/* An empty read-only tmpfs, the same one over every directory. */
struct cover {
	char at[64]; /* where it lies already, "" = nowhere */
};

static int mask_dir(const char *name, struct cover *c)
{
	int r = *c->at ? mount(c->at, name, NULL, MS_BIND, NULL) :
			 mount("tmpfs", name, "tmpfs", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC,
			       "size=0k");

	if (r < 0)
		return errno == ENOENT ? -ENOENT : err_sys("cannot mask %s", name);
	return *c->at ? 0 : str_copy(c->at, sizeof(c->at), name);
}

static int mask_dirs(const char *const *names, size_t n, struct cover *c)
{
	for (size_t i = 0; i < n; i++) {
		int r = mask_dir(names[i], c);

		if (r < 0 && r != -ENOENT)
			return r;
	}
	return 0;
}

static int enter(int mnt)
{
	return fchdir(mnt) < 0 ? err_sys("cannot enter a file system just made") : 0;
}

int masks_proc(struct child *c)
{
	struct mount_attr writable = { .attr_clr = MOUNT_ATTR_RDONLY };
	struct cover cover = { "" };
	int r = enter(c->proc);

	if (r < 0)
		return r;
	/* The whole is read-only yet, and so is each clone. */
	for (size_t i = 0; i < ARRAY_SIZE(proc_rdonly); i++) {
		if (mount(proc_rdonly[i], proc_rdonly[i], NULL, MS_BIND, NULL) < 0 &&
		    errno != ENOENT)
			return err_sys("cannot protect /proc/%s", proc_rdonly[i]);
	}
	if (mount_setattr(c->proc, "", AT_EMPTY_PATH, &writable, sizeof(writable)) < 0)
		return err_sys("cannot make /proc writable");
	r = check_null();
	if (r >= 0)
		r = mask_files(proc_masked, ARRAY_SIZE(proc_masked));
	return r < 0 ? r : mask_dirs(proc_masked_dirs, ARRAY_SIZE(proc_masked_dirs), &cover);
}

/* How often each processor was throttled tells what the neighbours do. */
static int mask_throttle(struct cover *cover)
{
	char name[64];
	int r = 0;

	for (int cpu = 0; cpu < CPUS_MAX && r >= 0; cpu++) {
		snprintf(name, sizeof(name), "devices/system/cpu/cpu%d/thermal_throttle", cpu);
		r = mask_dir(name, cover);
	}
	return r == -ENOENT ? 0 : r;
}

int masks_sys(struct child *c)
{
	struct cover cover = { "" };
	int r = enter(c->sys);

	if (r >= 0)
		r = mask_dirs(sys_masked_dirs, ARRAY_SIZE(sys_masked_dirs), &cover);
	return r < 0 ? r : mask_throttle(&cover);
}
