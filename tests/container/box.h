/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A root file system of static busybox on a tmpfs, in a mount namespace of the test's own, and
 * running things in it.
 */
#ifndef TESTS_CONTAINER_BOX_H
#define TESTS_CONTAINER_BOX_H

#include "base/err.h"
#include "base/fd.h"
#include "base/proc.h"
#include "base/str.h"
#include "container/container.h"
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
/* cmocka.h wants those before it. */
#include <cmocka.h>

struct box {
	char dir[64];	 /* a tmpfs: root/, outside/ */
	char out[65536]; /* what the last command wrote */
	int root;	 /* root/ as a directory */
};

static struct box box;

static const char *const box_applets[] = {
	"sh",	"true", "cat",	"id",	 "ls",	  "echo",  "mount", "mknod", "readlink", "stat",
	"test", "tty",	"stty", "mkdir", "touch", "sleep", "pwd",   "wc",    "grep",	 "hostname",
};

static inline void box_write(const char *path, const char *text, mode_t mode)
{
	int fd = openat(box.root, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);

	assert_true(fd >= 0);
	assert_int_equal(fd_write_full(fd, text, strlen(text)), 0);
	fd_close(fd);
}

static inline void box_busybox(const char *source)
{
	int from = open(source, O_RDONLY | O_CLOEXEC);
	int to = openat(box.root, "bin/busybox", O_WRONLY | O_CREAT | O_CLOEXEC, 0755);
	char data[65536];
	ssize_t n;

	assert_true(from >= 0 && to >= 0);
	while ((n = read(from, data, sizeof(data))) > 0)
		assert_int_equal(fd_write_full(to, data, (size_t)n), 0);
	fd_close(from);
	fd_close(to);
	for (size_t i = 0; i < ARRAY_SIZE(box_applets); i++) {
		char path[64];

		snprintf(path, sizeof(path), "bin/%s", box_applets[i]);
		assert_int_equal(symlinkat("busybox", box.root, path), 0);
	}
}

static inline int box_setup(void **state)
{
	char root[80];

	(void)state;
	assert_int_equal(unshare(CLONE_NEWNS), 0);
	assert_int_equal(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), 0);
	str_copy(box.dir, sizeof(box.dir), "/tmp/strata-test-XXXXXX");
	assert_non_null(mkdtemp(box.dir));
	assert_int_equal(mount("tmpfs", box.dir, "tmpfs", 0, "mode=755"), 0);
	snprintf(root, sizeof(root), "%s/outside", box.dir);
	assert_int_equal(mkdir(root, 0755), 0);
	snprintf(root, sizeof(root), "%s/root", box.dir);
	assert_int_equal(mkdir(root, 0755), 0);
	box.root = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	assert_true(box.root >= 0);
	assert_int_equal(mkdirat(box.root, "bin", 0755), 0);
	assert_int_equal(mkdirat(box.root, "etc", 0755), 0);
	box_busybox(access("/bin/busybox", X_OK) ? "/usr/bin/busybox" : "/bin/busybox");
	box_write("etc/passwd",
		  "root:x:0:0:root:/root:/bin/sh\nmail:x:8:12:mail:/var/mail:/bin/false\n"
		  "app:x:1000:1000::/home/app:/bin/sh\n",
		  0644);
	box_write("etc/group",
		  "root:x:0:root\nmail:x:12:mail\nwheel:x:10:root,app\nvideo:x:27:app\n"
		  "app:x:1000:\n",
		  0644);
	return 0;
}

static inline int box_teardown(void **state)
{
	(void)state;
	fd_close(box.root);
	umount2(box.dir, MNT_DETACH);
	return rmdir(box.dir);
}

/* docker's defaults; the caller closes root_mount (box_run does). */
static inline struct ctr_spec box_spec(char *const *argv)
{
	static char *const env[] = { NULL };

	return (struct ctr_spec){
		.root_mount = open_tree(box.root, "",
					OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH),
		.argv = argv,
		.env = env,
		.stdio = { -1, -1, -1 },
		.caps = CTR_CAPS_DEFAULT,
		.no_new_privs = true,
		.seccomp = true,
		.cgroup_fd = -1,
		.uid_base = 100000,
		.gid_base = 100000,
		.id_count = 65536,
	};
}

static inline void box_read(int fd)
{
	size_t len = 0;
	ssize_t n;

	while (len < sizeof(box.out) - 1 &&
	       (n = read(fd, box.out + len, sizeof(box.out) - 1 - len)) > 0)
		len += (size_t)n;
	box.out[len] = '\0';
}

/* A new container, or with @pidfd a process in one: its exit status as a shell has it, or -errno;
 * what it wrote is in box.out. */
static inline int box_run_in(int pidfd, struct ctr_spec *s)
{
	struct ctr *c = NULL;
	int out[2], status, r;

	box.out[0] = '\0';
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	if (!s->tty) {
		s->stdio[1] = out[1];
		s->stdio[2] = out[1];
	}
	r = pidfd < 0 ? ctr_create(s, &c) : ctr_exec(pidfd, s, &c);
	fd_close(out[1]);
	s->root_mount = fd_close(s->root_mount);
	if (r >= 0)
		r = ctr_start(c);
	if (r >= 0)
		box_read(s->tty ? ctr_console(c) : out[0]);
	fd_close(out[0]);
	if (c && proc_wait(ctr_pidfd(c), &status) >= 0 && r >= 0)
		r = status;
	ctr_free(c);
	return r;
}

static inline int box_run(struct ctr_spec *s)
{
	return box_run_in(-1, s);
}

/* A shell script, by the defaults or by @s. */
static inline int box_script(struct ctr_spec *s, const char *script)
{
	char *const argv[] = { (char *)"/bin/sh", (char *)"-c", (char *)script, NULL };

	if (s) {
		s->argv = argv;
		return box_run(s);
	}
	struct ctr_spec dflt = box_spec(argv);

	return box_run(&dflt);
}

#define assert_out(text)    assert_string_equal(box.out, text)
#define assert_in_out(text) assert_non_null(strstr(box.out, text))

/* Says why nothing is tested; for main. */
static inline bool box_skips(void)
{
	const char *why = NULL;

	if (geteuid() != 0)
		why = "needs root";
	else if (access("/bin/busybox", X_OK) && access("/usr/bin/busybox", X_OK))
		why = "needs busybox-static";
	if (why)
		printf("1..0 # SKIP %s\n", why);
	return why != NULL;
}

#endif
