/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What READDIRPLUS tells of the names that it lists: all of directories, of others as soon as the
 * walker looks them up, nothing where the client may keep nothing.
 */
#include "direct_unit.h"

#include <dirent.h>

#define FILES 12

struct listed {
	uint64_t nodeid;
	int count;
};

/* What is told of @name in @dir. */
static struct listed listed(uint64_t dir, const char *name)
{
	struct wire_read_in in = { .size = 65536 };
	struct listed l = { 0 };
	const char *at, *end;

	assert_int_equal(direct_error(&d, WIRE_READDIRPLUS, dir, &in, sizeof(in)), 0);
	at = (const char *)(d.out + 1);
	end = (const char *)d.out + d.out->len;
	while (at < end) {
		struct wire_entry_out e;
		struct wire_dirent w;

		memcpy(&e, at, sizeof(e));
		memcpy(&w, at + sizeof(e), sizeof(w));
		at += sizeof(e) + sizeof(w);
		if (w.namelen == strlen(name) && memcmp(at, name, w.namelen) == 0) {
			l.nodeid = e.nodeid;
			l.count++;
			if (e.nodeid)
				assert_int_equal(e.attr.ino, w.ino);
		}
		if (*at == '.')
			assert_int_equal(e.nodeid, 0);
		at += (w.namelen + WIRE_DIRENT_ALIGN - 1 + sizeof(e) + sizeof(w)) /
			      WIRE_DIRENT_ALIGN * WIRE_DIRENT_ALIGN -
		      sizeof(e) - sizeof(w);
	}
	return l;
}

static void many_files(void)
{
	int sub = openat(d.lower, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	char name[16];

	for (int i = 0; i < FILES; i++) {
		snprintf(name, sizeof(name), "f%d", i);
		direct_file(sub, name, name);
	}
	mkdirat(sub, "sub", 0750);
	close(sub);
}

static void directories_are_told(void **state)
{
	struct wire_forget_in forget = { 1 };
	struct wire_getattr_in get = { 0 };
	struct listed l;

	(void)state;
	open_with((struct ufs_config){ 0 });
	l = listed(1, "d");
	assert_int_equal(l.count, 1);
	assert_int_equal(l.nodeid, direct_lookup(&d, 1, "d"));
	assert_int_equal(listed(1, "f").nodeid, 0);
	/* Each telling is forgotten once: two of the list, one of the LOOKUP. */
	for (int i = 0; i < 3; i++) {
		assert_int_equal(direct_error(&d, WIRE_GETATTR, l.nodeid, &get, sizeof(get)), 0);
		direct_call(&d, WIRE_FORGET, l.nodeid, &forget, sizeof(forget));
	}
	assert_int_equal(direct_error(&d, WIRE_GETATTR, l.nodeid, &get, sizeof(get)), -ESTALE);
}

static void of_an_upper_too(void **state)
{
	struct wire_mkdir_in in = { .mode = 0700 };
	char buf[sizeof(in) + 4];

	(void)state;
	memcpy(buf, &in, sizeof(in));
	memcpy(buf + sizeof(in), "new", 4);
	open_with((struct ufs_config){ 0 });
	assert_int_equal(direct_error(&d, WIRE_MKDIR, 1, buf, sizeof(buf)), 0);
	assert_int_equal(listed(1, "new").nodeid, direct_lookup(&d, 1, "new"));
	assert_int_equal(listed(1, "d").nodeid, direct_lookup(&d, 1, "d"));
}

static void files_when_they_are_looked_up(void **state)
{
	uint64_t dir;
	char name[16];

	(void)state;
	many_files();
	open_with((struct ufs_config){ 0 });
	dir = direct_lookup(&d, 1, "d");
	assert_int_equal(listed(dir, "f1").nodeid, 0);
	assert_int_equal(listed(dir, "f1").nodeid, 0);
	for (int i = 0; i < FILES; i++) {
		snprintf(name, sizeof(name), "f%d", i);
		assert_true(direct_lookup(&d, dir, name));
	}
	assert_int_equal(listed(dir, "f1").nodeid, direct_lookup(&d, dir, "f1"));
	assert_int_equal(listed(dir, "sub").nodeid, direct_lookup(&d, dir, "sub"));
}

static void nothing_that_cannot_be_kept(void **state)
{
	const struct timespec none = { 0 };
	char name[16];
	uint64_t dir;

	(void)state;
	many_files();
	open_with((struct ufs_config){ .timeout = &none });
	dir = direct_lookup(&d, 1, "d");
	assert_int_equal(listed(dir, "sub").count, 1);
	for (int i = 0; i < FILES; i++) {
		snprintf(name, sizeof(name), "f%d", i);
		assert_true(direct_lookup(&d, dir, name));
	}
	assert_int_equal(listed(dir, "sub").nodeid, 0);
	assert_int_equal(listed(dir, "f1").nodeid, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(directories_are_told, begin, end),
		cmocka_unit_test_setup_teardown(of_an_upper_too, begin, end),
		cmocka_unit_test_setup_teardown(files_when_they_are_looked_up, begin, end),
		cmocka_unit_test_setup_teardown(nothing_that_cannot_be_kept, begin, end),
	};

	return cmocka_run_group_tests_name("unionfs/ops_readdir", tests, NULL, NULL);
}
