/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/qemu.h"

#include "base/err.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/proc.h"
#include "base/str.h"
#include "microvm/microvm.h"
#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <sched.h>
#include <stdarg.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PROGRAM	   "qemu-system-x86_64"
#define KERNEL_MAX (UINT64_C(1) << 30)
#define FIRST_FD   3 /* of what it is handed beside its standard streams */
#define CAPS_MAX   64

int qemu_find(char **ret_path)
{
	_free_ char *path = NULL;
	int r = proc_find(PROGRAM, &path);

	if (r >= 0 && ret_path)
		*ret_path = take_ptr(path);
	return r == -ENOENT ? err(-EOPNOTSUPP, "microVMs by emulation need the program " PROGRAM
					       ": install the package qemu-system-x86") :
			      r;
}

/* ---- its files: it opens them by their numbers, as somebody whom the originals may refuse ---- */

static int copy_to_memory(int fd, const char *name)
{
	_close_ int copy = memfd_create(name, MFD_CLOEXEC);
	struct stat st;
	off_t at = 0;

	if (copy < 0 || fstat(fd, &st) < 0)
		return err_sys("guest kernel");
	if (!S_ISREG(st.st_mode) || st.st_size <= 0 || (uint64_t)st.st_size > KERNEL_MAX)
		return err(-EINVAL, "guest kernel: not a file of a possible size");
	while (at < st.st_size) {
		ssize_t n = sendfile(copy, fd, &at, (size_t)(st.st_size - at));

		if (n <= 0)
			return n < 0 ? err_sys("guest kernel") :
				       err(-EIO, "guest kernel: it became shorter");
	}
	return take_fd(copy);
}

/* ---- its arguments ---- */

struct arguments {
	char **argv;
	int fds[FIRST_FD + QEMU_FS_MAX + QEMU_PORTS_MAX + QEMU_DISKS_MAX + 8];
	int n; /* of @fds */
	int r;
};

/* Its number there. */
static int hand(struct arguments *a, int fd)
{
	a->fds[a->n] = fd;
	return a->n++;
}

__attribute__((format(printf, 3, 4))) static void add(struct arguments *a, const char *option,
						      const char *fmt, ...)
{
	char value[1024] = "";
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(value, sizeof(value), fmt, ap);
	va_end(ap);
	if (a->r >= 0 && (n < 0 || (size_t)n >= sizeof(value)))
		a->r = -E2BIG;
	if (a->r >= 0)
		a->r = strv_add(&a->argv, option);
	if (a->r >= 0 && value[0])
		a->r = strv_add(&a->argv, value);
}

static void add_machine(struct arguments *a, const struct qemu_config *c, int kernel, int initrd)
{
	const unsigned long long mib = ROUND_UP(c->memory, UINT64_C(2) << 20) >> 20;

	add(a, "-M", "microvm,acpi=off,pit=on,pic=on,rtc=on,isa-serial=off,memory-backend=ram");
	add(a, "-global", "virtio-mmio.force-legacy=false");
	add(a, "-accel", "tcg");
	add(a, "-cpu", "max");
	add(a, "-smp", "%u", c->vcpus);
	add(a, "-m", "%llu", mib);
	/* Shared and sealed, since the back end of the file systems maps it. */
	add(a, "-object", "memory-backend-memfd,id=ram,size=%lluM,share=on,seal=on%s", mib,
	    c->hugetlb ? ",hugetlb=on,hugetlbsize=2M" : "");
	add(a, "-nodefaults", "%s", "");
	add(a, "-no-user-config", "%s", "");
	add(a, "-no-reboot", "%s", "");
	add(a, "-display", "none");
	add(a, "-sandbox",
	    "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny");
	add(a, "-kernel", "/proc/self/fd/%d", hand(a, kernel));
	add(a, "-initrd", "/proc/self/fd/%d", hand(a, initrd));
	/* As microvm/cmdline.c; QEMU names its devices itself. */
	add(a, "-append",
	    "console=hvc0 reboot=t panic=-1 cryptomgr.notests random.trust_cpu=on "
	    "rcupdate.rcu_expedited=1 8250.nr_uarts=0 "
	    "initcall_blacklist=slab_late_init,param_sysfs_builtin_init,irq_sysfs_init %s",
	    c->verbose ? "loglevel=7" : "loglevel=1");
	/* init's way of turning the machine off (GUEST_IO_END). */
	add(a, "-device", "isa-debug-exit,iobase=0x5d1,iosize=1");
}

static void add_socket(struct arguments *a, const char *id, int fd)
{
	add(a, "-chardev", "socket,id=%s,fd=%d", id, hand(a, fd));
}

static void add_ports(struct arguments *a, const struct qemu_config *c)
{
	add(a, "-device", "virtio-serial-device");
	add_socket(a, "hvc0", c->console_fd);
	add(a, "-device", "virtconsole,chardev=hvc0");
	for (size_t i = 0; i < c->nports; i++) {
		char id[32];

		snprintf(id, sizeof(id), "port%zu", i);
		add_socket(a, id, c->ports[i].fd);
		add(a, "-device", "virtserialport,chardev=%s,name=%s", id, c->ports[i].name);
	}
	add_socket(a, "qmp", c->qmp_fd);
	add(a, "-mon", "chardev=qmp,mode=control");
}

static void add_files(struct arguments *a, const struct qemu_config *c)
{
	for (size_t i = 0; i < c->nfs; i++) {
		char id[32];

		snprintf(id, sizeof(id), "fs%zu", i);
		add_socket(a, id, c->fs_fds[i]);
		add(a, "-device", "vhost-user-fs-device,chardev=%s,tag=%s", id, c->fs_tags[i]);
	}
}

/* Its file comes as a set of one descriptor, which QEMU opens by that set's name. */
static void add_disks(struct arguments *a, const struct qemu_config *c)
{
	for (size_t i = 0; i < c->ndisks; i++) {
		char rate[64] = "";

		if (c->disk_rate)
			snprintf(rate, sizeof(rate), ",throttling.bps-total=%llu",
				 (unsigned long long)c->disk_rate);
		add(a, "-add-fd", "fd=%d,set=%zu", hand(a, c->disks[i].fd), i + 1);
		add(a, "-drive", "file=/dev/fdset/%zu,format=raw,if=none,id=disk%zu,readonly=%s%s",
		    i + 1, i, c->disks[i].rdonly ? "on" : "off,auto-read-only=off,discard=unmap",
		    rate);
		add(a, "-device", "virtio-blk-device,drive=disk%zu", i);
	}
}

static void add_others(struct arguments *a, const struct qemu_config *c)
{
	const uint8_t *m = c->mac;

	add_socket(a, "vsock", c->vsock_fd);
	add(a, "-device", "vhost-user-vsock-device,chardev=vsock");
	if (c->balloon)
		add(a, "-device", "virtio-balloon-device,deflate-on-oom=on,free-page-reporting=on");
	if (c->net_fd < 0)
		return;
	add(a, "-netdev", "stream,id=net,server=off,addr.type=fd,addr.str=%d", hand(a, c->net_fd));
	add(a, "-device", "virtio-net-device,netdev=net,mac=%02x:%02x:%02x:%02x:%02x:%02x", m[0],
	    m[1], m[2], m[3], m[4], m[5]);
}

/* ---- the process ---- */

static void no_capabilities(void)
{
	struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct none[2] = { 0 };

	syscall(SYS_capset, &head, none);
}

/* Each at its number, and nothing else. */
static int take_fds(const struct arguments *a)
{
	int high[ARRAY_SIZE(a->fds)];

	for (int i = 0; i < a->n; i++) {
		high[i] = fcntl(a->fds[i], F_DUPFD, a->n);
		if (high[i] < 0)
			return -1;
	}
	for (int i = 0; i < a->n; i++)
		if (dup2(high[i], i) < 0)
			return -1;
	return close_range((unsigned)a->n, ~0u, 0);
}

static void die(const char *what)
{
	dprintf(2, "strata-vmm: " PROGRAM ": %s: %s\n", what, strerror(errno));
	_exit(127);
}

static void become(const struct qemu_config *c, const char *path, const struct arguments *a,
		   pid_t parent)
{
	char *const env[] = { NULL };
	sigset_t none;

	if (take_fds(a) < 0)
		die("descriptors");
	/* As in our own VMM's jail, what a host does not let us have is said and done without. */
	if (unshare(CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS) < 0)
		dprintf(2, "strata-vmm: " PROGRAM ": no namespaces of its own: %s\n",
			strerror(errno));
	for (unsigned long cap = 0; cap < CAPS_MAX && prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) == 0;
	     cap++)
		;
	if (setgroups(0, NULL) < 0 || setresgid(c->uid, c->uid, c->uid) < 0 ||
	    setresuid(c->uid, c->uid, c->uid) < 0)
		die("user");
	no_capabilities();
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		die("no_new_privs");
	/* Last of these: a change of user takes it back. */
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0 || getppid() != parent)
		_exit(127);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	signal(SIGCHLD, SIG_DFL);
	execve(path, a->argv, env);
	die(path);
}

static int start(const struct qemu_config *c, const char *path, const struct arguments *a,
		 pid_t *ret_pid, int *ret_pidfd)
{
	pid_t self = getpid(), pid;

	/* No zombie is left of it: inside the jail nobody can wait for it. */
	signal(SIGCHLD, SIG_IGN);
	pid = fork();
	if (pid < 0)
		return err_sys("fork");
	if (pid == 0)
		become(c, path, a, self);
	*ret_pidfd = proc_pidfd(pid);
	if (*ret_pidfd < 0)
		return err(*ret_pidfd, PROGRAM ": %s", strerror(-*ret_pidfd));
	*ret_pid = pid;
	return 0;
}

int qemu_spawn(const struct qemu_config *c, pid_t *ret_pid, int *ret_pidfd)
{
	_close_ int kernel = copy_to_memory(c->kernel_fd, "kernel");
	_close_ int initrd = kernel < 0 ? -1 : vm_initramfs_file(c->init_fd, c->modules_fd);
	_close_ int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	struct arguments a = { .fds = { null, null, c->log_fd }, .n = FIRST_FD };
	_free_ char *path = NULL;
	int r = kernel < 0 ? kernel : initrd < 0 ? initrd : qemu_find(&path);

	if (r < 0)
		return r;
	if (null < 0)
		return err_sys("/dev/null");
	add(&a, PROGRAM, "%s", "");
	add_machine(&a, c, kernel, initrd);
	add_ports(&a, c);
	add_files(&a, c);
	add_disks(&a, c);
	add_others(&a, c);
	r = a.r < 0 ? a.r : start(c, path, &a, ret_pid, ret_pidfd);
	strv_free(a.argv);
	return r;
}
