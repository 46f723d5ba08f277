/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An initramfs of one file, /init, laid out in guest memory as an archive (base/cpio.h), and behind
 * it, from a page on, the archive of modules that goes with a kernel. The name is padded with NULs
 * to fill a page with its head, so that the content begins at one and can be mapped from the file,
 * as the kernel's segments are.
 */
#include "base/cpio.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/mem.h"
#include "microvm/boot.h"
#include "microvm/memory.h"
#include "microvm/vm.h"
#include <sys/mman.h>
#include <sys/stat.h>

#define PAGE	 4096u
#define FILE_MAX (256 * MIB)

static const char end[] = CPIO_END;

/* Writes head and name of an entry at @at, where all was zero; the name has @name_len bytes. */
static void entry_write(uint8_t *at, const char *name, unsigned name_len, unsigned mode,
			unsigned size)
{
	struct cpio_head head = cpio_head(mode, size, name_len);

	memcpy(at, head.s, CPIO_HEAD);
	memcpy(at + CPIO_HEAD, name, strlen(name) + 1);
}

static int file_size(int fd, const char *what, uint64_t *ret)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_sys("%s", what);
	if (!S_ISREG(st.st_mode) || st.st_size <= 0 || (uint64_t)st.st_size > FILE_MAX)
		return err(-EINVAL, "%s: not a file of a possible size", what);
	*ret = (uint64_t)st.st_size;
	return 0;
}

/* Where all lies, from the begin of the archives: init at PAGE, the modules at a page too. */
struct layout {
	uint64_t init_len, modules_len, modules, len;
};

static int layout_of(int init, int modules, struct layout *ret)
{
	struct layout l = { 0 };
	int r = file_size(init, "guest init", &l.init_len);

	if (r >= 0 && modules >= 0)
		r = file_size(modules, "guest modules", &l.modules_len);
	if (r < 0)
		return r;
	l.len = PAGE + ROUND_UP(l.init_len, CPIO_ALIGN) +
		ROUND_UP(CPIO_HEAD + sizeof(end), CPIO_ALIGN);
	if (modules >= 0) {
		l.modules = ROUND_UP(l.len, PAGE);
		l.len = l.modules + l.modules_len;
	}
	*ret = l;
	return 0;
}

/* All of init's archive but the content, which stands at @p + PAGE. */
static void heads_write(uint8_t *p, const struct layout *l)
{
	entry_write(p, "init", PAGE - CPIO_HEAD, S_IFREG | 0755, (unsigned)l->init_len);
	entry_write(p + PAGE + ROUND_UP(l->init_len, CPIO_ALIGN), end, sizeof(end), 0, 0);
}

static int put_at(const struct vm *v, uint8_t *p, uint64_t len, int fd, const char *what)
{
	int r = vm_memory_put(v, p, len, fd, 0);

	return r < 0 ? err(r, "%s: it cannot be had: %s", what, strerror(-r)) : 0;
}

int vm_initramfs_load(struct vm *v, int fd, int modules, const struct vm_kernel *kernel,
		      struct vm_initramfs *ret)
{
	struct vm_initramfs i;
	struct layout l;
	uint64_t room;
	uint8_t *p;
	int r = layout_of(fd, modules, &l);

	if (r < 0)
		return r;
	i.len = l.len;
	room = ROUND_UP(i.len, PAGE);
	i.gpa = v->mem.regions[0].len - room;
	p = room < v->mem.regions[0].len && i.gpa >= kernel->end ? mem_at(&v->mem, i.gpa, room) :
								   NULL;
	if (!p)
		return err(-ENOMEM, "the VM's memory is too small for kernel and init");
	r = put_at(v, p + PAGE, l.init_len, fd, "guest init");
	if (r >= 0 && modules >= 0)
		r = put_at(v, p + l.modules, l.modules_len, modules, "guest modules");
	if (r < 0)
		return r;
	heads_write(p, &l);
	vm_memory_soon(v, p, room); /* it is read, and then filled as memory that was freed */
	*ret = i;
	return 0;
}

static int read_at(uint8_t *p, uint64_t len, int fd, const char *what)
{
	return fd_pread_full(fd, p, len, 0) == (ssize_t)len ?
		       0 :
		       err(-EIO, "%s: it cannot be read", what);
}

int vm_initramfs_file(int init_fd, int modules_fd)
{
	_close_ int file = memfd_create("initramfs", MFD_CLOEXEC);
	struct layout l;
	uint8_t *p;
	int r = layout_of(init_fd, modules_fd, &l);

	if (r < 0)
		return r;
	if (file < 0 || ftruncate(file, (off_t)l.len) < 0)
		return err_sys("initramfs");
	p = mmap(NULL, l.len, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	if (p == MAP_FAILED)
		return err_sys("initramfs");
	r = read_at(p + PAGE, l.init_len, init_fd, "guest init");
	if (r >= 0 && modules_fd >= 0)
		r = read_at(p + l.modules, l.modules_len, modules_fd, "guest modules");
	heads_write(p, &l);
	munmap(p, l.len);
	return r < 0 ? r : take_fd(file);
}
