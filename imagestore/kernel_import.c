/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Taking a kernel into the store: its image and its modules are found, unpacked into a transaction,
 * and published under the digest of a record that names them.
 */
#include "imagestore/kernel_.h"

#include "base/dir.h"
#include <libgen.h>
#include <sys/stat.h>

struct importing {
	const struct kernel_import *i;
	struct txn *t;
	int folder;	 /* KERNEL_FOLDER of it */
	int image;	 /* the vmlinux or bzImage as it came */
	char *beside;	 /* the folder that it lies in, or was sought in */
	int deb_modules; /* of a package; -1 = none */
	struct kernel_image look;
	json_t *files;
};

static void importing_done(struct importing *m)
{
	fd_close(m->folder);
	fd_close(m->image);
	fd_close(m->deb_modules);
	free(m->beside);
	json_decref(m->files);
	txn_abort(m->t);
}

/* ---- finding the image ---- */

/* The one kernel in the folder @path of @dirfd: 1, 0 = there is none. */
static int find_image(int dirfd, const char *path, const char *where, char **ret)
{
	static const char *const prefixes[] = { "vmlinuz", "vmlinux", "bzImage" };
	_closedir_ DIR *dir = dir_take(openat(dirfd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	_free_ char *found = NULL;
	struct dirent *e;
	int r = 0;

	if (!dir)
		return 0;
	while (r == 0 && (e = readdir(dir))) {
		bool is = false;

		for (size_t i = 0; i < ARRAY_SIZE(prefixes); i++)
			is = is || str_after(e->d_name, prefixes[i]);
		if (!is || str_ends(e->d_name, ".old"))
			continue;
		if (found)
			r = err(-EINVAL, "%s has several kernels (%s, %s): name the one", where,
				found, e->d_name);
		else
			found = strdup(e->d_name);
	}
	if (r < 0 || !found)
		return r;
	*ret = str_fmt("%s/%s", path, found);
	return *ret ? 1 : -ENOMEM;
}

static int open_in_folder(struct importing *m, const char *where, int dirfd)
{
	static const char *const folders[] = { "boot", "." };
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(folders); i++) {
		_free_ char *path = NULL;

		r = find_image(dirfd, folders[i], where, &path);
		if (r <= 0)
			continue;
		m->image = openat(dirfd, path, O_RDONLY | O_CLOEXEC);
		if (m->image < 0)
			return err_sys("%s/%s", where, path);
	}
	return r < 0 ? r : r > 0 ? 0 : err(-ENOENT, "%s: no kernel there or in its boot/", where);
}

static int open_deb(struct importing *m, int fd)
{
	_close_ int dirfd = -1;
	int r;

	if (mkdirat(m->t->dirfd, "package", 0700) < 0)
		return txn_write_err(m->t, -errno);
	dirfd = openat(m->t->dirfd, "package", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	r = dirfd < 0 ? -errno : kernel_deb_unpack(fd, dirfd);
	if (r < 0)
		return err(r, "%s: %s", m->i->path, err_take(r));
	m->deb_modules = openat(dirfd, "modules", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return open_in_folder(m, m->i->path, dirfd);
}

static int open_image(struct importing *m)
{
	_close_ int fd = open(m->i->path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	_free_ char *copy = realpath(m->i->path, NULL);
	struct stat st;

	if (fd < 0 || !copy || fstat(fd, &st) < 0)
		return err_sys("%s", m->i->path);
	m->beside = strdup(S_ISDIR(st.st_mode) ? copy : dirname(copy));
	if (!m->beside)
		return -ENOMEM;
	if (S_ISDIR(st.st_mode))
		return open_in_folder(m, m->i->path, fd);
	if (S_ISREG(st.st_mode) && kernel_deb_is(fd))
		return open_deb(m, fd);
	m->image = take_fd(fd);
	return 0;
}

/* ---- finding its modules ---- */

/* Where distributions put them: below the root that /boot is in, or beside the image. */
static int find_modules(const struct importing *m)
{
	static const char *const places[] = { "lib", "usr/lib", "../lib", "../usr/lib" };
	_free_ char *own = str_fmt("%s/modules.builtin", m->beside);

	if (own && access(own, R_OK) == 0)
		return open(m->beside, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (size_t i = 0; i < ARRAY_SIZE(places); i++) {
		_free_ char *path =
			str_fmt("%s/%s/modules/%s", m->beside, places[i], m->look.version);
		int fd = path ? open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;

		if (fd >= 0)
			return fd;
	}
	return -1;
}

/* *@ret = -1: there are none. */
static int open_modules(struct importing *m, int *ret)
{
	*ret = -1;
	if (m->i->no_modules)
		return 0;
	if (!m->i->modules) {
		*ret = m->deb_modules >= 0 ? take_fd(m->deb_modules) : find_modules(m);
		return 0;
	}
	*ret = open(m->i->modules, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return *ret < 0 ? err_sys("%s", m->i->modules) : 0;
}

/* ---- its files in the transaction ---- */

static int create(struct importing *m, const char *name)
{
	int fd = openat(m->folder, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0444);

	return fd < 0 ? txn_write_err(m->t, -errno) : fd;
}

/* Whole now: its digest goes into the record, and its bytes to the disk. */
static int seal(struct importing *m, const char *name, int fd)
{
	struct digest d;
	int r = sha256_of_fd(fd, 0, &d, NULL);

	if (r >= 0 && fsync(fd) < 0)
		r = -errno;
	if (r >= 0)
		r = json_object_set_new(m->files, name,
					json_sprintf("sha256:%s", digest_hex(&d).s)) < 0 ?
			    -ENOMEM :
			    0;
	return r < 0 ? txn_write_err(m->t, r) : 0;
}

static int make_vmlinux(struct importing *m)
{
	_close_ int out = create(m, KERNEL_VMLINUX);
	int r = out < 0 ? out : kernel_image_unpack(m->image, out);

	if (r >= 0)
		r = kernel_image_look(out, &m->look);
	return r < 0 ? r : seal(m, KERNEL_VMLINUX, out);
}

static int make_modules(struct importing *m)
{
	_close_ int dirfd = -1, out = -1;
	int r = open_modules(m, &dirfd);

	if (r < 0)
		return r;
	if (dirfd < 0 && strv_len(m->i->more))
		return err(-ENOENT, "no modules of %s: name their folder by --modules",
			   m->look.version);
	if (dirfd < 0)
		return m->look.virtio_mmio ?
			       0 :
			       err(-ENOENT,
				   "%s has virtio_mmio as a module at best: name the folder of "
				   "its modules by --modules",
				   m->look.version);
	out = create(m, KERNEL_MODULES);
	r = out < 0 ? out : kernel_modules_pack(dirfd, m->i->more, out, &m->look);
	if (r == 0)
		return unlinkat(m->folder, KERNEL_MODULES, 0) < 0 ? -errno : 0;
	return r < 0 ? r : seal(m, KERNEL_MODULES, out);
}

/* Of what decides how it boots and nothing else: the same kernel has the same id. */
static int make_record(struct importing *m, struct digest *ret)
{
	const bool by_cmdline = m->look.mptable && m->look.cmdline_devices;
	_json_ json_t *j = json_pack("{s:s, s:b, s:O}", "version", m->look.version, "acpi",
				     !by_cmdline, "files", m->files);
	_close_ int fd = create(m, KERNEL_RECORD);
	size_t len;
	_free_ char *text = j ? json_text(j, &len) : NULL;
	int r = fd < 0 ? fd : text ? fd_write_full(fd, text, len) : -ENOMEM;

	if (r >= 0 && (fsync(fd) < 0 || fsync(m->folder) < 0))
		r = -errno;
	if (r < 0)
		return txn_write_err(m->t, r);
	*ret = sha256_of(text, len);
	return 0;
}

static int begin(struct importing *m, struct store *s)
{
	int r = txn_begin(s, &m->t);

	if (r < 0)
		return r;
	m->files = json_object();
	if (!m->files)
		return -ENOMEM;
	if (mkdirat(m->t->dirfd, KERNEL_FOLDER, 0755) < 0)
		return txn_write_err(m->t, -errno);
	m->folder = openat(m->t->dirfd, KERNEL_FOLDER, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return m->folder < 0 ? txn_write_err(m->t, -errno) : 0;
}

/* All but its place and its name. */
static int make(struct importing *m, struct store *s, struct digest *ret)
{
	int r = begin(m, s);

	if (r >= 0)
		r = open_image(m);
	if (r >= 0)
		r = make_vmlinux(m);
	if (r >= 0)
		r = make_modules(m);
	return r < 0 ? r : make_record(m, ret);
}

int kernel_import(struct store *s, const struct kernel_import *i, char **ret_name)
{
	_cleanup_(importing_done) struct importing m = { i, .folder = -1, .image = -1,
							 .deb_modules = -1 };
	_free_ char *name = NULL;
	struct digest id;
	int r = i->name ? kernel_check_name(i->name) : 0;

	if (r >= 0)
		r = make(&m, s, &id);
	if (r < 0)
		return r;
	name = strdup(i->name ? i->name : m.look.version);
	r = name ? kernel_check_name(name) : -ENOMEM;
	if (r >= 0)
		r = kernel_publish(m.t, &id, i, name);
	if (r >= 0)
		*ret_name = take_ptr(name);
	return r;
}

int kernel_remake(struct store *s, const struct kernel_import *i, const struct digest *id)
{
	_cleanup_(importing_done) struct importing m = { i, .folder = -1, .image = -1,
							 .deb_modules = -1 };
	struct digest got;
	int r = make(&m, s, &got);

	if (r < 0)
		return r;
	return digest_eq(&got, id) ? kernel_publish(m.t, id, i, NULL) :
				     err(-ESTALE, "%s is another kernel by now", i->path);
}
