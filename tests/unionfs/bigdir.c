/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A directory of 200,000 names, read while other threads remove and add some: every name that stays
 * is seen once. In the upper alone, and merged over an index. BIGDIR_NAMES chooses another number.
 */
#include "mounted.h"
#include "tap.h"

#include <dirent.h>
#include <pthread.h>

static struct mounted m;
static int names = 200000;
static bool with_index;

/* Every 97th name is removed meanwhile. */
static bool stays(int i)
{
	return i % 97 != 0;
}

static void make_index(void)
{
	int index = mounted_open(&m, "index", O_RDWR | O_CREAT),
	    pack = mounted_open(&m, "pack", O_RDWR | O_CREAT);
	struct layer_attr dir = { .mode = S_IFDIR | 0755 }, file = { .mode = S_IFREG | 0644 };
	struct layer_device dev = { .blocks = 1 };
	struct layer_node *n, *f;
	struct layer_tree *t;
	char name[32];

	FIXTURE_MUST(ftruncate(pack, 4096) == 0 && layer_tree_new(&t) == 0);
	FIXTURE_MUST(layer_tree_put(t, layer_tree_root(t), "big", 3, &dir, &n) == 0);
	for (int i = 0; with_index && i < names; i++) {
		snprintf(name, sizeof(name), "n%06d", i);
		FIXTURE_MUST(layer_tree_put(t, n, name, strlen(name), &file, &f) == 0);
	}
	FIXTURE_MUST(layer_tree_write(t, &dev, 1, index) == 0);
	layer_tree_free(t);
	close(index);
	close(pack);
}

/* Behind the union's back, before it starts: what an earlier one has left. */
static void make_upper(void)
{
	int upper = mounted_open(&m, "upper", O_RDONLY | O_DIRECTORY), dir;
	char name[32];

	FIXTURE_MUST(mkdirat(upper, "big", 0755) == 0);
	dir = openat(upper, "big", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	FIXTURE_MUST(fsetxattr(dir, "trusted.overlay.opaque", "y", 1, 0) == 0);
	for (int i = 0; i < names; i++) {
		snprintf(name, sizeof(name), "n%06d", i);
		FIXTURE_MUST(mknodat(dir, name, S_IFREG | 0644, 0) == 0);
	}
	close(dir);
	close(upper);
}

static void *change(void *arg)
{
	char name[128];

	for (int i = 0; i < names; i += 97) {
		snprintf(name, sizeof(name), "%s/big/n%06d", m.point, i);
		if (unlink(name) < 0)
			return m.point;
		snprintf(name, sizeof(name), "%s/big/added%d", m.point, i);
		if (mknod(name, S_IFREG | 0644, 0) < 0)
			return m.point;
	}
	return arg;
}

static void read_all(char *seen)
{
	char path[128];
	struct dirent *e;
	DIR *d;
	int i;

	snprintf(path, sizeof(path), "%s/big", m.point);
	d = opendir(path);
	CHECK(d);
	memset(seen, 0, (size_t)names);
	while ((e = readdir(d))) {
		if (sscanf(e->d_name, "n%d", &i) == 1 && i < names)
			CHECK(++seen[i] == 1);
	}
	closedir(d);
	for (i = 0; i < names; i++)
		CHECK(seen[i] || !stays(i));
}

static void read_while_it_changes(void)
{
	char *seen = malloc((size_t)names);
	pthread_t thread;
	void *failed;

	CHECK(seen && pthread_create(&thread, NULL, change, NULL) == 0);
	for (int i = 0; i < 3; i++)
		read_all(seen);
	CHECK(pthread_join(thread, &failed) == 0);
	CHECK(!failed);
	read_all(seen);
	for (int i = 0; i < names; i++)
		CHECK(seen[i] == stays(i));
	free(seen);
}

static void run(bool index)
{
	with_index = index;
	mounted_dir(&m);
	make_index();
	if (!index)
		make_upper();
	mounted_begin(&m, true, UFS_UPPER_NATIVE, 3);
	tap_run(index ? "merged" : "upper alone", "read while names come and go",
		read_while_it_changes);
	tap_failed |= mounted_end(&m) != 0;
	mounted_remove(&m);
}

int main(void)
{
	const char *missing = mounted_missing(), *n = getenv("BIGDIR_NAMES");

	if (missing)
		return tap_skip(missing);
	if (n)
		names = (int)strtol(n, NULL, 10);
	run(false);
	run(true);
	return tap_done();
}
