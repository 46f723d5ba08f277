/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kernels that microVMs boot: ROOT/kernels/<id>/ (docs/formats/store.md), by names. Part of
 * imagestore.h.
 *
 * One that a top of an instance stands on stays until that is gone, whatever becomes of its name.
 */
#ifndef IMAGESTORE_KERNEL_H
#define IMAGESTORE_KERNEL_H

#include "base/sha256.h"
#include <stdbool.h>
#include <stdint.h>

struct store;

/* ---- read side ---- */

#define KERNEL_SHIPPED \
	"shipped" /* the one beside our programs: no kernel of the store's is so called */

struct kernel {
	const char *name, *version; /* its release: "6.1.0-57-cloud-amd64" */
	const char *source;	    /* what it was imported from, or how it was built */
	struct digest id;
	uint64_t size;	 /* bytes of all its files */
	int64_t created; /* when it got its name, seconds since 1970 */
	bool modules;	 /* an initramfs of modules goes with it */
	bool acpi;	 /* it learns of its machine by ACPI */
	bool is_default;
};
/* In the order of names; ends early on a value of @fn's other than 0 and gives it. */
int kernel_each(struct store *s, int (*fn)(void *ctx, const struct kernel *k), void *ctx);

struct kernel_files {
	char *vmlinux, *modules; /* paths; modules may be NULL */
	bool acpi;
};
/* @name NULL: the default. -ENOENT without a text; the caller ends it with kernel_files_done(). */
int kernel_find(struct store *s, const char *name, struct kernel_files *ret);
void kernel_files_done(struct kernel_files *f);

/* Makes @name the default; NULL: none is any more. */
int kernel_use(struct store *s, const char *name);
/*
 * Takes the name away, and with the last one the kernel. -EBUSY: a top of an instance stands on it,
 * unless @force. -EPERM: KERNEL_SHIPPED, which is no store's.
 */
int kernel_remove(struct store *s, const char *name, bool force);

/* Notes that the instance with the top @id boots the file @vmlinux, which may be any. */
int snapshot_note_kernel(struct store *s, const char *id, const char *vmlinux);

/* ---- write side ---- */

struct kernel_import {
	const char *path; /* a vmlinux, a bzImage, a Debian package, or a folder with one of them */
	const char *name; /* NULL: its release */
	const char *source;  /* NULL: @path */
	const char *modules; /* the folder of its modules; NULL: sought beside it */
	char *const *more;   /* strv: modules beside those that every microVM needs */
	bool no_modules;
	bool use; /* it becomes the default */
};
/*
 * Takes a kernel into the store, and gives it a name, which another one loses. What it is made of
 * is not trusted; -EBADMSG and the like say what is wrong with it. The caller frees *@ret_name.
 */
int kernel_import(struct store *s, const struct kernel_import *i, char **ret_name);

struct kernel_release {
	char s[65]; /* what uname(2) has room for */
};
/* Of a vmlinux. */
int kernel_release_of(const char *path, struct kernel_release *ret);

#endif
