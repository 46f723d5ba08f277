/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A copy of a top serves who knew the source: by the same nodeids and numbers, what was born there
 * and what was copied up, names of one file, moved directories, files without a name; and gives new
 * ones to what is born in the copy.
 */
#include "base/err.h"
#include "direct.h"
#include "fixture.h"
#include "index_of.h"
#include "tap.h"

#include <sys/xattr.h>

#define KNOWN_MAX 32

/* What a client knows of one name. */
struct known {
	const char *name;
	uint64_t dir, nodeid, ino;
	uint32_t mode, nlink;
};

static struct direct a;
static int index_fd, pack_fd;
static struct known known[KNOWN_MAX];
static size_t nknown;

static void open_union(struct direct *d, bool recover)
{
	const struct ufs_lower lower = {
		.kind = UFS_LOWER_INDEX, .fd = index_fd, .packs = &pack_fd, .npacks = 1
	};
	const struct ufs_config cfg = { .lowers = &lower,
					.nlowers = 1,
					.upper = UFS_UPPER_MAPPED,
					.metacopy = true,
					.redirect = UFS_REDIRECT_ON,
					.recover = recover };

	CHECK(direct_open(d, &cfg) == 0);
	CHECK(direct_init(d) == 0);
}

static const struct wire_entry_out *entry(struct direct *d, uint64_t dir, const char *name)
{
	CHECK(direct_lookup(d, dir, name) != 0);
	return (const struct wire_entry_out *)(d->out + 1);
}

static void know(uint64_t dir, const char *name)
{
	const struct wire_entry_out *e = entry(&a, dir, name);

	CHECK(nknown < KNOWN_MAX);
	known[nknown++] =
		(struct known){ name, dir, e->nodeid, e->attr.ino, e->attr.mode, e->attr.nlink };
}

/* Two structs and up to two names, one behind the other. */
static int call(struct direct *d, uint32_t opcode, uint64_t nodeid, const void *arg, size_t len,
		const char *one, const char *two)
{
	char buf[512];
	size_t n = len;

	memcpy(buf, arg, len);
	memcpy(buf + n, one, strlen(one) + 1);
	n += strlen(one) + 1;
	if (two) {
		memcpy(buf + n, two, strlen(two) + 1);
		n += strlen(two) + 1;
	}
	return direct_error(d, opcode, nodeid, buf, n);
}

static void make_file(struct direct *d, uint64_t dir, const char *name, const char *text)
{
	const struct wire_mknod_in in = { .mode = S_IFREG | 0640 };
	struct {
		struct wire_write_in in;
		char text[64];
	} w = { 0 };
	uint64_t id;

	CHECK(call(d, WIRE_MKNOD, dir, &in, sizeof(in), name, NULL) == 0);
	id = entry(d, dir, name)->nodeid;
	w.in.size = (uint32_t)strlen(text);
	memcpy(w.text, text, strlen(text));
	CHECK(direct_error(d, WIRE_WRITE, id, &w, sizeof(w.in) + strlen(text)) == 0);
}

static uint64_t make_dir(struct direct *d, uint64_t dir, const char *name)
{
	const struct wire_mkdir_in in = { .mode = 0750 };

	CHECK(call(d, WIRE_MKDIR, dir, &in, sizeof(in), name, NULL) == 0);
	return entry(d, dir, name)->nodeid;
}

static void rename_to(struct direct *d, uint64_t dir, const char *from, uint64_t to,
		      const char *name)
{
	const struct wire_rename_in in = { .newdir = to };

	CHECK(call(d, WIRE_RENAME, dir, &in, sizeof(in), from, name) == 0);
}

static void link_to(struct direct *d, uint64_t id, uint64_t dir, const char *name)
{
	const struct wire_link_in in = { .oldnodeid = id };

	CHECK(call(d, WIRE_LINK, dir, &in, sizeof(in), name, NULL) == 0);
}

static bool reads(struct direct *d, uint64_t id, const char *text)
{
	const struct wire_read_in in = { .size = 4096 };
	ssize_t n = direct_call(d, WIRE_READ, id, &in, sizeof(in));

	return n == (ssize_t)(sizeof(*d->out) + strlen(text)) &&
	       memcmp(d->out + 1, text, strlen(text)) == 0;
}

static uint64_t nameless, nameless_ino, moved, born;

static void begin(void)
{
	CHECK(direct_make(&a) == 0);
	index_fd = openat(a.fd, "index", O_RDWR | O_CREAT, 0600);
	pack_fd = openat(a.fd, "pack", O_RDWR | O_CREAT, 0600);
	index_of(a.lower, index_fd, pack_fd);
	open_union(&a, false);
}

static void fill(void)
{
	const struct wire_setattr_in chmod = { .valid = 1, .mode = 0600 };

	born = make_dir(&a, 1, "born");
	make_file(&a, born, "one", "first\n");
	link_to(&a, entry(&a, born, "one")->nodeid, 1, "two");
	CHECK(call(&a, WIRE_SYMLINK, born, "sym", 4, "target", NULL) == 0);
	moved = entry(&a, 1, "d")->nodeid;
	rename_to(&a, 1, "d", born, "moved");
	make_file(&a, moved, "beside", "beside\n");
	CHECK(direct_error(&a, WIRE_SETATTR, entry(&a, 1, "f")->nodeid, &chmod, sizeof(chmod)) ==
	      0);
	make_file(&a, 1, "gone", "nameless\n");
	nameless = entry(&a, 1, "gone")->nodeid;
	nameless_ino = ((const struct wire_entry_out *)(a.out + 1))->attr.ino;
	CHECK(direct_error(&a, WIRE_UNLINK, 1, "gone", 5) == 0);
	CHECK(direct_error(&a, WIRE_UNLINK, 1, "s", 2) == 0);
	know(1, "born");
	know(born, "one");
	know(1, "two");
	know(born, "sym");
	know(born, "moved");
	know(moved, "beside");
	know(moved, "g");
	know(1, "f");
}

static void all_known(struct direct *d)
{
	for (size_t i = 0; i < nknown; i++) {
		const struct wire_entry_out *e = entry(d, known[i].dir, known[i].name);

		if (e->nodeid != known[i].nodeid || e->attr.ino != known[i].ino)
			printf("# %s: %llx %llx, was %llx %llx\n", known[i].name,
			       (unsigned long long)e->nodeid, (unsigned long long)e->attr.ino,
			       (unsigned long long)known[i].nodeid,
			       (unsigned long long)known[i].ino);
		CHECK(e->nodeid == known[i].nodeid);
		CHECK(e->attr.ino == known[i].ino);
		CHECK(e->attr.mode == known[i].mode);
		CHECK(e->attr.nlink == known[i].nlink);
	}
	CHECK(direct_lookup(d, 1, "gone") == 0);
	CHECK(direct_lookup(d, 1, "s") == 0);
	CHECK(direct_lookup(d, 1, "d") == 0);
	CHECK(reads(d, known[1].nodeid, "first\n"));
	CHECK(reads(d, entry(d, 1, "f")->nodeid, "lower f\n"));
	CHECK(reads(d, entry(d, moved, "g")->nodeid, "lower g\n"));
	CHECK(reads(d, nameless, "nameless\n"));
}

/* The number that a listing has of the name is what a look-up has. */
static void listed(struct direct *d, uint64_t dir, const char *name, uint64_t ino)
{
	const struct wire_read_in in = { .size = 4096 };
	ssize_t n = direct_call(d, WIRE_READDIR, dir, &in, sizeof(in));
	const char *s = (const char *)(d->out + 1), *end = (const char *)d->out + n;

	while (s < end) {
		struct wire_dirent e;

		memcpy(&e, s, sizeof(e));
		if (e.namelen == strlen(name) && memcmp(s + sizeof(e), name, e.namelen) == 0) {
			CHECK(e.ino == ino);
			return;
		}
		s += (sizeof(e) + e.namelen + 7) & ~7ul;
	}
	CHECK(!"listed");
}

static void clone_of(const struct direct *from, struct direct *to)
{
	const struct ufs_top there = { from->upper, from->work };
	struct ufs_top here;

	CHECK(direct_make(to) == 0);
	here = (struct ufs_top){ to->upper, to->work };
	CHECK(ufs_clone_top(&there, &here, geteuid()) == 0);
}

static void test_known(void)
{
	struct direct b;

	begin();
	fill();
	all_known(&a);
	clone_of(&a, &b);
	open_union(&b, true);
	all_known(&b);
	listed(&b, 1, "born", known[0].ino);
	listed(&b, born, "one", known[1].ino);
	listed(&b, born, "moved", known[4].ino);
	direct_end(&b);
}

/* Neither hears of what the other does; both go on to have other numbers than the old ones. */
static void test_apart(void)
{
	struct direct b, c;
	uint64_t id;

	clone_of(&a, &b);
	open_union(&b, true);
	make_file(&b, 1, "new", "in b\n");
	CHECK(direct_lookup(&a, 1, "new") == 0);
	CHECK(direct_error(&b, WIRE_UNLINK, born, "one", 4) == 0);
	CHECK(reads(&a, entry(&a, born, "one")->nodeid, "first\n"));
	id = entry(&b, 1, "new")->nodeid;
	CHECK(id >> 56 == 0x41); /* of the first generation */
	/* A copy of the copy knows what either knew. */
	clone_of(&b, &c);
	open_union(&c, true);
	CHECK(entry(&c, 1, "new")->nodeid == id);
	CHECK(reads(&c, id, "in b\n"));
	CHECK(entry(&c, born, "moved")->nodeid == moved);
	CHECK(reads(&c, nameless, "nameless\n"));
	make_file(&c, 1, "newer", "in c\n");
	CHECK(entry(&c, 1, "newer")->nodeid >> 56 == 0x42);
	direct_end(&c);
	direct_end(&b);
}

/* What stands still is copied as well, and a copy that is copied before anybody had it is none. */
static void test_at_rest(void)
{
	struct direct b, c;

	ufs_leave(a.u);
	direct_close(&a);
	clone_of(&a, &b);
	clone_of(&b, &c);
	open_union(&c, true);
	all_known(&c);
	make_file(&c, 1, "new", "in c\n");
	CHECK(entry(&c, 1, "new")->nodeid >> 56 == 0x41);
	direct_end(&c);
	direct_end(&b);
	/* The source itself goes on. */
	open_union(&a, true);
	all_known(&a);
}

/* One that nothing can number is refused. */
static void test_refused(void)
{
	struct direct b;
	struct ufs_top there = { a.upper, a.work }, here;

	CHECK(fsetxattr(a.upper, "user.strata.generation", "31", 2, 0) == 0);
	CHECK(direct_make(&b) == 0);
	here = (struct ufs_top){ b.upper, b.work };
	CHECK(ufs_clone_top(&there, &here, geteuid()) == -EMLINK);
	err_clear();
	direct_end(&b);
	CHECK(mkfifoat(a.upper, "fifo", 0600) == 0);
	CHECK(direct_make(&b) == 0);
	here = (struct ufs_top){ b.upper, b.work };
	CHECK(ufs_clone_top(&there, &here, geteuid()) == -EINVAL);
	err_clear();
	direct_end(&b);
	direct_end(&a);
}

int main(void)
{
	tap_run("clone", "what the client knew", test_known);
	tap_run("clone", "apart from then on", test_apart);
	tap_run("clone", "of a top at rest", test_at_rest);
	tap_run("clone", "refused", test_refused);
	return tap_done();
}
