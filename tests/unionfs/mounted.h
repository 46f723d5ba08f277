/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A union mounted for a test: served by a child process, gone with mounted_end(). Needs root and
 * /dev/fuse.
 */
#ifndef TESTS_UNIONFS_MOUNTED_H
#define TESTS_UNIONFS_MOUNTED_H

#include "base/err.h"
#include "layer/layer.h"
#include "unionfs/unionfs.h"
#include "unionfs/wire.h"

#include "fixture_index.h"

#include <errno.h>
#include <ftw.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/utsname.h>
#include <sys/wait.h>

struct mounted {
	char dir[64];	/* everything of the test */
	char point[80]; /* where it is mounted */
	pid_t server;
	enum ufs_upper_mode mode; /* the test's own */
	bool off;		  /* neither metacopy nor redirect_dir */
	bool noacl;
	/* other lowers than top and bottom: up to 7, topmost first, then NULL */
	const char *const *dirs;
	/* shared by mounted_count(): served by one thread, which counts requests by opcode */
	uint64_t *counts;
	/* index only: opens its objects, which are not verified then; NULL: mounted_object() */
	ufs_object_open_fn *object;
	/* index only: when the server is killed, another takes over; the keeper is `server` then */
	bool kept;
	volatile pid_t *now; /* kept: which process serves */
};

static inline bool mounted_before(unsigned int major, unsigned int minor)
{
	unsigned int is[2] = { 0 };
	struct utsname u;

	return uname(&u) < 0 || sscanf(u.release, "%u.%u", &is[0], &is[1]) != 2 || is[0] < major ||
	       (is[0] == major && is[1] < minor);
}

/* NULL, or why it cannot be done here. */
static inline const char *mounted_missing(void)
{
	int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);

	if (geteuid() != 0)
		return "needs root";
	if (fd < 0)
		return "no /dev/fuse";
	close(fd);
	fd = fsopen("fuse", FSOPEN_CLOEXEC);
	if (fd < 0)
		return "may not mount";
	close(fd);
	return NULL;
}

static inline void mounted_dir(struct mounted *m)
{
	const char *tmp = getenv("TMPDIR");

	snprintf(m->dir, sizeof(m->dir), "%.40s/strata-ufs-XXXXXX", tmp ? tmp : "/var/tmp");
	FIXTURE_MUST(mkdtemp(m->dir));
	FIXTURE_MUST(chmod(m->dir, 0755) == 0);
	snprintf(m->point, sizeof(m->point), "%s/mnt", m->dir);
	FIXTURE_MUST(mkdir(m->point, 0755) == 0);
}

static inline int mounted_open(const struct mounted *m, const char *name, int flags)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", m->dir, name);
	if (flags & O_DIRECTORY)
		mkdir(path, 0755);
	fd = open(path, flags | O_CLOEXEC, 0644);
	FIXTURE_MUST(fd >= 0);
	return fd;
}

static inline void mounted_count(struct mounted *m)
{
	m->counts = mmap(NULL, WIRE_OPCODES * sizeof(*m->counts), PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	FIXTURE_MUST(m->counts != MAP_FAILED);
}

static inline int mounted_serve_counting(struct ufs *u, int fuse, uint64_t *counts)
{
	const size_t size = (1u << 20) + 8192;
	struct ufs_conn *c = ufs_conn_new(u, NULL, NULL);
	struct iovec in = { malloc(size), 0 }, out = { malloc(size), size };
	struct wire_in_header h;
	ssize_t n;

	FIXTURE_MUST(c && in.iov_base && out.iov_base);
	while ((n = read(fuse, in.iov_base, size)) >= 0 || errno != ENODEV) {
		if (n < (ssize_t)sizeof(h))
			continue;
		in.iov_len = (size_t)n;
		memcpy(&h, in.iov_base, sizeof(h));
		if (h.opcode < WIRE_OPCODES)
			counts[h.opcode]++;
		n = ufs_serve(c, &in, 1, &out, 1);
		if (n > 0 && write(fuse, out.iov_base, (size_t)n) < 0 && errno == ENODEV)
			break;
	}
	free(in.iov_base);
	free(out.iov_base);
	ufs_conn_free(c);
	return 0;
}

static inline int mounted_serve(const struct ufs_config *cfg, int fuse, int threads,
				struct journal *j, uint64_t *counts)
{
	struct ufs *u;
	int e = ufs_new(cfg, &u);

	if (e) {
		printf("# ufs_new: %s\n", err_take(e));
		fflush(stdout);
		return 1;
	}
	e = counts ? mounted_serve_counting(u, fuse, counts) : ufs_fuse_serve(u, fuse, threads, j);
	ufs_free(u);
	return e != 0;
}

/* As strata-server's keeper, but that it never gives up. */
static inline int mounted_keep(const struct mounted *m, const struct ufs_config *cfg, int fuse,
			       int threads)
{
	int memory = memfd_create("journal", MFD_CLOEXEC), status;
	struct ufs_config own = *cfg;
	struct journal *j;

	FIXTURE_MUST(ufs_journal_open(memory, &j) == 0);
	do {
		pid_t pid = fork();

		FIXTURE_MUST(pid >= 0);
		if (!pid) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			*m->now = getpid(); /* before it answers anyone */
			exit(mounted_serve(&own, fuse, threads, j, NULL));
		}
		while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
			;
		own.recover = ufs_journal_used(j);
	} while (WIFSIGNALED(status));
	return WEXITSTATUS(status);
}

/* The one object of the fixture. */
static inline int mounted_object(void *ctx, uint64_t nid, const struct digest *digest)
{
	const struct mounted *m = ctx;
	char *big = fixture_big(), path[128];
	struct digest d = sha256_of(big, FIXTURE_BIG);
	int fd = -1;

	(void)nid;
	snprintf(path, sizeof(path), "%s/object", m->dir);
	if (digest_eq(&d, digest))
		fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0444);
	if (fd >= 0 && write(fd, big, FIXTURE_BIG) != (ssize_t)FIXTURE_BIG)
		fd = -1;
	free(big);
	return fd < 0 ? -EIO : fd;
}

/* The lowers, upper and work that are in m->dir by now (top, bottom or index, pack). */
static inline void mounted_begin(struct mounted *m, bool index, enum ufs_upper_mode mode,
				 int threads)
{
	static const char *const two[] = { "top", "bottom", NULL };
	const char *const *dirs = m->dirs ? m->dirs : two;
	int fds[7] = { -1, -1, -1, -1, -1, -1, -1 }, sums[2] = { -1, -1 }, fuse, mnt;
	struct ufs_lower lowers[7] = { 0 };
	struct ufs_config cfg = { .lowers = lowers, .nlowers = 1, .upper = mode };

	cfg.metacopy = !m->off;
	/* In a user namespace nobody may set trusted.*. */
	cfg.userxattr = getenv("UNION_USERXATTR") != NULL;
	cfg.noacl = m->noacl;
	cfg.redirect = m->off ? UFS_REDIRECT_FOLLOW : UFS_REDIRECT_ON;

	fflush(stdout);
	if (index) {
		fds[0] = mounted_open(m, "index", O_RDONLY);
		fds[1] = mounted_open(m, "pack", O_RDONLY);
		for (int i = 0; i < 2; i++) {
			sums[i] = memfd_create("sums", MFD_CLOEXEC);
			FIXTURE_MUST(sums[i] >= 0 && layer_index_sums(fds[i], sums[i]) == 0);
		}
		lowers[0] = (struct ufs_lower){
			.kind = UFS_LOWER_INDEX,
			.fd = fds[0],
			.packs = &fds[1],
			.npacks = 1,
			.sums = m->object ? NULL : sums,
			.object_open = m->object ? m->object : mounted_object,
			.ctx = m,
		};
	} else {
		for (cfg.nlowers = 0; dirs[cfg.nlowers]; cfg.nlowers++) {
			size_t i = cfg.nlowers;

			fds[i] = mounted_open(m, dirs[i], O_RDONLY | O_DIRECTORY);
			lowers[i] = (struct ufs_lower){ .kind = UFS_LOWER_DIR, .fd = fds[i] };
		}
	}
	cfg.upper_fd = mounted_open(m, "upper", O_RDONLY | O_DIRECTORY);
	cfg.work_fd = mounted_open(m, "work", O_RDONLY | O_DIRECTORY);
	FIXTURE_MUST(ufs_mount("strata-test", false, &fuse, &mnt) == 0);
	FIXTURE_MUST(move_mount(mnt, "", AT_FDCWD, m->point, MOVE_MOUNT_F_EMPTY_PATH) == 0);
	close(mnt);
	if (m->kept && !m->now) {
		m->now = mmap(NULL, sizeof(*m->now), PROT_READ | PROT_WRITE,
			      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
		FIXTURE_MUST(m->now != MAP_FAILED);
	}
	m->server = fork();
	FIXTURE_MUST(m->server >= 0);
	if (!m->server)
		prctl(PR_SET_PDEATHSIG, SIGKILL); /* a failed test leaves no server behind */
	if (!m->server)
		exit(m->kept ? mounted_keep(m, &cfg, fuse, threads) :
			       mounted_serve(&cfg, fuse, threads, NULL, m->counts));
	close(fuse);
	close(cfg.upper_fd);
	close(cfg.work_fd);
	for (size_t i = 0; i < 7; i++)
		close(fds[i]);
	close(sums[0]);
	close(sums[1]);
}

/*
 * On a busy machine a mount that nothing of ours uses any more was seen to be in use still:
 * whatever looks through the machine's mounts holds it meanwhile. It is waited for, and said.
 */
static inline int mounted_umount(const struct mounted *m)
{
	int tries = 0, r;

	while ((r = umount2(m->point, 0)) < 0 && errno == EBUSY && tries++ < 150)
		usleep(20000);
	if (tries)
		printf("# umount: in use for %d ms\n", tries * 20);
	return r;
}

/* Unmounts: the exit status of the server. */
static inline int mounted_end(struct mounted *m)
{
	int status = -1;

	if (mounted_umount(m) < 0) {
		printf("# umount: %m\n");
		umount2(m->point, MNT_DETACH);
		kill(m->server, SIGKILL);
	}
	while (waitpid(m->server, &status, 0) < 0 && errno == EINTR)
		;
	if (status)
		printf("# the server ended with status %#x\n", (unsigned int)status);
	return status;
}

static inline int mounted_rm(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static inline void mounted_remove(struct mounted *m)
{
	nftw(m->dir, mounted_rm, 32, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

#endif
