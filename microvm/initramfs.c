/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An initramfs of one file, /init, laid out in guest memory: a cpio archive of the "newc" format,
 * not compressed (Linux Documentation/driver-api/early-userspace/buffer-format.rst). The name is
 * padded with NULs to fill a page with its head, so that the content begins at one and can be
 * mapped from the file, as the kernel's segments are.
 */
#include "base/err.h"
#include "base/mem.h"
#include "microvm/vm.h"
#include <sys/mman.h>
#include <sys/stat.h>

#define HEAD_LEN 110u /* "070701" and 13 numbers of 8 hexadecimal digits */
#define PAGE	 4096u
#define INIT_MAX (64 * MIB)

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

int vm_initramfs_load(struct vm *v, int fd, const struct vm_kernel *kernel,
		      struct vm_initramfs *ret)
{
	static const char end[] = "TRAILER!!!";
	struct vm_initramfs i;
	struct stat st;
	uint64_t room;
	uint8_t *p;

	if (fstat(fd, &st) < 0)
		return err_sys("guest init");
	if (!S_ISREG(st.st_mode) || st.st_size <= 0 || (uint64_t)st.st_size > INIT_MAX)
		return err(-EINVAL, "guest init: not a file of a possible size");
	i.len = PAGE + ROUND_UP((uint64_t)st.st_size, 4) + ROUND_UP(HEAD_LEN + sizeof(end), 4);
	room = ROUND_UP(i.len, PAGE);
	i.gpa = v->mem.regions[0].len - room;
	p = room < v->mem.regions[0].len && i.gpa >= kernel->end ? mem_at(&v->mem, i.gpa, room) :
								   NULL;
	if (!p)
		return err(-ENOMEM, "the VM's memory is too small for kernel and init");
	entry_write(p, "init", PAGE - HEAD_LEN, S_IFREG | 0755, (unsigned)st.st_size);
	p += PAGE;
	if (mmap(p, (size_t)st.st_size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, fd, 0) ==
	    MAP_FAILED)
		return err_sys("guest init: map");
	entry_write(p + ROUND_UP((uint64_t)st.st_size, 4), end, sizeof(end), 0, 0);
	*ret = i;
	return 0;
}
