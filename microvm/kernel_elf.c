/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Loads a vmlinux. Its segments are mapped privately over RAM, so that what the kernel does not
 * write stays the page cache's and is shared by all VMs; what does not fill a page is copied. What
 * it does write is its data, and nearly each page of its code, which it patches for the CPU.
 */
#include "base/err.h"
#include "base/fd.h"
#include "base/mem.h"
#include "microvm/boot.h"
#include "microvm/memory.h"
#include "microvm/vm.h"
#include <elf.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define PAGE	 4096u
#define PHDR_MAX 32
#define SHDR_MAX 64
#define NOTE_MAX 4096u
#define BLOCK	 (4 * MIB)
#define FILLER	 63 /* bytes that are as the one before, at the begin of a page of filler */

/* xen/elfnote.h: the descriptor holds the physical address of the 32-bit PVH entry. */
#define XEN_ELFNOTE_PHYS32_ENTRY 18

struct elf {
	int fd;
	uint64_t size;
	Elf64_Ehdr head;
	Elf64_Phdr phdr[PHDR_MAX];
};

static int bad(const char *what)
{
	return err(-ENOEXEC, "kernel: %s", what);
}

static int elf_open(struct elf *e, int fd)
{
	struct stat st;
	ssize_t n;

	if (fstat(fd, &st) < 0)
		return err_sys("kernel");
	e->fd = fd;
	e->size = (uint64_t)st.st_size;
	if (fd_pread_full(fd, &e->head, sizeof(e->head), 0) != sizeof(e->head) ||
	    memcmp(e->head.e_ident, ELFMAG, SELFMAG) != 0)
		return bad("not a vmlinux; `strata kernel import` makes one of a bzImage");
	if (e->head.e_ident[EI_CLASS] != ELFCLASS64 || e->head.e_machine != EM_X86_64)
		return bad("not for x86-64");
	if (e->head.e_phentsize != sizeof(e->phdr[0]) || !e->head.e_phnum ||
	    e->head.e_phnum > PHDR_MAX)
		return bad("impossible program headers");
	n = (ssize_t)(e->head.e_phnum * sizeof(e->phdr[0]));
	if (fd_pread_full(fd, e->phdr, (size_t)n, (off_t)e->head.e_phoff) != n)
		return bad("program headers cut off");
	return 0;
}

/* Whole pages of the file as they are; the rest of the last one, or of an odd one, is read. */
static int segment_load(const struct vm *v, const struct elf *e, const Elf64_Phdr *p, uint8_t *hva)
{
	uint64_t mapped = 0;
	int r = 0;

	if (p->p_offset % PAGE == 0 && (uintptr_t)hva % PAGE == 0)
		mapped = p->p_filesz - p->p_filesz % PAGE;
	if (mapped)
		r = vm_memory_put(v, hva, mapped, e->fd, (off_t)p->p_offset);
	if (r < 0)
		return err(r, "kernel: its segments cannot be had: %s", strerror(-r));
	if (fd_pread_full(e->fd, hva + mapped, p->p_filesz - mapped,
			  (off_t)(p->p_offset + mapped)) != (ssize_t)(p->p_filesz - mapped))
		return bad("segment cut off");
	return 0;
}

/* Whether it lies within its file. */
static int segment_check(const struct elf *e, const Elf64_Phdr *p)
{
	if (p->p_filesz > p->p_memsz || p->p_offset > e->size ||
	    p->p_filesz > e->size - p->p_offset)
		return bad("segment beyond the file");
	return 0;
}

/* Code is followed by one byte to the boundary of a huge page, where other code may follow. */
static bool is_filler(const uint8_t *page)
{
	return memcmp(page, page + 1, FILLER) == 0;
}

/* How many bytes of @len, all in one huge page, come before the pages of filler at their end. */
static uint64_t code_len(const uint8_t *code, uint64_t len)
{
	uint64_t low = 0, high = len / PAGE; /* the first such page is none before low, or high */

	if (high && !is_filler(code + (high - 1) * PAGE))
		return len;
	while (low < high) {
		uint64_t mid = low + (high - low) / 2;

		if (is_filler(code + mid * PAGE))
			high = mid;
		else
			low = mid + 1;
	}
	return low == len / PAGE ? len : low * PAGE;
}

static void section_soon(struct vm *v, uint8_t *hva, uint64_t len)
{
	while (len) {
		uint64_t n = MIN(len, HUGE_PAGE - (uintptr_t)hva % HUGE_PAGE);

		vm_memory_soon(v, hva, code_len(hva, n));
		hva += n;
		len -= n;
	}
}

/* Of a segment that is only read, it says: its code, where sections tell it from constants. */
static void code_soon(struct vm *v, const struct elf *e, const Elf64_Phdr *p, uint8_t *hva)
{
	Elf64_Shdr s[SHDR_MAX];
	size_t n = MIN((size_t)e->head.e_shnum, ARRAY_SIZE(s));
	ssize_t len = (ssize_t)(n * sizeof(s[0]));

	if (!(p->p_flags & PF_X) || e->head.e_shentsize != sizeof(s[0]) ||
	    fd_pread_full(e->fd, s, (size_t)len, (off_t)e->head.e_shoff) != len)
		return;
	for (size_t i = 0; i < n; i++) {
		uint64_t at = s[i].sh_offset - p->p_offset;

		if (s[i].sh_type == SHT_PROGBITS && (s[i].sh_flags & SHF_EXECINSTR) &&
		    s[i].sh_offset >= p->p_offset && at <= p->p_filesz &&
		    s[i].sh_size <= p->p_filesz - at)
			section_soon(v, hva + at, s[i].sh_size);
	}
}

static void segment_soon(struct vm *v, const struct elf *e, const Elf64_Phdr *p, uint8_t *hva)
{
	if (p->p_flags & PF_W)
		vm_memory_soon(v, hva, p->p_filesz);
	else
		code_soon(v, e, p, hva);
}

static int segments_load(struct vm *v, const struct elf *e, struct vm_kernel *k)
{
	for (unsigned i = 0; i < e->head.e_phnum; i++) {
		const Elf64_Phdr *p = &e->phdr[i];
		uint8_t *hva;
		int r;

		if (p->p_type != PT_LOAD || !p->p_memsz)
			continue;
		r = segment_check(e, p);
		if (r < 0)
			return r;
		hva = p->p_paddr >= VM_HIGH_GPA ? mem_at(&v->mem, p->p_paddr, p->p_memsz) : NULL;
		if (!hva)
			return bad("does not fit into the VM's memory");
		r = segment_load(v, e, p, hva);
		if (r < 0)
			return r;
		segment_soon(v, e, p, hva);
		k->begin = k->end ? MIN(k->begin, p->p_paddr) : p->p_paddr;
		k->end = MAX(k->end, p->p_paddr + p->p_memsz);
	}
	return k->end ? 0 : bad("nothing to load");
}

/*
 * The first block that Linux's page allocator breaks is the lowest whole one, of 4 MiB
 * (MAX_PAGE_ORDER), for what it can reclaim: 17 pages of a boot. Where the kernel ends it may have
 * little more than its end.
 */
static void surroundings_sparse(const struct vm *v, const struct vm_kernel *k)
{
	if (k->begin >= 2 * BLOCK)
		vm_memory_sparse(v, BLOCK, HUGE_PAGE);
	if (k->end % HUGE_PAGE < HUGE_PAGE / 2)
		vm_memory_sparse(v, k->end / HUGE_PAGE * HUGE_PAGE, HUGE_PAGE);
}

struct notes {
	uint64_t pvh; /* the entry, or 0 */
	bool of_linux;
};

static void note_read(const Elf64_Nhdr *n, const uint8_t *name, const uint8_t *desc,
		      struct notes *ret)
{
	uint32_t entry;

	if (n->n_type == XEN_ELFNOTE_PHYS32_ENTRY && n->n_namesz == 4 &&
	    memcmp(name, "Xen", 4) == 0 && n->n_descsz >= sizeof(entry) && !ret->pvh) {
		memcpy(&entry, desc, sizeof(entry));
		ret->pvh = entry;
	}
	if (n->n_namesz == 6 && memcmp(name, "Linux", 6) == 0)
		ret->of_linux = true;
}

/* One PT_NOTE segment of @len bytes. */
static void notes_read(const uint8_t *data, size_t len, struct notes *ret)
{
	size_t off = 0;

	while (len - off >= sizeof(Elf64_Nhdr)) {
		Elf64_Nhdr n;
		size_t name, desc;

		memcpy(&n, data + off, sizeof(n));
		name = off + sizeof(n);
		if (n.n_namesz > NOTE_MAX || n.n_descsz > NOTE_MAX)
			return;
		desc = name + ROUND_UP(n.n_namesz, 4u);
		if (desc + n.n_descsz > len)
			return;
		note_read(&n, data + name, data + desc, ret);
		off = MIN(len, desc + ROUND_UP(n.n_descsz, 4u));
	}
}

static struct notes notes_of(const struct elf *e)
{
	uint8_t data[NOTE_MAX];
	struct notes all = { 0 };

	for (unsigned i = 0; i < e->head.e_phnum; i++) {
		const Elf64_Phdr *p = &e->phdr[i];
		size_t len = MIN(p->p_filesz, (uint64_t)sizeof(data));

		if (p->p_type == PT_NOTE &&
		    fd_pread_full(e->fd, data, len, (off_t)p->p_offset) == (ssize_t)len)
			notes_read(data, len, &all);
	}
	return all;
}

int vm_kernel_check(int fd, bool pvh)
{
	struct elf e = { 0 };
	int r = elf_open(&e, fd);

	for (unsigned i = 0; r == 0 && i < e.head.e_phnum; i++)
		if (e.phdr[i].p_type == PT_LOAD)
			r = segment_check(&e, &e.phdr[i]);
	if (r == 0 && pvh && !notes_of(&e).pvh)
		r = bad("it has no PVH entry (CONFIG_PVH), by which QEMU starts a vmlinux");
	return r;
}

int vm_kernel_load(struct vm *v, int fd, struct vm_kernel *ret)
{
	struct vm_kernel k = { 0 };
	struct elf e = { 0 };
	struct notes notes;
	int r = elf_open(&e, fd);

	if (r < 0)
		return r;
	r = segments_load(v, &e, &k);
	if (r < 0)
		return r;
	surroundings_sparse(v, &k);
	notes = notes_of(&e);
	/*
	 * A vmlinux of Linux has both. By PVH it asks 256 leaves of CPUID for Xen, an exit each
	 * (docs/KERNEL.md).
	 */
	k.pvh = notes.pvh && !notes.of_linux;
	k.entry = k.pvh ? notes.pvh : e.head.e_entry;
	if (!mem_at(&v->mem, k.entry, 1))
		return bad("entry outside the VM's memory");
	*ret = k;
	return 0;
}
