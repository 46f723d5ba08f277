/* SPDX-License-Identifier: Apache-2.0 */
/* A union over a folder with busybox in it, with a top, as a guest's root. */
#ifndef TESTS_UNION_ROOT_H
#define TESTS_UNION_ROOT_H

#include "base/err.h"
#include "tests/base/unit.h"
#include "unionfs/unionfs.h"
#include <dirent.h>

static inline ssize_t union_serve(void *ctx, const struct iovec *in, int nin,
				  const struct iovec *out, int nout)
{
	return ufs_serve(ctx, in, nin, out, nout);
}

static inline void copy_busybox(int dir, const char *name)
{
	_close_ int to = openat(dir, name, O_WRONLY | O_CREAT | O_CLOEXEC, 0755);
	_free_ char *data = NULL;
	size_t len;

	assert_ok(file_read_all(AT_FDCWD, "/bin/busybox", 16 << 20, &data, &len));
	assert_ok(fd_write_full(to, data, len));
}

/* A union over a folder, with a top. */
struct union_fixture {
	char path[64];
	int dir;
	struct ufs_lower lower;
	struct ufs_config cfg;
	struct ufs *u;
	struct ufs_conn *conn;
};

/*
 * The server that will use what ufs_new() made runs as @owner, and links to files of its own only.
 */
static inline void union_give(int dir, const char *name, uid_t owner)
{
	DIR *d = fdopendir(openat(dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	struct dirent *e;

	assert_non_null(d);
	assert_ok(fchown(dirfd(d), owner, (gid_t)-1));
	while ((e = readdir(d))) {
		if (e->d_type == DT_DIR && e->d_name[0] != '.')
			union_give(dirfd(d), e->d_name, owner);
		else if (e->d_type != DT_DIR)
			assert_ok(fchownat(dirfd(d), e->d_name, owner, (gid_t)-1,
					   AT_SYMLINK_NOFOLLOW));
	}
	closedir(d);
}

static inline void union_init(struct union_fixture *f, uid_t owner)
{
	int r;

	f->dir = temp_open(f->path);
	assert_ok(fd_mkdir_p(f->dir, "lower/bin", 0755));
	assert_ok(fd_mkdir_p(f->dir, "upper", 0755));
	assert_ok(fd_mkdir_p(f->dir, "work", 0755));
	assert_ok(fchownat(f->dir, "upper", owner, (gid_t)-1, 0));
	assert_ok(fchownat(f->dir, "work", owner, (gid_t)-1, 0));
	copy_busybox(f->dir, "lower/bin/busybox");
	assert_ok(linkat(f->dir, "lower/bin/busybox", f->dir, "lower/bin/sh", 0));
	f->lower = (struct ufs_lower){ .kind = UFS_LOWER_DIR };
	f->lower.fd = openat(f->dir, "lower", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_ok(file_replace(f->lower.fd, "gone", "soon\n", 5, 0644, false));
	f->cfg =
		(struct ufs_config){ .lowers = &f->lower, .nlowers = 1, .upper = UFS_UPPER_MAPPED };
	f->cfg.upper_fd = openat(f->dir, "upper", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	f->cfg.work_fd = openat(f->dir, "work", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	r = ufs_new(&f->cfg, &f->u);
	if (r < 0)
		print_message("# %s\n", err_take(r));
	assert_ok(r);
	f->conn = ufs_conn_new(f->u, NULL, NULL);
	assert_non_null(f->conn);
	union_give(f->dir, "work", owner);
}

static inline void union_done(struct union_fixture *f)
{
	ufs_conn_free(f->conn);
	ufs_free(f->u);
	fd_close(f->lower.fd);
	fd_close(f->cfg.upper_fd);
	fd_close(f->cfg.work_fd);
}

#endif
