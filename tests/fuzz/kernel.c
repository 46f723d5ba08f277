/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A kernel's file, whoever made it: unpacked as an import does, looked at, loaded as a VMM does;
 * and the same bytes as a module.
 */
#include "base/err.h"
#include "base/fd.h"
#include "base/str.h"
#include "imagestore/kernel_.h"
#include "microvm/boot.h"
#include "microvm/vm.h"
#include <sys/mman.h>

#define RAM	 (4u << 20)
#define UNPACKED (1u << 20) /* more of it is not looked at */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void load(int fd)
{
	static struct vm vm;
	struct vm_kernel k;

	vm.mem.regions[0].hva = mmap(NULL, RAM, PROT_READ | PROT_WRITE,
				     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (vm.mem.regions[0].hva == MAP_FAILED)
		abort();
	vm.mem.regions[0].len = RAM;
	vm.mem.n = 1;
	if (vm_kernel_load(&vm, fd, &k) == 0 && (k.end > RAM || k.entry >= RAM))
		abort();
	munmap(vm.mem.regions[0].hva, RAM);
	err_clear();
}

static void unpack(int fd)
{
	_close_ int out = memfd_create("out", MFD_CLOEXEC);
	struct kernel_image k = { "" };

	if (out < 0)
		abort();
	if (kernel_image_unpack(fd, out) == 0 && lseek(out, 0, SEEK_END) <= UNPACKED) {
		if (kernel_image_look(out, &k) == 0 && !k.version[0])
			abort();
		load(out);
	}
	err_clear();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	_close_ int fd = memfd_create("kernel", MFD_CLOEXEC);
	_strv_free_ char **needs = NULL;

	if (fd < 0 || fd_write_full(fd, data, size) < 0)
		abort();
	unpack(fd);
	load(fd);
	if (kernel_module_depends(data, size, &needs) == 0)
		for (size_t i = 0; i < strv_len(needs); i++)
			if (!needs[i][0] || strchr(needs[i], ','))
				abort();
	err_clear();
	return 0;
}
