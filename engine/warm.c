/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/warm.h"

#include "base/buf.h"
#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/proc.h"
#include "engine/verdict.h"
#include "engine/vmm.h"
#include "engine/vmm_machine.h"
#include <cpuid.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/utsname.h>

#define FAILURES_MAX 2 /* after so many no further machine is made */

#define MAKE_MAX_S 60 /* a boot takes a second, on a busy host that is emulated itself some more */

int warm_folder(int runroot)
{
	if (mkdirat(runroot, "machines", 0700) < 0 && errno != EEXIST)
		return -1;
	return openat(runroot, "machines", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

bool warm_covers(const struct run_spec *s)
{
	return !s->cold && !s->emulated && !s->ndisks && s->nvolumes <= VMM_VOLUMES;
}

/* ---- the key ---- */

/* Another content is another time, whoever writes it. */
static int add_file(struct buf *b, const char *what, int fd)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_sys("%s", what);
	return buf_addf(b, "%s %llu %llu %llu %lld.%09ld %lld.%09ld\n", what,
			(unsigned long long)st.st_dev, (unsigned long long)st.st_ino,
			(unsigned long long)st.st_size, (long long)st.st_mtim.tv_sec,
			st.st_mtim.tv_nsec, (long long)st.st_ctim.tv_sec, st.st_ctim.tv_nsec);
}

/* What this CPU is and can; the rest of CPUID, as KVM gives it, is compared by the VMM. */
static void add_cpu(struct buf *b)
{
	static const unsigned leaves[][2] = { { 0, 0 },		 { 1, 0 },
					      { 7, 0 },		 { 7, 1 },
					      { 0xd, 1 },	 { 0x80000001, 0 },
					      { 0x80000008, 0 }, { 0x80000021, 0 } };
	const unsigned apic_id = 0xffff0000; /* of leaf 1's EBX: of the CPU that asks */

	for (size_t i = 0; i < ARRAY_SIZE(leaves); i++) {
		unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;

		__get_cpuid_count(leaves[i][0], leaves[i][1], &eax, &ebx, &ecx, &edx);
		if (leaves[i][0] == 1)
			ebx &= ~apic_id;
		if (leaves[i][0] == 0xd)
			ebx = 0; /* the size of what is switched on now */
		buf_addf(b, "cpuid %x.%x %x %x %x %x\n", leaves[i][0], leaves[i][1], eax, ebx, ecx,
			 edx);
	}
}

static int add_host(struct buf *b)
{
	struct utsname u;

	if (uname(&u) < 0)
		return err_sys("uname");
	add_cpu(b);
	return buf_addf(b, "host %s %s %s\n", u.release, u.version, u.machine);
}

static int add_vmm(struct buf *b)
{
	_free_ char *path = NULL;
	_close_ int fd = -1;
	int r = proc_sibling("strata-vmm", &path);

	if (r < 0)
		return r;
	fd = open(path, O_PATH | O_CLOEXEC);
	return fd < 0 ? err_sys("%s", path) : add_file(b, "vmm", fd);
}

static int make_key(const struct run_spec *s, const struct vm_software *w, struct digest *ret)
{
	_buf_done_ struct buf b = { 0 };
	int r = buf_addf(&b, "strata %s, machine 1\n", STRATA_VERSION);

	if (r == 0)
		r = add_file(&b, "kernel", w->kernel_fd);
	if (r == 0)
		r = add_file(&b, "init", w->init_fd);
	if (r == 0 && w->modules_fd >= 0)
		r = add_file(&b, "modules", w->modules_fd);
	if (r == 0)
		r = add_vmm(&b);
	if (r == 0)
		r = add_host(&b);
	if (r == 0)
		r = buf_addf(&b,
			     "memory %llu, vcpus %u, balloon %d, network %d, dax %llu, "
			     "verbose %d, acpi %d\n",
			     (unsigned long long)s->limits.memory, s->vcpus, s->balloon,
			     s->bridge_network ? 2 : s->user_network, (unsigned long long)s->dax,
			     getenv("STRATA_DEBUG") != NULL, s->acpi);
	if (r == 0)
		*ret = sha256_of(b.data, b.len);
	return r;
}

/* ---- making one ---- */

/* Ends the maker when it takes too long. */
static int wait_for(int pidfd)
{
	struct pollfd p = { .fd = pidfd, .events = POLLIN };
	int status = 0, n;

	do
		n = poll(&p, 1, MAKE_MAX_S * 1000);
	while (n < 0 && errno == EINTR);
	if (n <= 0)
		proc_pidfd_kill(pidfd, SIGKILL);
	if (proc_wait(pidfd, &status) < 0)
		return err(-ECHILD, "strata-vmm was not to be waited for");
	if (n <= 0)
		return err(-ETIMEDOUT, "the guest's init was not ready in %d s", MAKE_MAX_S);
	return status ? err(-EIO, "no machine could be made: monitor.log has why") : 0;
}

/* @what: "make", or "rehearse" with @root. */
static int spawn_maker(const struct iso_context *c, const struct vm_software *w,
		       const struct vm_snapshot *s, char *what, int root)
{
	_close_ int config = spec_memfd(c->spec), pidfd = -1;
	struct digest_hex hex = digest_hex(&s->key);
	char *argv[] = { (char[]){ "strata-vmm" }, what, hex.s, NULL };
	char *env[] = { getenv("STRATA_DEBUG") ? (char[]){ "STRATA_DEBUG=1" } : NULL, NULL };
	_free_ char *path = NULL;
	int fds[VMM_MORE];
	pid_t pid;
	int r = config < 0 ? config : proc_sibling("strata-vmm", &path);

	if (r < 0)
		return r;
	memset(fds, -1, sizeof(fds));
	fds[VMM_CONFIG] = config;
	fds[VMM_LOG] = c->log_fd;
	fds[VMM_KERNEL] = w->kernel_fd;
	fds[VMM_INIT] = w->init_fd;
	fds[VMM_MODULES] = w->modules_fd;
	fds[VMM_SNAPSHOT] = s->fd;
	fds[VMM_UPPER] = root;
	r = proc_spawn(path, argv, env, fds, ARRAY_SIZE(fds), &pid, &pidfd);
	return r < 0 ? err(r, "%s: %s", path, strerror(-r)) : wait_for(pidfd);
}

/* One that does not succeed costs those who begin from it some time, and nothing else. */
static void rehearse(const struct iso_context *c, const struct vm_software *w,
		     const struct vm_snapshot *s, struct txn *t)
{
	_close_ int root = machine_rehearsal(t, w->init_fd);
	char what[] = "rehearse";
	int r = root < 0 ? root : spawn_maker(c, w, s, what, root);

	if (r < 0)
		log_warn("machine %.12s was not rehearsed with: %s", digest_hex(&s->key).s,
			 err_take(r));
}

static int make(const struct iso_context *c, const struct vm_software *w, const struct digest *key)
{
	char what[] = "make";
	struct vm_snapshot s = { -1, *key };
	uint64_t began = clock_ns();
	struct txn *t;
	int r = txn_begin(c->store, &t);

	if (r < 0)
		return r;
	s.fd = machine_create(t);
	r = s.fd < 0 ? s.fd : spawn_maker(c, w, &s, what, -1);
	if (r >= 0)
		rehearse(c, w, &s, t);
	if (r >= 0)
		r = machine_publish(t, key);
	fd_close(s.fd);
	txn_abort(t);
	if (r >= 0)
		log_info("machine %.12s made in %llu ms", digest_hex(key).s,
			 (unsigned long long)(clock_ns() - began) / 1000000);
	return r;
}

/* ---- opening one ---- */

/* The machine, known to be sound: 1, 0 = it has to be hashed first, -ENOENT = there is none. */
static int open_known(const struct iso_context *c, struct vm_snapshot *s, struct verdict *v)
{
	int r;

	s->fd = machine_open(c->store, &s->key);
	if (s->fd < 0)
		return s->fd;
	r = verdict_of(s->fd, v);
	return r < 0 ? r : verdict_known(c->machines, digest_hex(&s->key).s, v);
}

/* One that is not sound makes place for another. */
static int check(const struct iso_context *c, struct vm_snapshot *s)
{
	int r = vm_snapshot_verify(s);

	if (r != -EBADMSG && r != -ESTALE)
		return r;
	log_warn("machine %.12s: %s: it is made anew", digest_hex(&s->key).s, err_take(r));
	s->fd = fd_close(s->fd);
	r = machine_remove(c->store, &s->key);
	return r < 0 ? r : -ENOENT;
}

/* One at a time looks closer or makes one; who waited finds it done. */
static int open_or_make(const struct iso_context *c, const struct vm_software *w,
			struct vm_snapshot *s)
{
	struct verdict v;
	int r = open_known(c, s, &v);

	if (r == 0)
		r = check(c, s);
	if (r == -ENOENT) {
		r = make(c, w, &s->key);
		if (r >= 0)
			r = open_known(c, s, &v);
	}
	if (r == 0)
		verdict_keep(c->machines, digest_hex(&s->key).s, &v);
	return r;
}

/* Held until it is closed. */
static int lock_folder(const struct iso_context *c)
{
	int fd = c->machines < 0 ? -1 :
				   openat(c->machines, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd >= 0)
		fd_lock(fd, true, true);
	return fd;
}

/* A byte for each time that the VMM could not begin from one of this key, since the host booted. */
static int failures_open(const struct iso_context *c, const struct digest *key)
{
	char name[80];

	snprintf(name, sizeof(name), "%s.cold", digest_hex(key).s);
	return c->machines < 0 ?
		       -1 :
		       openat(c->machines, name, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
}

static int check_failures(const struct iso_context *c, const struct digest *key)
{
	char name[80];
	struct stat st;

	snprintf(name, sizeof(name), "%s.cold", digest_hex(key).s);
	if (c->machines < 0 || fstatat(c->machines, name, &st, 0) < 0 || st.st_size < FAILURES_MAX)
		return 0;
	return err(-EOPNOTSUPP, "this host did not go on from machines that it made itself");
}

int warm_open(const struct iso_context *c, const struct vm_software *w, struct vm_snapshot *ret)
{
	struct vm_snapshot s = { .fd = -1 };
	struct verdict v;
	int r = make_key(c->spec, w, &s.key);

	if (r >= 0)
		r = check_failures(c, &s.key);
	if (r < 0)
		return r;
	r = open_known(c, &s, &v);
	if (r == 0 || r == -ENOENT) {
		_close_ int lock = lock_folder(c);

		s.fd = fd_close(s.fd);
		r = open_or_make(c, w, &s);
	}
	if (r < 0) {
		fd_close(s.fd);
		return r == -ENOENT ? err(r, "no machine to begin from") : r;
	}
	*ret = s;
	return 0;
}

void warm_drop(const struct iso_context *c, const struct vm_snapshot *s)
{
	_close_ int fd = failures_open(c, &s->key);

	if (fd >= 0)
		(void)!write(fd, "", 1);
	if (machine_remove(c->store, &s->key) < 0)
		err_clear();
}
