/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A directory of 200,000 names, read while other threads remove and add some: every name that stays
 * is seen once, and places that telldir(3) told are found again. In the upper alone, and merged
 * over an index; merged over a directory with a tenth of the names. BIGDIR_NAMES chooses another
 * number.
 */
#include "mounted.h"
#include "tap.h"

#include <dirent.h>
#include <pthread.h>

static struct mounted m;
static int names = 200000;
static enum { UPPER_ALONE, MERGED, OVER_DIRECTORY } where;

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
	for (int i = 0; where == MERGED && i < names; i++) {
		snprintf(name, sizeof(name), "n%06d", i);
		FIXTURE_MUST(layer_tree_put(t, n, name, strlen(name), &file, &f) == 0);
	}
	FIXTURE_MUST(layer_tree_write(t, &dev, 1, index) == 0);
	layer_tree_free(t);
	close(index);
	close(pack);
}

/* Behind the union's back, before it starts: of an upper, what an earlier one has left. */
static void make_names(const char *root, bool opaque)
{
	int base = mounted_open(&m, root, O_RDONLY | O_DIRECTORY), dir;
	char name[32];

	FIXTURE_MUST(mkdirat(base, "big", 0755) == 0);
	dir = openat(base, "big", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	FIXTURE_MUST(!opaque || fsetxattr(dir, "trusted.overlay.opaque", "y", 1, 0) == 0);
	for (int i = 0; i < names; i++) {
		snprintf(name, sizeof(name), "n%06d", i);
		FIXTURE_MUST(mknodat(dir, name, S_IFREG | 0644, 0) == 0);
	}
	close(dir);
	close(base);
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

#define PLACES 50

/* Back to places, from the last to the first and then all over. */
static void seek_to_places(void)
{
	char path[128], name[PLACES][NAME_MAX + 1];
	long place[PLACES], before;
	struct dirent *e;
	int n = 0, every = names / PLACES;
	DIR *d;

	snprintf(path, sizeof(path), "%s/big", m.point);
	d = opendir(path);
	CHECK(d && every);
	for (int i = 0; n < PLACES; i++) {
		before = telldir(d);
		e = readdir(d);
		CHECK(e);
		if (i % every)
			continue;
		place[n] = before;
		snprintf(name[n++], sizeof(name[0]), "%s", e->d_name);
	}
	for (int i = 0; i < 2 * PLACES; i++) {
		int k = i < PLACES ? PLACES - 1 - i : i * 17 % PLACES;

		seekdir(d, place[k]);
		e = readdir(d);
		CHECK(e && strcmp(e->d_name, name[k]) == 0);
	}
	closedir(d);
}

static void run(const char *prefix)
{
	static const char *const dirs[] = { "bottom", NULL };

	m = (struct mounted){ .dirs = dirs };
	mounted_dir(&m);
	make_index();
	if (where == UPPER_ALONE)
		make_names("upper", true);
	else if (where == OVER_DIRECTORY)
		make_names("bottom", false);
	mounted_begin(&m, where != OVER_DIRECTORY, UFS_UPPER_NATIVE, 3);
	tap_run(prefix, "read while names come and go", read_while_it_changes);
	tap_run(prefix, "places are found again", seek_to_places);
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
	run("upper alone");
	where = MERGED;
	run("merged");
	where = OVER_DIRECTORY;
	names /= 10;
	run("over a directory");
	return tap_done();
}
