/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An initramfs of one file, /init, written straight into guest memory: a cpio archive of the "newc"
 * format, not compressed (Linux Documentation/driver-api/early-userspace/buffer-format.rst).
 */
#include "base/err.h"
#include "base/fd.h"
#include "base/mem.h"
#include "microvm/vm.h"
#include <sys/stat.h>

#define HEAD_LEN 110u /* "070701" and 13 numbers of 8 hexadecimal digits */
#define PAGE	 4096u
#define INIT_MAX (64 * MIB)

static uint64_t entry_len(const char *name, uint64_t size)
{
	return ROUND_UP(HEAD_LEN + strlen(name) + 1, 4) + ROUND_UP(size, 4);
}

/*
 * Writes head and name of an entry at @at, and gives where its content comes. All below was zero.
 */
static uint8_t *entry_begin(uint8_t *at, const char *name, unsigned mode, uint64_t size)
{
	char head[HEAD_LEN + 1];
	unsigned len = (unsigned)strlen(name) + 1;

	/*
	 * ino, mode, uid, gid, nlink, mtime, filesize, devmajor, devminor, rdevmajor, rdevminor,
	 * namesize, check
	 */
	snprintf(head, sizeof(head), "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x",
		 0, mode, 0, 0, 1, 0, (unsigned)size, 0, 0, 0, 0, len, 0);
	memcpy(at, head, HEAD_LEN);
	memcpy(at + HEAD_LEN, name, len);
	return at + ROUND_UP(HEAD_LEN + len, 4u);
}

int vm_initramfs_load(struct vm *v, int fd, const struct vm_kernel *kernel,
		      struct vm_initramfs *ret)
{
	static const char end[] = "TRAILER!!!";
	struct vm_initramfs i;
	struct stat st;
	uint8_t *p;

	if (fstat(fd, &st) < 0)
		return err_sys("guest init");
	if (!S_ISREG(st.st_mode) || st.st_size <= 0 || (uint64_t)st.st_size > INIT_MAX)
		return err(-EINVAL, "guest init: not a file of a possible size");
	i.len = entry_len("init", (uint64_t)st.st_size) + entry_len(end, 0);
	i.gpa = (v->mem.regions[0].len - ROUND_UP(i.len, PAGE)) & ~(uint64_t)(PAGE - 1);
	if (i.len > v->mem.regions[0].len || i.gpa < kernel->end)
		return err(-ENOMEM, "the VM's memory is too small for kernel and init");
	p = mem_at(&v->mem, i.gpa, i.len);
	if (!p)
		return err(-ENOMEM, "the VM's memory is too small for kernel and init");
	p = entry_begin(p, "init", S_IFREG | 0755, (uint64_t)st.st_size);
	if (fd_pread_full(fd, p, (size_t)st.st_size, 0) != st.st_size)
		return err(-EIO, "guest init: cannot be read");
	entry_begin(p + ROUND_UP((uint64_t)st.st_size, 4), end, 0, 0);
	*ret = i;
	return 0;
}
