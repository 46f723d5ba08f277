/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An initramfs of one file, /init, laid out in guest memory: a cpio archive of the "newc" format,
 * not compressed (Linux Documentation/driver-api/early-userspace/buffer-format.rst). The name is
 * padded with NULs to fill a page with its head, so that the content begins at one and can be
 * mapped from the file, as the kernel's segments are.
 */
#include "base/err.h"
#include "base/fd.h"
#include "base/mem.h"
#include "microvm/vm.h"
#include <sys/mman.h>
#include <sys/stat.h>

#define HEAD_LEN 110u /* "070701" and 13 numbers of 8 hexadecimal digits */
#define PAGE	 4096u
#define INIT_MAX (64 * MIB)

static const char end[] = "TRAILER!!!";

/* Writes head and name of an entry at @at, where all was zero; the name has @name_len bytes. */
static void entry_write(uint8_t *at, const char *name, unsigned name_len, unsigned mode,
			unsigned size)
{
	char head[HEAD_LEN + 1];

	/*
	 * ino, mode, uid, gid, nlink, mtime, filesize, devmajor, devminor, rdevmajor, rdevminor,
	 * namesize, check
	 */
	snprintf(head, sizeof(head), "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x",
		 0, mode, 0, 0, 1, 0, size, 0, 0, 0, 0, name_len, 0);
	memcpy(at, head, HEAD_LEN);
	memcpy(at + HEAD_LEN, name, strlen(name) + 1);
}

/* The size of the init at @fd, or -errno. */
static int64_t init_size(int fd)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_sys("guest init");
	if (!S_ISREG(st.st_mode) || st.st_size <= 0 || (uint64_t)st.st_size > INIT_MAX)
		return err(-EINVAL, "guest init: not a file of a possible size");
	return st.st_size;
}

static uint64_t archive_len(uint64_t size)
{
	return PAGE + ROUND_UP(size, 4) + ROUND_UP(HEAD_LEN + sizeof(end), 4);
}

/* All but the content, which stands at @p + PAGE. */
static void heads_write(uint8_t *p, uint64_t size)
{
	entry_write(p, "init", PAGE - HEAD_LEN, S_IFREG | 0755, (unsigned)size);
	entry_write(p + PAGE + ROUND_UP(size, 4), end, sizeof(end), 0, 0);
}

int vm_initramfs_load(struct vm *v, int fd, const struct vm_kernel *kernel,
		      struct vm_initramfs *ret)
{
	int64_t size = init_size(fd);
	struct vm_initramfs i;
	uint64_t room;
	uint8_t *p;

	if (size < 0)
		return (int)size;
	i.len = archive_len((uint64_t)size);
	room = ROUND_UP(i.len, PAGE);
	i.gpa = v->mem.regions[0].len - room;
	p = room < v->mem.regions[0].len && i.gpa >= kernel->end ? mem_at(&v->mem, i.gpa, room) :
								   NULL;
	if (!p)
		return err(-ENOMEM, "the VM's memory is too small for kernel and init");
	if (mmap(p + PAGE, (size_t)size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, fd, 0) ==
	    MAP_FAILED)
		return err_sys("guest init: map");
	heads_write(p, (uint64_t)size);
	*ret = i;
	return 0;
}

int vm_initramfs_file(int fd)
{
	_close_ int file = memfd_create("initramfs", MFD_CLOEXEC);
	int64_t size = init_size(fd);
	uint64_t len;
	uint8_t *p;
	int r;

	if (size < 0)
		return (int)size;
	len = archive_len((uint64_t)size);
	if (file < 0 || ftruncate(file, (off_t)len) < 0)
		return err_sys("initramfs");
	p = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	if (p == MAP_FAILED)
		return err_sys("initramfs");
	r = fd_pread_full(fd, p + PAGE, (size_t)size, 0) == size ?
		    0 :
		    err(-EIO, "guest init: it cannot be read");
	heads_write(p, (uint64_t)size);
	munmap(p, len);
	return r < 0 ? r : take_fd(file);
}
