/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a module needs: "depends=a,b" of its section .modinfo (Linux scripts/mod/modpost.c). A
 * package has no modules.dep, which depmod(8) makes of this where it is installed.
 */
#include "imagestore/kernel_.h"

#include <elf.h>

#define SECTIONS_MAX 4096u
#define DEPENDS_MAX  64u

static int bad(void)
{
	return err(-EBADMSG, "not a module for x86-64, or damaged");
}

/* A section of the file, checked to lie in it. */
static const uint8_t *section(const uint8_t *data, size_t len, const Elf64_Ehdr *h, unsigned i,
			      Elf64_Shdr *ret)
{
	memcpy(ret, data + h->e_shoff + i * sizeof(*ret), sizeof(*ret));
	return ret->sh_offset <= len && ret->sh_size <= len - ret->sh_offset ?
		       data + ret->sh_offset :
		       NULL;
}

static int read_head(const uint8_t *data, size_t len, Elf64_Ehdr *h)
{
	if (len < sizeof(*h))
		return bad();
	memcpy(h, data, sizeof(*h));
	if (memcmp(h->e_ident, ELFMAG, SELFMAG) != 0 || h->e_ident[EI_CLASS] != ELFCLASS64 ||
	    h->e_machine != EM_X86_64 || h->e_type != ET_REL ||
	    h->e_shentsize != sizeof(Elf64_Shdr) || h->e_shnum > SECTIONS_MAX ||
	    h->e_shstrndx >= h->e_shnum || h->e_shoff > len ||
	    h->e_shnum * sizeof(Elf64_Shdr) > len - h->e_shoff)
		return bad();
	return 0;
}

static const uint8_t *find_modinfo(const uint8_t *data, size_t len, size_t *ret_len)
{
	static const char want[] = ".modinfo";
	Elf64_Shdr names, s;
	Elf64_Ehdr h;
	const uint8_t *text;

	if (read_head(data, len, &h) < 0)
		return NULL;
	text = section(data, len, &h, h.e_shstrndx, &names);
	for (unsigned i = 0; text && i < h.e_shnum; i++) {
		const uint8_t *p = section(data, len, &h, i, &s);

		if (!p || s.sh_type == SHT_NOBITS || s.sh_name > names.sh_size ||
		    names.sh_size - s.sh_name < sizeof(want) ||
		    memcmp(text + s.sh_name, want, sizeof(want)) != 0)
			continue;
		*ret_len = s.sh_size;
		return p;
	}
	bad();
	return NULL;
}

/* "a,b": names of up to 55 letters each (MODULE_NAME_LEN). */
static int split(const char *list, char ***ret)
{
	_strv_free_ char **names = NULL;

	for (unsigned n = 0; *list; n++) {
		size_t len = strcspn(list, ",");
		int r = n < DEPENDS_MAX && len < 56 ? 0 : bad();

		if (r == 0 && len)
			r = strv_addf(&names, "%.*s", (int)len, list);
		if (r < 0)
			return r;
		list += len + (list[len] == ',');
	}
	*ret = take_ptr(names);
	return 0;
}

int kernel_module_depends(const uint8_t *data, size_t len, char ***ret)
{
	size_t left = 0;
	const uint8_t *p = find_modinfo(data, len, &left);

	if (!p)
		return -EBADMSG;
	*ret = NULL;
	/* Strings with a NUL each, and more of them between for alignment. */
	while (left) {
		size_t n = strnlen((const char *)p, left);
		const char *list = n < left ? str_after((const char *)p, "depends=") : NULL;

		if (n == left)
			return bad();
		if (list)
			return split(list, ret);
		p += n + 1;
		left -= n + 1;
	}
	return 0;
}
