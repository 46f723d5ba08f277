/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Our union and kernel overlayfs take turns on one top, doing random operations; a plain tree runs
 * along. After each turn all three views are the same, st_ino of ours included. ALTERNATE_TURNS,
 * ALTERNATE_SEED choose others. No hard links in the lower: overlayfs with index=off breaks them.
 */
#include "beside.h"
#include "index_of.h"
#include "ops.h"
#include "overlaid.h"

#define TURNS 24
#define OPS   40

static struct mounted m;
static bool with_index;

static uint64_t number(const char *name, uint64_t otherwise)
{
	const char *s = getenv(name);

	return s ? strtoull(s, NULL, 10) : otherwise;
}

static void begin(bool ours)
{
	if (ours)
		mounted_begin(&m, with_index, UFS_UPPER_NATIVE, 2);
	else
		CHECK(overlaid_begin(&m, with_index) == 0);
}

static void end(bool ours)
{
	CHECK((ours ? mounted_end(&m) : overlaid_end(&m, with_index)) == 0);
}

static void operate(struct rng *rng, bool ours)
{
	char plain[128];
	int dir[2];

	snprintf(plain, sizeof(plain), "%s/plain", m.dir);
	dir[0] = open(m.point, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	dir[1] = open(plain, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	CHECK(dir[0] >= 0 && dir[1] >= 0);
	for (int i = 0; i < OPS; i++) {
		struct op op = op_pick(rng);
		int r[2], e[2];

		for (int k = 0; k < 2; k++) {
			r[k] = run_op(dir[k], &op);
			e[k] = r[k] < 0 ? errno : 0;
		}
		if (r[0] != r[1] || e[0] != e[1]) {
			printf("# %s: kind %u flags %u %s %s: %s, plain %s\n",
			       ours ? "union" : "overlayfs", op.kind, op.flags, op.a, op.b,
			       strerror(e[0]), strerror(e[1]));
			CHECK(false);
		}
	}
	close(dir[0]);
	close(dir[1]);
}

static void same(const char *what, int turn)
{
	bool equal = beside_same(&m, "", true);

	if (!equal)
		printf("# turn %d, %s: one is the union, other the plain tree\n", turn, what);
	CHECK(equal);
}

static void take_turns(void)
{
	struct rng rng = { number("ALTERNATE_SEED", 7) + with_index };
	int turns = (int)number("ALTERNATE_TURNS", TURNS);

	for (int i = 0; i < turns; i++) {
		bool ours = i % 2 == 0;
		char *before, *after;

		begin(ours);
		operate(&rng, ours);
		same(ours ? "union, at once" : "overlayfs, at once", i);
		end(ours);
		begin(!ours);
		same(ours ? "overlayfs, after the union" : "union, after overlayfs", i);
		end(!ours);
		/* Numbers stay over a new mount. */
		begin(true);
		before = snapshot(m.point, SNAPSHOT_INO);
		end(true);
		begin(true);
		after = snapshot(m.point, SNAPSHOT_INO);
		end(true);
		CHECK(before && after && snapshot_same(before, after));
		free(before);
		free(after);
	}
}

static void big_file(int dir)
{
	char *big = fixture_big();

	fixture_file(dir, "d1/f1", big, FIXTURE_BIG);
	fixture_file(dir, "d0/s0/f1", big, FIXTURE_BIG);
	free(big);
}

static void make_tree(int dir)
{
	make_start(dir);
	FIXTURE_MUST(unlinkat(dir, "f7", 0) == 0 && unlinkat(dir, "d1/f3", 0) == 0 &&
		     unlinkat(dir, "d0/s0/f5", 0) == 0);
	big_file(dir);
}

static void run(bool index)
{
	int base;

	with_index = index;
	mounted_dir(&m);
	close(mounted_open(&m, "top", O_RDONLY | O_DIRECTORY));
	close(mounted_open(&m, "upper", O_RDONLY | O_DIRECTORY));
	close(mounted_open(&m, "work", O_RDONLY | O_DIRECTORY));
	base = mounted_open(&m, "plain", O_RDONLY | O_DIRECTORY);
	make_tree(base);
	close(base);
	base = mounted_open(&m, "bottom", O_RDONLY | O_DIRECTORY);
	make_tree(base);
	if (index) {
		int image = mounted_open(&m, "index", O_RDWR | O_CREAT),
		    pack = mounted_open(&m, "pack", O_RDWR | O_CREAT);

		index_of(base, image, pack);
		close(image);
		close(pack);
	}
	close(base);
	if (overlaid_begin(&m, index) < 0) {
		printf("# SKIP %s: the kernel cannot mount it: %m\n",
		       index ? "index" : "directories");
	} else {
		overlaid_end(&m, index);
		tap_run(index ? "index" : "directories", "union and overlayfs take turns",
			take_turns);
	}
	while (umount2(m.point, MNT_DETACH) == 0)
		;
	mounted_remove(&m);
}

int main(void)
{
	const char *missing = mounted_missing();

	if (missing)
		return tap_skip(missing);
	umask(022);
	run(false);
	run(true);
	return tap_done();
}
