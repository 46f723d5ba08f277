/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One file, one content: descriptors and maps of a lower file, for reading and for writing, opened
 * before and after its copy-up, do random things; the same is done to a plain file, and each call
 * must give the same, bytes included. Then fsync(2), and the server is killed: a mount anew shows
 * the plain file's bytes, and the lower is what it was. COHERENCE_SEED and COHERENCE_OPS choose
 * others.
 */
#include "mounted.h"
#include "ops.h"
#include "tap.h"

#include "base/fd.h"
#include "base/mem.h"

#define LARGEST 400000u
#define PIECE	9000u
#define FDS	8
#define MAPS	4
#define OPS	600

static struct mounted m;
static enum ufs_upper_mode mode;
static bool with_index;

static const struct {
	const char *name;
	size_t size;
	enum layer_content_kind kind;
} files[] = {
	{ "small", 900, LAYER_INLINE },
	{ "middle", 40000, LAYER_PACK },
	{ "large", FIXTURE_BIG, LAYER_OBJECT },
};
#define FILES ARRAY_SIZE(files)

/* Of each thing two: the union's, the plain file's. */
enum { UNION, PLAIN, SIDES };

struct pair {
	int fd[SIDES];
	bool writes;
};

struct exerciser {
	struct rng rng;
	const char *name;
	bool moved; /* has another name just now */
	struct pair fds[FDS];
	struct {
		char *at[SIDES];
		bool writes;
	} maps[MAPS];
	char did[200];
};

static struct exerciser x;
static char *buf[SIDES];

static void path_on(int side, bool moved, char path[256])
{
	snprintf(path, 256, "%s/%s%s%s", side == UNION ? m.point : m.dir,
		 side == UNION ? "" : "plain/", x.name, moved ? ".moved" : "");
}

#define DID(...) snprintf(x.did, sizeof(x.did), __VA_ARGS__)

/* Both gave the same, by the number and, when it is of bytes, by these. */
static void same(const ssize_t r[SIDES], const int e[SIDES], size_t len)
{
	if (r[UNION] == r[PLAIN] && (r[UNION] >= 0 || e[UNION] == e[PLAIN]) &&
	    (r[UNION] <= 0 || !len || memcmp(buf[UNION], buf[PLAIN], (size_t)r[UNION]) == 0))
		return;
	printf("# %s: %s: union %zd (%s), plain %zd (%s)\n", x.name, x.did, r[UNION],
	       r[UNION] < 0 ? strerror(e[UNION]) : "bytes", r[PLAIN],
	       r[PLAIN] < 0 ? strerror(e[PLAIN]) : "bytes");
	CHECK(false);
}

/* Does @call on both sides, `s` being which, and compares. */
#define ON_BOTH(len, call)                             \
	do {                                           \
		ssize_t r_[SIDES];                     \
		int e_[SIDES] = { 0 };                 \
		for (int s = 0; s < SIDES; s++) {      \
			r_[s] = (call);                \
			e_[s] = r_[s] < 0 ? errno : 0; \
		}                                      \
		same(r_, e_, len);                     \
	} while (0)

static size_t size_now(void)
{
	struct stat st;

	FIXTURE_MUST(fstat(x.fds[0].fd[PLAIN], &st) == 0);
	return (size_t)st.st_size;
}

static struct pair *any_fd(void)
{
	return &x.fds[pick(&x.rng, FDS)];
}

static struct pair *any_writer(void)
{
	struct pair *p = any_fd();

	while (!p->writes)
		p = any_fd();
	return p;
}

static void open_one(struct pair *p, bool writes)
{
	char path[256];

	for (int s = 0; s < SIDES; s++) {
		path_on(s, x.moved, path);
		close(p->fd[s]);
		p->fd[s] = open(path, (writes ? O_RDWR : O_RDONLY) | O_CLOEXEC);
		CHECK(p->fd[s] >= 0);
	}
	p->writes = writes;
}

static void map_one(size_t n, struct pair *p)
{
	for (int s = 0; s < SIDES; s++) {
		if (x.maps[n].at[s])
			munmap(x.maps[n].at[s], LARGEST);
		x.maps[n].at[s] = mmap(NULL, LARGEST, PROT_READ | (p->writes ? PROT_WRITE : 0),
				       MAP_SHARED, p->fd[s], 0);
		CHECK(x.maps[n].at[s] != MAP_FAILED);
	}
	x.maps[n].writes = p->writes;
}

static void read_some(void)
{
	size_t at = pick(&x.rng, LARGEST), len = pick(&x.rng, PIECE);
	struct pair *p = any_fd();

	at = pick(&x.rng, 4) ? at % (size_now() + 1) : at;
	DID("pread of %zu at %zu, %s", len, at, p->writes ? "rw" : "ro");
	ON_BOTH(len, pread(p->fd[s], buf[s], len, (off_t)at));
}

static void fill(size_t len)
{
	for (size_t i = 0; i < len; i++)
		buf[UNION][i] = (char)pick(&x.rng, 256);
	memcpy(buf[PLAIN], buf[UNION], len);
}

static void write_piece(void)
{
	size_t len = pick(&x.rng, PIECE), at = pick(&x.rng, LARGEST - PIECE);
	struct pair *p = any_writer();

	at = pick(&x.rng, 4) ? at % (size_now() + 1) : at;
	fill(len);
	DID("pwrite of %zu at %zu", len, at);
	ON_BOTH(0, pwrite(p->fd[s], buf[s], len, (off_t)at));
}

/* What is mapped below the file's end: none of it when there is nothing. */
static uint32_t mapped_piece(uint32_t *ret_at)
{
	uint32_t size = (uint32_t)MIN(size_now(), (size_t)LARGEST), len = pick(&x.rng, PIECE);

	*ret_at = size ? pick(&x.rng, size) : 0;
	return MIN(size - *ret_at, len);
}

static void look_at_map(void)
{
	uint32_t n = pick(&x.rng, MAPS), at, len = mapped_piece(&at);

	DID("%u at %u of a %s map", len, at, x.maps[n].writes ? "rw" : "ro");
	ON_BOTH(len, (memcpy(buf[s], x.maps[n].at[s] + at, len), (ssize_t)len));
}

static void store_in_map(void)
{
	uint32_t n = pick(&x.rng, MAPS), at, len = mapped_piece(&at);

	if (!x.maps[n].writes)
		return;
	fill(len);
	for (int s = 0; s < SIDES; s++)
		memcpy(x.maps[n].at[s] + at, buf[s], len);
	DID("a store of %u at %u", len, at);
}

static void cut(void)
{
	off_t size = (off_t)pick(&x.rng, pick(&x.rng, 3) ? LARGEST : 2 * PIECE);
	struct pair *p = any_writer();

	DID("ftruncate to %lld", (long long)size);
	ON_BOTH(0, ftruncate(p->fd[s], size));
}

static void sync_one(void)
{
	struct pair *p = any_fd();
	size_t n = pick(&x.rng, MAPS);

	DID("sync");
	if (pick(&x.rng, 2))
		ON_BOTH(0, fsync(p->fd[s]));
	else
		ON_BOTH(0, msync(x.maps[n].at[s], LARGEST, MS_SYNC));
}

/* The client asks for the pages again. */
static void drop_pages(void)
{
	struct pair *p = any_fd();

	DID("drop");
	ON_BOTH(0, fdatasync(p->fd[s]));
	ON_BOTH(0, posix_fadvise(p->fd[s], 0, 0, POSIX_FADV_DONTNEED));
}

static void reserve(void)
{
	static const int how[] = { 0, FALLOC_FL_KEEP_SIZE, FALLOC_FL_ZERO_RANGE,
				   FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE };
	off_t at = (off_t)pick(&x.rng, LARGEST - PIECE), len = (off_t)pick(&x.rng, PIECE) + 1;
	int flags = how[pick(&x.rng, 4)];
	struct pair *p = any_writer();

	DID("fallocate %d of %lld at %lld", flags, (long long)len, (long long)at);
	ON_BOTH(0, fallocate(p->fd[s], flags, at, len));
}

/* What copies up attributes alone, with metacopy. */
static void change_name_or_mode(void)
{
	char from[256], to[256];
	mode_t bits = 0600 + pick(&x.rng, 0100);

	DID("chmod or rename");
	for (int s = 0; s < SIDES; s++) {
		path_on(s, x.moved, from);
		path_on(s, !x.moved, to);
		CHECK(chmod(from, bits) == 0);
		CHECK(bits & 1 || rename(from, to) == 0);
	}
	x.moved ^= !(bits & 1);
}

static void do_one(void)
{
	switch (pick(&x.rng, 16)) {
	case 0 ... 3:
		return read_some();
	case 4:
	case 5:
		return write_piece();
	case 6 ... 8:
		return look_at_map();
	case 9:
		return store_in_map();
	case 10:
		return cut();
	case 11:
		return sync_one();
	case 12:
		return drop_pages();
	case 13:
		return reserve();
	case 14:
		/* The first two stay: one for reading, from before the copy-up, and a writer. */
		open_one(&x.fds[2 + pick(&x.rng, FDS - 2)], pick(&x.rng, 2));
		return map_one(pick(&x.rng, MAPS - 1) + 1, any_fd());
	default:
		return pick(&x.rng, 4) ? read_some() : change_name_or_mode();
	}
}

static void begin(void)
{
	for (size_t i = 0; i < FDS; i++)
		x.fds[i] = (struct pair){ { -1, -1 }, false };
	for (size_t i = 0; i < FDS; i++)
		open_one(&x.fds[i], i % 4 == 1);
	for (size_t i = 0; i < MAPS; i++)
		map_one(i, &x.fds[i % 2]);
	/* Some of it is cached before anything is written. */
	for (int i = 0; i < 8; i++)
		i % 2 ? look_at_map() : read_some();
}

static void end(void)
{
	for (size_t i = 0; i < MAPS; i++) {
		for (int s = 0; s < SIDES; s++)
			munmap(x.maps[i].at[s], LARGEST);
	}
	for (size_t i = 0; i < FDS; i++) {
		for (int s = 0; s < SIDES; s++)
			close(x.fds[i].fd[s]);
	}
}

/* All of both files. */
static void same_bytes(void)
{
	struct pair p = { { -1, -1 }, false };

	open_one(&p, false);
	DID("the whole file");
	ON_BOTH(LARGEST, pread(p.fd[s], buf[s], LARGEST, 0));
	for (int s = 0; s < SIDES; s++)
		close(p.fd[s]);
}

static void exercise_file(size_t n, uint64_t seed)
{
	const char *ops = getenv("COHERENCE_OPS");

	x = (struct exerciser){ .rng = { seed * 7919 + n + 1 }, .name = files[n].name };
	begin();
	for (int i = ops ? (int)strtol(ops, NULL, 10) : OPS; i > 0; i--)
		do_one();
	same_bytes();
	CHECK(fsync(x.fds[0].fd[UNION]) == 0);
	end();
}

static bool moved[FILES];

static void exercise(void)
{
	const char *only = getenv("COHERENCE_SEED");

	for (size_t i = 0; i < FILES; i++) {
		exercise_file(i, only ? strtoull(only, NULL, 10) :
					(uint64_t)m.off + 2 * with_index +
						 4 * (mode == UFS_UPPER_MAPPED));
		moved[i] = x.moved;
	}
}

static void survives(void)
{
	int status;

	kill(m.server, SIGKILL);
	CHECK(waitpid(m.server, &status, 0) == m.server);
	CHECK(umount2(m.point, MNT_DETACH) == 0);
	mounted_begin(&m, with_index, mode, 2);
	for (size_t i = 0; i < FILES; i++) {
		x = (struct exerciser){ .name = files[i].name, .moved = moved[i] };
		same_bytes();
	}
	CHECK(mounted_end(&m) == 0);
}

static void untouched(void)
{
	char *was = fixture_big(), path[256];

	for (size_t i = 0; i < FILES; i++) {
		int fd;

		snprintf(path, sizeof(path), "%s/bottom/%s", m.dir, files[i].name);
		fd = open(path, O_RDONLY | O_CLOEXEC);
		CHECK(pread(fd, buf[0], LARGEST, 0) == (ssize_t)files[i].size);
		CHECK(memcmp(buf[0], was, files[i].size) == 0);
		close(fd);
	}
	free(was);
}

/* The large one is what mounted_object() gives. */
static void make_index(const char *data)
{
	int index = mounted_open(&m, "index", O_RDWR | O_CREAT),
	    pack = mounted_open(&m, "pack", O_RDWR | O_CREAT);
	struct layer_device dev = { .blocks = 10 };
	struct layer_tree *t;

	FIXTURE_MUST(ftruncate(pack, 10 * LAYER_BLOCK) == 0 && layer_tree_new(&t) == 0);
	FIXTURE_MUST(fd_pwrite_full(pack, data, files[1].size, 0) == 0);
	for (size_t i = 0; i < FILES; i++) {
		struct layer_attr a = { .mode = S_IFREG | 0644, .size = files[i].size };
		struct layer_content c = { .kind = files[i].kind };
		struct layer_node *n;

		if (c.kind == LAYER_INLINE)
			c.data = data;
		else if (c.kind == LAYER_PACK)
			c.device = 1;
		else
			c.digest = sha256_of(data, FIXTURE_BIG);
		FIXTURE_MUST(layer_tree_put(t, layer_tree_root(t), files[i].name,
					    strlen(files[i].name), &a, &n) == 0);
		FIXTURE_MUST(layer_node_set_content(n, &c) == 0);
	}
	FIXTURE_MUST(layer_tree_write(t, &dev, 1, index) == 0);
	layer_tree_free(t);
	close(index);
	close(pack);
}

static void make_files(void)
{
	char *data = fixture_big();

	FIXTURE_MUST(data);
	for (int k = 0; k < 2; k++) {
		int dir = mounted_open(&m, k ? "plain" : "bottom", O_RDONLY | O_DIRECTORY);

		for (size_t i = 0; i < FILES; i++)
			fixture_file(dir, files[i].name, data, files[i].size);
		close(dir);
	}
	if (with_index)
		make_index(data);
	free(data);
}

static void run(bool index, enum ufs_upper_mode how, bool off)
{
	static const char *const dirs[] = { "bottom", NULL };
	char prefix[80];

	m = (struct mounted){ .dirs = dirs, .off = off };
	with_index = index;
	mode = how;
	snprintf(prefix, sizeof(prefix), "%s, %s%s", index ? "index" : "directory",
		 how == UFS_UPPER_NATIVE ? "native" : "mapped", off ? "" : ", metacopy");
	mounted_dir(&m);
	make_files();
	mounted_begin(&m, index, mode, 3);
	tap_run(prefix, "as a plain file", exercise);
	tap_run(prefix, "what was synced is there", survives);
	if (!index)
		tap_run(prefix, "the lower is what it was", untouched);
	umount2(m.point, MNT_DETACH);
	mounted_remove(&m);
}

int main(void)
{
	const char *missing = mounted_missing();

	if (missing)
		return tap_skip(missing);
	for (int s = 0; s < SIDES; s++) {
		buf[s] = malloc(LARGEST);
		FIXTURE_MUST(buf[s]);
	}
	for (int i = 0; i < 8; i++)
		run(i & 1, i & 2 ? UFS_UPPER_MAPPED : UFS_UPPER_NATIVE, i & 4);
	return tap_done();
}
