/* SPDX-License-Identifier: Apache-2.0 */
/* Kernels in the store: what is taken of a distribution's, what is refused, who keeps it. */
#include "tests/imagestore/kit.h"

#include "imagestore/kernel_.h"
#include "tests/imagestore/kernel_kit.h"
#include <sys/stat.h>

#define RELEASE "6.1.0-9-test"
#define MODULES "lib/modules/" RELEASE "/"

/* ---- a distribution's folder, beside the store ---- */

static char folder[64];
static int folder_fd = -1;

static int setup(void **state)
{
	folder_fd = temp_open(folder);
	return kit_setup(state);
}

static int teardown(void **state)
{
	temp_close(folder, folder_fd);
	return kit_teardown(state);
}

static void put(const char *name, const void *data, size_t len)
{
	_free_ char *path = strdup(name);
	char *slash = strrchr(path, '/');
	_close_ int fd = -1;

	if (slash) {
		*slash = '\0';
		assert_ok(fd_mkdir_p(folder_fd, path, 0755));
	}
	fd = openat(folder_fd, name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	assert_true(fd >= 0);
	assert_ok(fd_write_full(fd, data, len));
}

static void put_text(const char *name, const char *text)
{
	put(name, text, strlen(text));
}

static void put_module(const char *name, const char *depends)
{
	_free_ char *path = str_fmt(MODULES "kernel/%s", name);
	_buf_done_ struct buf b = { 0 }, packed = { 0 };

	kernel_kit_module(&b, depends);
	if (str_ends(name, ".gz"))
		kernel_kit_gzip(&packed, b.data, b.len);
	else
		buf_add(&packed, b.data, b.len);
	put(path, packed.data, packed.len);
}

static void put_kernel(const char *name, const char *words)
{
	_buf_done_ struct buf image = { 0 };

	kernel_kit_bzimage(&image, RELEASE, words);
	put(name, image.data, image.len);
}

static void put_distribution(void)
{
	put_kernel("boot/vmlinuz-" RELEASE, "");
	put_module("a/virtio.ko", "");
	put_module("a/virtio-mmio.ko.gz", "virtio,virtio_ring,built_in");
	put_module("virtio_ring.ko", "");
	put_module("fs/virtiofs.ko", "fuse");
	put_module("fs/other.ko", "virtio");
	put_text(MODULES "modules.builtin",
		 "kernel/virtio_console.ko\nkernel/fuse.ko\nkernel/built-in.ko\n");
}

static int import(struct kit *k, const char *name, struct kernel_import i)
{
	_free_ char *path = str_fmt("%s/%s", folder, name), *got = NULL;

	i.path = path;
	return kernel_import(k->s, &i, &got);
}

#define AS(...) ((struct kernel_import){ __VA_ARGS__ })

static char *read_modules(struct kit *k, const char *name, size_t *ret_len)
{
	struct kernel_files f;
	char *data;

	assert_done(kernel_find(k->s, name, &f));
	assert_non_null(f.modules);
	assert_ok(file_read_all(AT_FDCWD, f.modules, 1 << 20, &data, ret_len));
	kernel_files_done(&f);
	return data;
}

static bool holds(const char *data, size_t len, const char *text)
{
	return memmem(data, len, text, strlen(text)) != NULL;
}

static uint64_t damaged(struct kit *k, void (*fn)(void *ctx, const char *line))
{
	struct fsck_result r;

	assert_done(store_fsck(k->s, fn, NULL, &r));
	return r.damaged;
}

static void no_line(_unused_ void *ctx, const char *line)
{
	print_error("%s\n", line);
	fail();
}

static void any_line(_unused_ void *ctx, const char *line)
{
	assert_non_null(strstr(line, "kernels/") || strstr(line, "kernel import"));
}

/* ---- taking one ---- */

static void modules_come_behind_what_they_need(void **state)
{
	struct kit *k = *state;
	_free_ char *data = NULL;
	size_t len;

	put_distribution();
	assert_done(import(k, ".", AS(.name = NULL)));
	data = read_modules(k, RELEASE, &len);
	assert_true(holds(data, len, "virtio.ko\nvirtio_ring.ko\nvirtio_mmio.ko\nvirtiofs.ko\n"));
	assert_false(holds(data, len, "fuse.ko"));
	assert_false(holds(data, len, "other.ko"));
	assert_true(holds(data, len, "depends=virtio,virtio_ring,built_in")); /* unpacked */
	assert_int_equal(len % 4, 0);
	assert_done(import(k, "boot/vmlinuz-" RELEASE,
			   AS(.name = "more", .more = (char *[]){ (char[]){ "other" }, NULL })));
	free(data);
	data = read_modules(k, "more", &len);
	assert_true(holds(data, len, "virtiofs.ko\nother.ko\n"));
	assert_int_equal(damaged(k, no_line), 0);
}

static void how_it_learns_of_its_machine(void **state)
{
	struct kit *k = *state;
	struct kernel_files f;

	put_kernel("own", "virtio-mmio-cmdline Intel MultiProcessor Specification");
	assert_done(import(k, "own", AS(.name = "own")));
	assert_done(kernel_find(k->s, "own", &f));
	assert_false(f.acpi);
	assert_null(f.modules);
	kernel_files_done(&f);
	put_distribution();
	assert_done(import(k, ".", AS(.name = "theirs")));
	assert_done(kernel_find(k->s, "theirs", &f));
	assert_true(f.acpi);
	kernel_files_done(&f);
}

static void refused_one_by_one(void **state)
{
	struct kit *k = *state;

	assert_err(import(k, ".", AS(.name = NULL)), -ENOENT, "no kernel there");
	put_kernel("boot/vmlinuz-1", "");
	assert_err(import(k, ".", AS(.name = "x")), -ENOENT, "--modules");
	put_kernel("boot/vmlinuz-2", "virtio-mmio");
	assert_err(import(k, ".", AS(.name = "x")), -EINVAL, "several kernels");
	assert_err(import(k, "boot/vmlinuz-2", AS(.name = "a/b")), -EINVAL, "name");
	assert_err(import(k, "boot/vmlinuz-2", AS(.name = "shipped")), -EINVAL, "shipped");
	put_text(MODULES "modules.builtin", "kernel/virtiofs.ko\nkernel/virtio_mmio.ko\n");
	assert_err(import(k, "boot/vmlinuz-2", AS(.name = "x")), -ENOENT, "no virtio_console");
	put_module("virtio_console.ko", "gone");
	assert_err(import(k, "boot/vmlinuz-2", AS(.name = "x")), -EBADMSG, "gone");
	put_module("virtio_console.ko", "virtio_console");
	assert_done(import(k, "boot/vmlinuz-2", AS(.name = "x"))); /* of a circle one each */
	put_text("text", "no kernel at all");
	assert_err(import(k, "text", AS(.name = "x")), -ENOEXEC, "neither a vmlinux nor a bzImage");
	put_text("package", "!<arch>\nnothing");
	assert_err(import(k, "package", AS(.name = "x")), -EBADMSG, "package");
	assert_int_equal(damaged(k, no_line), 0);
}

/* Changes @n bytes at @at of a bzImage. */
static void hostile(struct kit *k, unsigned at, const void *bytes, size_t n, const char *word)
{
	_buf_done_ struct buf image = { 0 };

	kernel_kit_bzimage(&image, RELEASE, "virtio-mmio");
	memcpy(image.data + at, bytes, n);
	put("hostile", image.data, image.len);
	assert_err(import(k, "hostile", AS(.name = "x")), -EBADMSG, word);
}

static void hostile_heads(void **state)
{
	struct kit *k = *state;
	_buf_done_ struct buf image = { 0 };

	hostile(k, 0x206, "\x0b", 1, "older than boot protocol");
	hostile(k, 0x236, "\0", 1, "64-bit entry");
	hostile(k, 0x248, "\xff\xff\xff\xff", 4, "beyond the file");
	hostile(k, 0x24c, "\xff\xff\xff\xff", 4, "beyond the file");
	hostile(k, 0x24c, "\0\0\0\0", 4, "beyond the file");
	hostile(k, 0x24c, "\x40\0\0\0", 4, "kernel: ");
	hostile(k, 0x1f1, "\xff", 1, "beyond the file");
	hostile(k, KIT_PAYLOAD, "\0\0", 2, "kernel: ");
	hostile(k, KIT_PAYLOAD + 20, "\xff\xff\xff\xff\xff", 5, "kernel: ");
	/* It says that it is shorter than what comes of it; then longer. */
	kernel_kit_bzimage(&image, RELEASE, "virtio-mmio");
	hostile(k, (unsigned)image.len - 4, "\x10\0\0\0", 4, "kernel: ");
	hostile(k, (unsigned)image.len - 4, "\0\0\0\xff", 4, "impossible length");
	assert_int_equal(damaged(k, no_line), 0);
}

/* ---- keeping it ---- */

struct seen {
	unsigned n, defaults;
};

static int see(void *ctx, const struct kernel *kernel)
{
	struct seen *s = ctx;

	assert_string_equal(kernel->version, RELEASE);
	s->n++;
	s->defaults += kernel->is_default;
	return 0;
}

static struct seen look(struct kit *k)
{
	struct seen s = { 0 };

	assert_done(kernel_each(k->s, see, &s));
	return s;
}

static struct df_total df(struct kit *k)
{
	struct df_total t;

	assert_done(store_df(k->s, NULL, NULL, &t));
	return t;
}

static void names_and_the_default(void **state)
{
	struct kit *k = *state;
	struct kernel_files f;
	struct store *rdonly;

	put_distribution();
	assert_int_equal(look(k).n, 0);
	assert_int_equal(kernel_find(k->s, NULL, &f), -ENOENT);
	assert_done(import(k, ".", AS(.name = "one")));
	assert_done(import(k, ".", AS(.name = "two", .use = true)));
	assert_int_equal(look(k).n, 2);
	assert_int_equal(look(k).defaults, 1);
	assert_int_equal(df(k).kernels, 1); /* the same under two names */
	assert_done(kernel_find(k->s, NULL, &f));
	kernel_files_done(&f);
	assert_err(kernel_use(k->s, "three"), -ENOENT, "no kernel three");
	assert_done(kernel_use(k->s, "one"));
	assert_done(kernel_remove(k->s, "one", false));
	assert_int_equal(kernel_find(k->s, NULL, &f), -ENOENT);
	assert_int_equal(look(k).n, 1);
	assert_done(kernel_remove(k->s, "two", false));
	assert_int_equal(df(k).kernels, 0);
	assert_err(kernel_remove(k->s, "two", false), -ENOENT, "no kernel two");
	assert_err(kernel_remove(k->s, KERNEL_SHIPPED, true), -EPERM, "not in a store");
	assert_done(store_open(k->root, STORE_RDONLY, &rdonly));
	assert_err(kernel_use(rdonly, NULL), -EROFS, "read-only");
	store_close(rdonly);
}

static void a_top_keeps_its_kernel(void **state)
{
	struct kit *k = *state;
	struct kernel_files f;
	struct gc_result gc;

	put_distribution();
	assert_done(import(k, ".", AS(.name = "one")));
	assert_done(kernel_find(k->s, "one", &f));
	assert_done(snapshot_create(k->s, "abc", NULL, 0));
	assert_done(snapshot_note_kernel(k->s, "abc", "/somewhere/vmlinux"));
	assert_done(snapshot_note_kernel(k->s, "abc", f.vmlinux));
	assert_err(kernel_remove(k->s, "one", false), -EBUSY, "instance abc");
	/* Its name goes to another: it stays for the top. */
	put_kernel("other", "virtio-mmio");
	assert_done(import(k, "other", AS(.name = "one")));
	assert_done(store_gc(k->s, &gc));
	assert_ok(access(f.vmlinux, R_OK));
	assert_int_equal(df(k).kernels, 2);
	assert_int_equal(df(k).kernel_reclaimable, 0);
	assert_done(snapshot_remove(k->s, "abc"));
	assert_true(df(k).kernel_reclaimable > 0);
	assert_done(store_gc(k->s, &gc));
	assert_int_equal(access(f.vmlinux, R_OK), -1);
	assert_int_equal(df(k).kernels, 1);
	kernel_files_done(&f);
}

static void hint_of_one(void *ctx, const char *line)
{
	if (strstr(line, "kernel one: `strata kernel import --name one` of what it was made of"))
		++*(unsigned *)ctx;
}

/* What is wrong is told, and what to do about it; that mends it. */
static void fsck_sees_a_changed_byte(void **state)
{
	struct kit *k = *state;
	struct kernel_files f;
	struct fsck_result result;
	unsigned hints = 0;
	_close_ int fd = -1;

	put_distribution();
	assert_done(import(k, ".", AS(.name = "one")));
	assert_done(kernel_find(k->s, "one", &f));
	assert_int_equal(damaged(k, no_line), 0);
	assert_ok(chmod(f.modules, 0644));
	fd = open(f.modules, O_RDWR | O_CLOEXEC);
	assert_int_equal(pwrite(fd, "x", 1, 300), 1);
	assert_int_equal(damaged(k, any_line), 1);
	assert_ok(unlink(f.vmlinux));
	assert_int_equal(damaged(k, any_line), 2);
	assert_done(store_fsck(k->s, hint_of_one, &hints, &result));
	assert_int_equal(hints, 1);
	assert_done(import(k, ".", AS(.name = "one")));
	assert_int_equal(damaged(k, no_line), 0);
	assert_ok(access(f.vmlinux, R_OK));
	assert_int_equal(look(k).n, 1);
	assert_int_equal(df(k).kernels, 1);
	kernel_files_done(&f);
}

/* ---- mending it ---- */

/* What a repair says; how many things are damaged after it. */
static uint64_t repair(struct kit *k, struct said *ret)
{
	struct fsck_result r;

	ret->text[0] = '\0';
	assert_done(store_repair(k->s, keep_line, ret, &r));
	return r.damaged;
}

static void spoil(const char *path)
{
	_close_ int fd = -1;

	assert_ok(chmod(path, 0644));
	fd = open(path, O_RDWR | O_CLOEXEC);
	assert_int_equal(pwrite(fd, "xyz", 3, 300), 3);
}

/* From where it came, as it was asked for then: with that module, under its names. */
static void repair_imports_it_once_more(void **state)
{
	struct kit *k = *state;
	struct kernel_files f;
	struct said said;
	char *more[] = { (char *)"other", NULL };

	put_distribution();
	assert_done(import(k, "boot/vmlinuz-" RELEASE, AS(.name = "one", .more = more)));
	assert_done(import(k, ".", AS(.name = "two", .use = true)));
	assert_int_equal(df(k).kernels, 2);
	assert_done(kernel_find(k->s, "one", &f));
	spoil(f.modules);
	assert_int_equal(repair(k, &said), 0);
	assert_non_null(strstr(said.text, "one: made again of "));
	spoil(f.vmlinux);
	assert_ok(unlink(f.modules));
	kernel_files_done(&f);
	assert_done(kernel_find(k->s, NULL, &f));
	spoil(f.vmlinux);
	assert_int_equal(repair(k, &said), 0);
	assert_non_null(strstr(said.text, "one: made again of "));
	assert_non_null(strstr(said.text, "two: made again of "));
	assert_int_equal(damaged(k, no_line), 0);
	assert_int_equal(look(k).n, 2);
	assert_int_equal(look(k).defaults, 1);
	kernel_files_done(&f);
}

/* Where that is not to be had: it is dropped, and each who would boot it is told. */
static void repair_drops_what_nothing_gives(void **state)
{
	struct kit *k = *state;
	struct kernel_files f, g;
	struct said said;

	put_distribution();
	put_kernel("own", "virtio-mmio");
	assert_done(import(k, "own", AS(.name = "one", .use = true)));
	assert_done(kernel_find(k->s, NULL, &f));
	assert_done(snapshot_create(k->s, "abc", NULL, 0));
	assert_done(snapshot_note_kernel(k->s, "abc", f.vmlinux));
	spoil(f.vmlinux);
	put_kernel("own", "virtio-mmio, and more");
	assert_int_equal(repair(k, &said), 1);
	assert_non_null(strstr(said.text, "instance abc: the kernel that it boots is damaged"));
	assert_non_null(strstr(said.text, "own is another kernel by now"));
	assert_non_null(strstr(said.text, "dropped\nkernel one: missing\n"));
	assert_int_equal(access(f.vmlinux, F_OK), -1);
	assert_err(kernel_find(k->s, NULL, &g), -EBADMSG, "import it again");
	assert_err(kernel_find(k->s, "one", &g), -EBADMSG, "kernel one is missing");
	/* Its name forgotten, the instance still wants it. */
	assert_done(kernel_remove(k->s, "one", true));
	assert_int_equal(repair(k, &said), 1);
	assert_non_null(strstr(said.text, "instance abc: the kernel that it boots: missing"));
	put_kernel("own", "virtio-mmio");
	assert_done(import(k, "own", AS(.name = "again")));
	assert_int_equal(repair(k, &said), 0);
	assert_string_equal(said.text, "");
	kernel_files_done(&f);
}

#define test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		test(modules_come_behind_what_they_need),
		test(how_it_learns_of_its_machine),
		test(refused_one_by_one),
		test(hostile_heads),
		test(names_and_the_default),
		test(a_top_keeps_its_kernel),
		test(fsck_sees_a_changed_byte),
		test(repair_imports_it_once_more),
		test(repair_drops_what_nothing_gives),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
