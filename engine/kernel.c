/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/kernel.h"

#include "base/err.h"
#include "base/fd.h"
#include "base/proc.h"
#include "base/str.h"
#include <stdlib.h>

static int shipped(struct kernel_files *ret)
{
	int r = proc_sibling("vmlinux", &ret->vmlinux);

	if (r >= 0)
		return 0;
	err_clear();
	return err(r, "no guest kernel: `strata kernel build` or `strata kernel import` gets one, "
		      "--kernel and STRATA_KERNEL name one");
}

static int of_file(const char *path, struct kernel_files *ret)
{
	ret->vmlinux = realpath(path, NULL);
	return ret->vmlinux ? 0 : err_sys("guest kernel %s", path);
}

static int of_store(struct store *s, const char *name, struct kernel_files *ret)
{
	return s ? kernel_find(s, name, ret) : -ENOENT;
}

/* The store's default, else the shipped one. */
static int of_nobody(struct store *s, struct kernel_files *ret)
{
	int r = of_store(s, NULL, ret);

	return r == -ENOENT ? shipped(ret) : r;
}

/* A name in the store, else a file here. */
static int of_word(struct store *s, const char *word, struct kernel_files *ret)
{
	int r = of_store(s, word, ret);

	if (r != -ENOENT)
		return r;
	return access(word, F_OK) == 0 ?
		       of_file(word, ret) :
		       err(r, "no kernel %s: `strata kernel list` has the names", word);
}

int kernel_choose(struct store *s, const char *word, struct kernel_files *ret)
{
	struct kernel_files f = { 0 };
	int r;

	word = word ? word : getenv("STRATA_KERNEL");
	if (!word || !*word)
		r = of_nobody(s, &f);
	else if (strchr(word, '/'))
		r = of_file(word, &f);
	else if (streq(word, KERNEL_SHIPPED))
		r = shipped(&f);
	else
		r = of_word(s, word, &f);
	if (r < 0) {
		kernel_files_done(&f);
		return r;
	}
	*ret = f;
	return 0;
}
