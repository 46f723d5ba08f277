/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tops become lowers: random operations through kernel overlayfs and through our union in turn,
 * each turn on a new top over all the ones before, with metacopy and redirects; a plain tree runs
 * along. After each turn the stack shows the same in both, read-only and under an empty top.
 * STACKED_SEED chooses other operations. No hard links: overlayfs with index=off breaks them.
 */
#include "beside.h"
#include "ops.h"

#define TURNS 12
#define OPS   60
#define LINK  12 /* run_op()'s kind */

static struct mounted m;

/* The tops of turns before @turn, topmost first, and the base: as lowerdir= has them. */
static void lowers_of(int turn, char *text, size_t size)
{
	size_t len = 0;

	for (int i = turn - 1; i >= 0; i--)
		len += (size_t)snprintf(text + len, size - len, "%s/up%d:", m.dir, i);
	snprintf(text + len, size - len, "%s/base", m.dir);
}

/* @up: the name of the top, NULL for none. */
static int begin_kernel(int turn, const char *up)
{
	char options[4096] = "lowerdir=", top[256];

	lowers_of(turn, options + 9, sizeof(options) - 9);
	snprintf(top, sizeof(top), ",upperdir=%s/%s,workdir=%s/work-%s", m.dir, up, m.dir, up);
	snprintf(options + strlen(options), sizeof(options) - strlen(options),
		 "%s,index=off,metacopy=on,redirect_dir=on", up ? top : "");
	return mount("overlay", m.point, "overlay", up ? 0 : MS_RDONLY, options);
}

static void begin_ours(int turn, const char *up)
{
	struct ufs_lower lowers[TURNS + 1] = { 0 };
	struct ufs_config cfg = {
		.lowers = lowers,
		.nlowers = (size_t)turn + 1,
		.upper = up ? UFS_UPPER_NATIVE : UFS_UPPER_NONE,
		.metacopy = true,
		.redirect = UFS_REDIRECT_ON,
		.is_volatile = true,
	};
	char name[64];
	int fuse, mnt;

	for (int i = 0; i < turn; i++) {
		snprintf(name, sizeof(name), "up%d", turn - 1 - i);
		lowers[i].fd = mounted_open(&m, name, O_RDONLY | O_DIRECTORY);
	}
	lowers[turn].fd = mounted_open(&m, "base", O_RDONLY | O_DIRECTORY);
	if (up) {
		snprintf(name, sizeof(name), "work-%s", up);
		cfg.upper_fd = mounted_open(&m, up, O_RDONLY | O_DIRECTORY);
		cfg.work_fd = mounted_open(&m, name, O_RDONLY | O_DIRECTORY);
	}
	FIXTURE_MUST(ufs_mount("strata-test", !up, &fuse, &mnt) == 0);
	FIXTURE_MUST(move_mount(mnt, "", AT_FDCWD, m.point, MOVE_MOUNT_F_EMPTY_PATH) == 0);
	close(mnt);
	fflush(stdout);
	m.server = fork();
	FIXTURE_MUST(m.server >= 0);
	if (!m.server)
		exit(mounted_serve(&cfg, fuse, 2, NULL, NULL));
	close(fuse);
	for (int i = 0; i <= turn; i++)
		close(lowers[i].fd);
	if (up) {
		close(cfg.upper_fd);
		close(cfg.work_fd);
	}
}

static void begin(bool ours, int turn, const char *up)
{
	if (ours)
		begin_ours(turn, up);
	else
		CHECK(begin_kernel(turn, up) == 0);
}

static void end(bool ours)
{
	CHECK((ours ? mounted_end(&m) : umount2(m.point, 0)) == 0);
}

static void operate(struct rng *rng, bool ours)
{
	int plain = mounted_open(&m, "plain", O_RDONLY | O_DIRECTORY);
	int dir = open(m.point, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	CHECK(dir >= 0);
	for (int i = 0; i < OPS; i++) {
		struct op op = op_pick(rng);
		int r[2], e[2];

		if (op.kind == LINK)
			continue;
		r[0] = run_op(dir, &op);
		e[0] = r[0] < 0 ? errno : 0;
		r[1] = run_op(plain, &op);
		e[1] = r[1] < 0 ? errno : 0;
		if (r[0] != r[1] || e[0] != e[1]) {
			printf("# %s: kind %u flags %u %s %s: %s, plain %s\n",
			       ours ? "union" : "overlayfs", op.kind, op.flags, op.a, op.b,
			       strerror(e[0]), strerror(e[1]));
			CHECK(false);
		}
	}
	close(dir);
	close(plain);
}

static void same(const char *what, int turn)
{
	bool equal = beside_same(&m, "", true);

	if (!equal)
		printf("# turn %d, %s: one is the stack, other the plain tree\n", turn, what);
	CHECK(equal);
}

static void make_dirs(const char *up)
{
	char name[64];

	snprintf(name, sizeof(name), "work-%s", up);
	close(mounted_open(&m, up, O_RDONLY | O_DIRECTORY));
	close(mounted_open(&m, name, O_RDONLY | O_DIRECTORY));
}

static void stack_up(void)
{
	const char *seed = getenv("STACKED_SEED");
	struct rng rng = { seed ? strtoull(seed, NULL, 10) : 11 };

	for (int turn = 0; turn < TURNS; turn++) {
		char up[16], none[24];
		bool ours = turn % 3 != 1;

		snprintf(up, sizeof(up), "up%d", turn);
		snprintf(none, sizeof(none), "none%d", turn);
		make_dirs(up);
		make_dirs(none);
		begin(ours, turn, up);
		operate(&rng, ours);
		end(ours);
		begin(false, turn + 1, NULL);
		same("overlayfs, read-only", turn);
		end(false);
		begin(true, turn + 1, NULL);
		same("the union, read-only", turn);
		end(true);
		begin(true, turn + 1, none);
		same("the union under an empty top", turn);
		end(true);
	}
}

/* Marks that no program makes: an errno, and nothing of what they point at. */
static void set(const char *path, const char *name, const char *value)
{
	char full[160];

	snprintf(full, sizeof(full), "%s/%s", m.dir, path);
	CHECK(lsetxattr(full, name, value, strlen(value), 0) == 0);
}

static int error_of(const char *path)
{
	char full[160];
	struct stat st;

	snprintf(full, sizeof(full), "%s/%s", m.point, path);
	return stat(full, &st) < 0 ? errno : 0;
}

static void hostile(void)
{
	static const char *const bad[] = { "/..",   "../etc", "a/b", "/", "",
					   "/a//b", "/a/./b", "/a/", ".", ".." };
	char name[32], path[160], c;
	int fd;

	mounted_remove(&m);
	mounted_dir(&m);
	close(mounted_open(&m, "base", O_RDONLY | O_DIRECTORY));
	close(mounted_open(&m, "base/secret", O_RDONLY | O_DIRECTORY));
	close(mounted_open(&m, "up0", O_RDONLY | O_DIRECTORY));
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		snprintf(name, sizeof(name), "up0/bad%zu", i);
		close(mounted_open(&m, name, O_RDONLY | O_DIRECTORY));
		set(name, "trusted.overlay.redirect", bad[i]);
	}
	/* A way through a symbolic link is none. */
	snprintf(path, sizeof(path), "%s/base/link", m.dir);
	CHECK(symlink("/", path) == 0);
	close(mounted_open(&m, "up0/way", O_RDONLY | O_DIRECTORY));
	set("up0/way", "trusted.overlay.redirect", "/link/etc");
	/* Bytes that are nowhere, or in a directory. */
	fd = mounted_open(&m, "up0/nowhere", O_RDWR | O_CREAT);
	CHECK(ftruncate(fd, 5) == 0);
	close(fd);
	set("up0/nowhere", "trusted.overlay.metacopy", "");
	fd = mounted_open(&m, "up0/secret2", O_RDWR | O_CREAT);
	CHECK(ftruncate(fd, 5) == 0);
	close(fd);
	set("up0/secret2", "trusted.overlay.metacopy", "");
	set("up0/secret2", "trusted.overlay.redirect", "secret");
	begin_ours(1, NULL);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		snprintf(name, sizeof(name), "bad%zu", i);
		CHECK(error_of(name) == EIO);
	}
	CHECK(error_of("way") == 0 && error_of("way/passwd") == ENOENT);
	CHECK(error_of("secret") == 0 && error_of("nowhere") == 0);
	snprintf(path, sizeof(path), "%s/nowhere", m.point);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	CHECK(fd >= 0 && read(fd, &c, 1) < 0 && errno == EIO);
	close(fd);
	snprintf(path, sizeof(path), "%s/secret2", m.point);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	CHECK(fd >= 0 && read(fd, &c, 1) < 0 && errno == EIO);
	close(fd);
	CHECK(mounted_end(&m) == 0);
}

static void make_tree(const char *name)
{
	int dir = mounted_open(&m, name, O_RDONLY | O_DIRECTORY);

	make_start(dir);
	FIXTURE_MUST(unlinkat(dir, "f7", 0) == 0 && unlinkat(dir, "d1/f3", 0) == 0 &&
		     unlinkat(dir, "d0/s0/f5", 0) == 0);
	close(dir);
}

int main(void)
{
	const char *missing = mounted_missing();

	if (missing)
		return tap_skip(missing);
	umask(022);
	mounted_dir(&m);
	make_tree("plain");
	make_tree("base");
	make_dirs("probe");
	if (begin_kernel(0, "probe") < 0) {
		printf("# overlayfs: %m\n");
		mounted_remove(&m);
		return tap_skip("the kernel cannot mount overlayfs here");
	}
	umount2(m.point, 0);
	tap_run("stacked", "tops that become lowers show the same", stack_up);
	while (umount2(m.point, MNT_DETACH) == 0)
		;
	tap_run("stacked", "marks that lead nowhere", hostile);
	while (umount2(m.point, MNT_DETACH) == 0)
		;
	mounted_remove(&m);
	return tap_done();
}
