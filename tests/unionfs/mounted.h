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

#include "fixture_index.h"

#include <errno.h>
#include <ftw.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/wait.h>

struct mounted {
	char dir[64];	/* everything of the test */
	char point[80]; /* where it is mounted */
	pid_t server;
};

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

static inline int mounted_serve(const struct ufs_config *cfg, int fuse, int threads)
{
	struct ufs *u;
	int e = ufs_new(cfg, &u);

	if (e) {
		printf("# ufs_new: %s\n", err_take(e));
		fflush(stdout);
		return 1;
	}
	e = ufs_fuse_serve(u, fuse, threads);
	ufs_free(u);
	return e != 0;
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
	int fds[2] = { -1, -1 }, fuse, mnt;
	struct ufs_lower lowers[2] = { 0 };
	struct ufs_config cfg = { .lowers = lowers, .nlowers = index ? 1 : 2, .upper = mode };

	fflush(stdout);
	if (index) {
		fds[0] = mounted_open(m, "index", O_RDONLY);
		fds[1] = mounted_open(m, "pack", O_RDONLY);
		lowers[0] = (struct ufs_lower){
			.kind = UFS_LOWER_INDEX,
			.fd = fds[0],
			.packs = &fds[1],
			.npacks = 1,
			.object_open = mounted_object,
			.ctx = m,
		};
	} else {
		fds[0] = mounted_open(m, "top", O_RDONLY | O_DIRECTORY);
		fds[1] = mounted_open(m, "bottom", O_RDONLY | O_DIRECTORY);
		lowers[0] = (struct ufs_lower){ .kind = UFS_LOWER_DIR, .fd = fds[0] };
		lowers[1] = (struct ufs_lower){ .kind = UFS_LOWER_DIR, .fd = fds[1] };
	}
	cfg.upper_fd = mounted_open(m, "upper", O_RDONLY | O_DIRECTORY);
	cfg.work_fd = mounted_open(m, "work", O_RDONLY | O_DIRECTORY);
	FIXTURE_MUST(ufs_mount("strata-test", false, &fuse, &mnt) == 0);
	FIXTURE_MUST(move_mount(mnt, "", AT_FDCWD, m->point, MOVE_MOUNT_F_EMPTY_PATH) == 0);
	close(mnt);
	m->server = fork();
	FIXTURE_MUST(m->server >= 0);
	if (!m->server)
		exit(mounted_serve(&cfg, fuse, threads));
	close(fuse);
	close(cfg.upper_fd);
	close(cfg.work_fd);
	close(fds[0]);
	close(fds[1]);
}

/* Unmounts: the exit status of the server. */
static inline int mounted_end(struct mounted *m)
{
	int status = -1;

	if (umount2(m->point, 0) < 0) {
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
