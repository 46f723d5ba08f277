/* SPDX-License-Identifier: Apache-2.0 */
/* Kernels and modules made byte by byte, as far as an import looks at them. */
#ifndef TESTS_IMAGESTORE_KERNEL_KIT_H
#define TESTS_IMAGESTORE_KERNEL_KIT_H

#include "base/buf.h"
#include "base/mem.h"
#include <assert.h>
#include <elf.h>
#include <string.h>
#include <zlib.h>

/* Where a bzImage of ours has its payload: behind one sector of setup and a gap. */
#define KIT_PAYLOAD 0x500u

static inline void kernel_kit_put32(uint8_t *p, uint32_t v)
{
	memcpy(p, &v, sizeof(v));
}

static inline void kernel_kit_elf(struct buf *b, uint16_t type)
{
	const Elf64_Ehdr h = { .e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64,
					    ELFDATA2LSB, EV_CURRENT },
			       .e_type = type,
			       .e_machine = EM_X86_64,
			       .e_version = EV_CURRENT,
			       .e_ehsize = sizeof(Elf64_Ehdr),
			       .e_shentsize = sizeof(Elf64_Shdr) };

	buf_add(b, &h, sizeof(h));
}

/* @words is what a kernel says somewhere. */
static inline void kernel_kit_vmlinux(struct buf *b, const char *release, const char *words)
{
	kernel_kit_elf(b, ET_EXEC);
	buf_zero(b, 5000);
	buf_addf(b, "Linux version %%s (%%s)%cLinux version %s (somebody)%c%s", 0, release, 0,
		 words);
	buf_zero(b, 100);
}

static inline void kernel_kit_gzip(struct buf *b, const void *data, size_t len)
{
	z_stream z = { .next_in = (void *)data, .avail_in = (unsigned)len };
	uint8_t *out = buf_reserve(b, len + 1000);

	z.next_out = out;
	z.avail_out = (unsigned)len + 1000;
	if (deflateInit2(&z, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK ||
	    deflate(&z, Z_FINISH) != Z_STREAM_END)
		abort();
	b->len += z.total_out;
	deflateEnd(&z);
}

/* A bzImage of protocol 2.15 whose payload is a gzipped vmlinux. */
static inline void kernel_kit_bzimage(struct buf *b, const char *release, const char *words)
{
	_buf_done_ struct buf vmlinux = { 0 }, payload = { 0 };
	uint8_t *h;

	kernel_kit_vmlinux(&vmlinux, release, words);
	kernel_kit_gzip(&payload, vmlinux.data, vmlinux.len);
	buf_zero(b, KIT_PAYLOAD);
	h = (uint8_t *)b->data;
	h[0x1f1] = 1; /* sectors of setup behind the first */
	h[0x1fe] = 0x55;
	h[0x1ff] = 0xaa;
	memcpy(h + 0x202, "HdrS", 4);
	h[0x206] = 0x0f; /* 2.15 */
	h[0x207] = 0x02;
	h[0x236] = 1; /* XLF_KERNEL_64 */
	kernel_kit_put32(h + 0x248, KIT_PAYLOAD - 2 * 512);
	kernel_kit_put32(h + 0x24c, (uint32_t)payload.len);
	buf_add(b, payload.data, payload.len);
}

/* A module that needs @depends ("a,b"). */
static inline void kernel_kit_module(struct buf *b, const char *depends)
{
	static const char names[] = "\0.modinfo\0.shstrtab";
	_buf_done_ struct buf info = { 0 };
	Elf64_Shdr s[3] = { { 0 } };
	Elf64_Ehdr *h;

	buf_addf(&info, "license=GPL%cdepends=%s%cname=x%c", 0, depends, 0, 0);
	kernel_kit_elf(b, ET_REL);
	s[1] = (Elf64_Shdr){
		.sh_name = 1, .sh_type = SHT_PROGBITS, .sh_offset = b->len, .sh_size = info.len
	};
	buf_add(b, info.data, info.len);
	s[2] = (Elf64_Shdr){
		.sh_name = 10, .sh_type = SHT_STRTAB, .sh_offset = b->len, .sh_size = sizeof(names)
	};
	buf_add(b, names, sizeof(names));
	h = (Elf64_Ehdr *)b->data;
	h->e_shoff = b->len;
	h->e_shnum = 3;
	h->e_shstrndx = 2;
	buf_add(b, s, sizeof(s));
}

#endif
