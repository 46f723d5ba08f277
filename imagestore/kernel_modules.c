/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The modules that a microVM's boot needs, as an initramfs: /modules/NAME.ko, unpacked, and
 * /modules/order, their names in the order in which they can be loaded.
 */
#include "imagestore/kernel_.h"

#include "base/buf.h"
#include "base/cpio.h"
#include "base/dir.h"
#include <sys/mman.h>
#include <sys/stat.h>

#define DEPTH_MAX   12	   /* of folders, and of modules that need modules */
#define MODULES_MAX 32768u /* in one folder; Debian's largest kernel has 4,200 */
#define BUILTIN_MAX (4u << 20)
#define NAME_LEN    56u /* MODULE_NAME_LEN */

/* Without the first three nothing runs; the others are devices that a spec may ask for. */
static const struct {
	const char *name;
	bool needed;
} wanted[] = {
	{ "virtio_mmio", true }, { "virtio_console", true },
	{ "virtiofs", true },	 { "vmw_vsock_virtio_transport", false },
	{ "virtio_net", false }, { "virtio_balloon", false },
	{ "virtio_rng", false }, { "virtio_blk", false },
	{ "ext4", false },
};

struct module {
	char name[NAME_LEN];
	char *path; /* below the folder */
	bool packed;
};

struct packing {
	int dirfd, out;
	struct module *all;
	size_t n, cap;
	char *builtin; /* lines of paths */
	struct buf order;
	unsigned packed;
	struct kernel_image *image;
};

/* "virtio-rng.ko.xz" is virtio_rng: 0, or -ENOENT for what is no module. */
static int module_name(const char *file, char ret[NAME_LEN])
{
	const char *ko = strstr(file, ".ko");
	size_t len = ko ? (size_t)(ko - file) : 0;

	if (!len || len >= NAME_LEN || (ko[3] && ko[3] != '.'))
		return -ENOENT;
	for (size_t i = 0; i < len; i++)
		ret[i] = file[i] == '-' ? '_' : file[i];
	ret[len] = '\0';
	return 0;
}

/* ---- what there is ---- */

static int add_file(struct packing *p, const char *folder, const char *file)
{
	struct module m = { 0 };

	if (module_name(file, m.name) < 0)
		return 0;
	if (p->n == MODULES_MAX)
		return err(-E2BIG, "more than %u modules", MODULES_MAX);
	m.path = str_fmt("%s/%s", folder, file);
	if (!m.path || mem_grow(&p->all, &p->cap, p->n + 1, sizeof(m)) < 0) {
		free(m.path);
		return -ENOMEM;
	}
	p->all[p->n++] = m;
	return 0;
}

static int add_folder(struct packing *p, const char *path, unsigned depth)
{
	int fd = fd_open_beneath(p->dirfd, path, O_RDONLY | O_DIRECTORY, 0), r = 0;
	_closedir_ DIR *dir = dir_take(fd);
	struct dirent *e;

	if (!dir)
		return fd < 0 ? fd : -errno;
	while (r == 0 && (e = readdir(dir))) {
		_free_ char *inner = str_fmt("%s/%s", path, e->d_name);
		struct stat st;

		if (e->d_name[0] == '.' || !inner ||
		    fstatat(fd, e->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		if (S_ISREG(st.st_mode))
			r = add_file(p, path, e->d_name);
		else if (S_ISDIR(st.st_mode) && depth < DEPTH_MAX)
			r = add_folder(p, inner, depth + 1);
	}
	return r;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct module *)a)->name, ((const struct module *)b)->name);
}

static int find_all(struct packing *p)
{
	int r = add_folder(p, ".", 0);

	if (r >= 0 && p->n)
		qsort(p->all, p->n, sizeof(*p->all), by_name);
	if (r >= 0)
		r = file_read_all(p->dirfd, "modules.builtin", BUILTIN_MAX, &p->builtin, NULL);
	return r == -ENOENT ? 0 : r < 0 ? err(r, "modules: %s", strerror(-r)) : 0;
}

static struct module *find(const struct packing *p, const char *name)
{
	struct module key = { 0 };

	if (module_name(name, key.name) < 0 && str_copy(key.name, sizeof(key.name), name) < 0)
		return NULL;
	for (char *c = key.name; *c; c++)
		*c = *c == '-' ? '_' : *c;
	return p->n ? bsearch(&key, p->all, p->n, sizeof(key), by_name) : NULL;
}

static bool is_builtin(const struct packing *p, const char *name)
{
	const char *line = p->builtin;

	while (line && *line) {
		size_t len = strcspn(line, "\n");
		_free_ char *path = strndup(line, len);
		const char *file = path ? strrchr(path, '/') : NULL;
		char got[NAME_LEN];

		if (file && module_name(file + 1, got) == 0 && streq(got, name))
			return true;
		line += len + (line[len] == '\n');
	}
	return false;
}

/* ---- the archive ---- */

static int put(struct packing *p, const void *data, size_t len)
{
	static const char zeros[CPIO_ALIGN];
	int r = fd_write_full(p->out, data, len);

	if (r >= 0 && len % CPIO_ALIGN)
		r = fd_write_full(p->out, zeros, CPIO_ALIGN - len % CPIO_ALIGN);
	return r < 0 ? err(r, "modules: cannot be written: %s", strerror(-r)) : 0;
}

static int put_entry(struct packing *p, const char *name, unsigned mode, const void *data,
		     size_t len)
{
	struct cpio_head h = cpio_head(mode, (uint32_t)len, (uint32_t)strlen(name) + 1);
	_free_ char *head = str_fmt("%s%s", h.s, name);
	int r = head ? put(p, head, strlen(head) + 1) : -ENOMEM;

	return r < 0 || !len ? r : put(p, data, len);
}

static int pack(struct packing *p, const char *name, unsigned depth);

static int pack_bytes(struct packing *p, const struct module *m, const uint8_t *data, size_t len,
		      unsigned depth)
{
	_strv_free_ char **needs = NULL;
	_free_ char *path = str_fmt("modules/%s.ko", m->name);
	int r = path ? kernel_module_depends(data, len, &needs) : -ENOMEM;

	for (size_t i = 0; r >= 0 && i < strv_len(needs); i++) {
		r = pack(p, needs[i], depth + 1);
		if (r == -ENOENT)
			r = is_builtin(p, needs[i]) ?
				    0 :
				    err(-EBADMSG, "it needs %s, which is not there", needs[i]);
	}
	if (r < 0)
		return r;
	if (streq(m->name, "virtio_mmio"))
		p->image->cmdline_devices =
			memmem(data, len, KERNEL_CMDLINE_DEVICES, strlen(KERNEL_CMDLINE_DEVICES));
	p->packed++;
	r = buf_addf(&p->order, "%s.ko\n", m->name);
	return r < 0 ? r : put_entry(p, path, S_IFREG | 0444, data, len);
}

static int unpack_module(struct packing *p, const struct module *m, int *ret_fd, uint64_t *ret_len)
{
	_close_ int fd = fd_open_beneath(p->dirfd, m->path, O_RDONLY, 0);
	_close_ int raw = memfd_create("module", MFD_CLOEXEC);
	struct stat st;
	int r;

	if (fd < 0 || raw < 0 || fstat(fd, &st) < 0)
		return err_sys("%s", m->path);
	r = kernel_unpack(&(struct kernel_bytes){ fd, 0, (uint64_t)st.st_size }, m->path, raw,
			  KERNEL_MODULE_MAX, ret_len);
	if (r >= 0)
		*ret_fd = take_fd(raw);
	return r;
}

/* With all that it needs before it. -ENOENT without a text: there is none of that name. */
static int pack(struct packing *p, const char *name, unsigned depth)
{
	struct module *m = find(p, name);
	_close_ int fd = -1;
	uint64_t len = 0;
	void *data;
	int r;

	if (!m)
		return -ENOENT;
	if (m->packed)
		return 0;
	if (depth > DEPTH_MAX)
		return err(-ELOOP, "module %s: too many modules one above the other", name);
	m->packed = true; /* before what it needs: of a circle each is packed once */
	r = unpack_module(p, m, &fd, &len);
	if (r < 0)
		return r;
	data = mmap(NULL, len, PROT_READ, MAP_PRIVATE, fd, 0);
	if (data == MAP_FAILED)
		return err_sys("module %s", name);
	r = pack_bytes(p, m, data, len, depth);
	munmap(data, len);
	return r < 0 ? err(r, "module %s: %s", name, err_take(r)) : 0;
}

static int pack_wanted(struct packing *p)
{
	for (size_t i = 0; i < ARRAY_SIZE(wanted); i++) {
		int r = pack(p, wanted[i].name, 0);

		if (r == -ENOENT && wanted[i].needed && p->builtin &&
		    !is_builtin(p, wanted[i].name))
			return err(-ENOENT, "this kernel has no %s, which a microVM needs",
				   wanted[i].name);
		if (r < 0 && r != -ENOENT)
			return r;
		if (streq(wanted[i].name, "virtio_mmio"))
			p->image->virtio_mmio = p->image->virtio_mmio || r == 0;
	}
	return 0;
}

static int pack_more(struct packing *p, char *const *more)
{
	for (size_t i = 0; i < strv_len(more); i++) {
		int r = pack(p, more[i], 0);

		if (r == -ENOENT)
			r = is_builtin(p, more[i]) ?
				    0 :
				    err(-ENOENT, "this kernel has no module %s", more[i]);
		if (r < 0)
			return r;
	}
	return 0;
}

static void packing_done(struct packing *p)
{
	for (size_t i = 0; i < p->n; i++)
		free(p->all[i].path);
	free(p->all);
	free(p->builtin);
	buf_done(&p->order);
}

int kernel_modules_pack(int dirfd, char *const *more, int out, struct kernel_image *k)
{
	_cleanup_(packing_done) struct packing p = { .dirfd = dirfd, .out = out, .image = k };
	int r = find_all(&p);

	if (r >= 0)
		r = put_entry(&p, "modules", S_IFDIR | 0755, NULL, 0);
	if (r >= 0)
		r = pack_wanted(&p);
	if (r >= 0)
		r = pack_more(&p, more);
	if (r >= 0)
		r = put_entry(&p, "modules/order", S_IFREG | 0444, p.order.data, p.order.len);
	if (r >= 0)
		r = put_entry(&p, CPIO_END, 0, NULL, 0);
	return r < 0 ? r : (int)p.packed;
}
