/* SPDX-License-Identifier: Apache-2.0 */
/*
 * POSIX ACLs: where a file may have one the client asks once a file and heeds the answer; where
 * none can be it does not ask at all. The requests are counted.
 */
#include "mounted.h"
#include "tap.h"

#include "unionfs/acl.h"

#include <dirent.h>

#define FILES  200
#define NOBODY 1234

static struct mounted m;
static bool with_acl;
static bool stopped; /* the last walk stopped asking */

/* user::rw- user:1234:--- group::r-- mask::r-- other::r-- : who is 1234 may nothing. */
static const unsigned char refuses[] = {
	2, 0,	 0,   0,   0x01, 0,    6,    0, 255, 255, 255, 255, 0x02, 0,	0,
	0, 0xd2, 4,   0,   0,	 0x04, 0,    4, 0,   255, 255, 255, 255,  0x10, 0,
	4, 0,	 255, 255, 255,	 255,  0x20, 0, 4,   0,	  255, 255, 255,  255,
};

static void put(struct layer_tree *t, struct layer_node *dir, int i)
{
	struct layer_attr a = { .mode = S_IFREG | 0644, .mtime = { FIXTURE_TIME, 5 } };
	struct layer_node *n;
	char name[16];

	snprintf(name, sizeof(name), "f%03d", i);
	FIXTURE_MUST(layer_tree_put(t, dir, name, strlen(name), &a, &n) == 0);
	if (with_acl && !i)
		FIXTURE_MUST(layer_node_set_xattr(n, ACL_ACCESS, refuses, sizeof(refuses)) == 0);
}

/* "index" and "pack": one layer, merged. */
static void make_index(void)
{
	const struct layer_device dev = { .blocks = 1 };
	struct layer_attr a = { .mode = S_IFDIR | 0755, .mtime = { FIXTURE_TIME, 5 } };
	int one = mounted_open(&m, "layer", O_RDWR | O_CREAT | O_TRUNC),
	    merged = mounted_open(&m, "index", O_RDWR | O_CREAT | O_TRUNC),
	    pack = mounted_open(&m, "pack", O_RDWR | O_CREAT);
	struct layer_index *x;
	struct layer_node *dir;
	struct layer_tree *t;

	FIXTURE_MUST(layer_tree_new(&t) == 0);
	FIXTURE_MUST(layer_tree_put(t, layer_tree_root(t), "d", 1, &a, &dir) == 0);
	for (int i = 0; i < FILES; i++)
		put(t, dir, i);
	FIXTURE_MUST(layer_tree_write(t, &dev, 1, one) == 0);
	layer_tree_free(t);
	FIXTURE_MUST(layer_index_open(one, &x) == 0);
	FIXTURE_MUST(layer_merge(&x, 1, merged) == 0 && ftruncate(pack, LAYER_BLOCK) == 0);
	layer_index_close(x);
	FIXTURE_MUST(layer_index_open(merged, &x) == 0);
	FIXTURE_MUST(layer_index_has_acls(x) == with_acl && layer_index_check(x) == 0);
	layer_index_close(x);
	close(one);
	close(merged);
	close(pack);
}

static void begin(bool acl, enum ufs_upper_mode mode, bool noacl)
{
	m.noacl = noacl;
	with_acl = acl;
	mounted_dir(&m);
	memset(m.counts, 0, WIRE_OPCODES * sizeof(*m.counts));
	make_index();
	mounted_begin(&m, true, mode, 1);
}

static void end(void)
{
	CHECK(mounted_end(&m) == 0);
	mounted_remove(&m);
}

static const char *at(const char *name)
{
	static char path[400];

	snprintf(path, sizeof(path), "%s/d/%s", m.point, name);
	return path;
}

/* As ls -l: the GETXATTRs that it costs. */
static uint64_t walk(void)
{
	uint64_t before = m.counts[WIRE_GETXATTR];
	DIR *d = opendir(at("."));
	struct dirent *e;
	struct stat st;
	int files = 0;

	stopped = false;
	CHECK(d);
	while ((e = readdir(d))) {
		if (e->d_name[0] == '.')
			continue;
		files++;
		CHECK(lstat(at(e->d_name), &st) == 0);
		if (!stopped && getxattr(at(e->d_name), ACL_ACCESS, NULL, 0) < 0) {
			stopped = errno == EOPNOTSUPP;
		}
	}
	closedir(d);
	CHECK(files == FILES);
	return m.counts[WIRE_GETXATTR] - before;
}

/* The errno of another user's open for reading. */
static int open_as_nobody(const char *name)
{
	int status;
	pid_t pid = fork();

	CHECK(pid >= 0);
	if (!pid) {
		if (setgid(NOBODY) < 0 || setuid(NOBODY) < 0)
			_exit(255);
		_exit(open(at(name), O_RDONLY | O_CLOEXEC) < 0 ? errno : 0);
	}
	CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status));
	return WEXITSTATUS(status);
}

static void heeded(void)
{
	uint64_t first = walk();

	CHECK(first <= FILES && first >= FILES - 2 && !stopped);
	CHECK(walk() == 0);
	CHECK(open_as_nobody("f000") == EACCES && open_as_nobody("f001") == 0);
}

static void nothing_to_ask(void)
{
	begin(false, UFS_UPPER_NONE, false);
	CHECK(walk() <= 1 && stopped);
	CHECK(open_as_nobody("f000") == 0);
	CHECK_ERRNO(setxattr(at("f000"), ACL_ACCESS, refuses, sizeof(refuses), 0), EROFS);
	end();
}

static void one_in_a_layer(void)
{
	begin(true, UFS_UPPER_NONE, false);
	heeded();
	end();
}

static void one_in_the_top(enum ufs_upper_mode mode)
{
	begin(false, mode, false);
	CHECK(setxattr(at("f000"), ACL_ACCESS, refuses, sizeof(refuses), 0) == 0);
	heeded();
	end();
}

static void one_in_a_native_top(void)
{
	one_in_the_top(UFS_UPPER_NATIVE);
}

static void one_in_a_mapped_top(void)
{
	one_in_the_top(UFS_UPPER_MAPPED);
}

static void copied_up(void)
{
	unsigned char value[64];

	begin(true, UFS_UPPER_NATIVE, false);
	CHECK(truncate(at("f000"), 5) == 0);
	CHECK(getxattr(at("f000"), ACL_ACCESS, value, sizeof(value)) == sizeof(refuses));
	CHECK(memcmp(value, refuses, sizeof(refuses)) == 0);
	heeded();
	end();
}

static int make_file(const char *name)
{
	int fd = open(at(name), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);

	CHECK(fd >= 0);
	close(fd);
	return (int)getxattr(at(name), ACL_ACCESS, NULL, 0);
}

/* That a directory has none is remembered, until it has one. */
static void handed_down(enum ufs_upper_mode mode)
{
	begin(false, mode, false);
	for (int i = 0; i < 3; i++)
		CHECK(make_file(i ? i > 1 ? "c" : "b" : "a") < 0);
	CHECK(setxattr(at("."), ACL_DEFAULT, refuses, sizeof(refuses), 0) == 0);
	CHECK(make_file("inherits") == sizeof(refuses) && open_as_nobody("inherits") == EACCES);
	CHECK(make_file("inherits2") == sizeof(refuses));
	CHECK(removexattr(at("."), ACL_DEFAULT) == 0);
	CHECK(make_file("none") < 0 && make_file("none2") < 0 && open_as_nobody("none2") == 0);
	end();
}

static void handed_down_in_a_native_top(void)
{
	handed_down(UFS_UPPER_NATIVE);
}

static void handed_down_in_a_mapped_top(void)
{
	handed_down(UFS_UPPER_MAPPED);
}

static void refused(enum ufs_upper_mode mode)
{
	char list[256];

	begin(true, mode, true);
	CHECK(walk() <= 1 && stopped);
	CHECK_ERRNO(setxattr(at("f001"), ACL_ACCESS, refuses, sizeof(refuses), 0), EOPNOTSUPP);
	CHECK_ERRNO(removexattr(at("f000"), ACL_ACCESS), EOPNOTSUPP);
	CHECK(listxattr(at("f000"), list, sizeof(list)) == 0);
	CHECK(open_as_nobody("f000") == 0);
	CHECK(truncate(at("f000"), 5) == 0 && listxattr(at("f000"), list, sizeof(list)) == 0);
	end();
}

static void refused_native(void)
{
	refused(UFS_UPPER_NATIVE);
}

static void refused_mapped(void)
{
	refused(UFS_UPPER_MAPPED);
}

int main(void)
{
	const char *missing = mounted_missing();

	if (missing)
		return tap_skip(missing);
	mounted_count(&m);
	tap_run("acl", "none in the layers and no top: not asked for", nothing_to_ask);
	tap_run("acl", "one in a layer", one_in_a_layer);
	tap_run("acl", "one in a native top", one_in_a_native_top);
	tap_run("acl", "one in a mapped top", one_in_a_mapped_top);
	tap_run("acl", "it is copied up", copied_up);
	tap_run("acl", "handed down as soon as set, native", handed_down_in_a_native_top);
	tap_run("acl", "handed down as soon as set, mapped", handed_down_in_a_mapped_top);
	tap_run("acl", "noacl, native", refused_native);
	tap_run("acl", "noacl, mapped", refused_mapped);
	return tap_done();
}
