/* SPDX-License-Identifier: Apache-2.0 */
/* Kernels from inside the room: their folders and names, and what an import is made of. */
#ifndef IMAGESTORE_KERNEL__H
#define IMAGESTORE_KERNEL__H

#include "imagestore/txn.h"

/* ---- kernel.c ---- */

#define KERNEL_FOLDER  "kernel" /* of a transaction */
#define KERNEL_VMLINUX "vmlinux"
#define KERNEL_MODULES "modules"
#define KERNEL_RECORD  "record"

#define KERNEL_USER_MAX 129

int kernel_check_name(const char *name);
/* @name NULL: the folder. */
struct store_file kernel_file(const struct digest *id, const char *name);
/* Bytes of its files. */
uint64_t kernel_bytes_of(struct store *s, const struct digest *id);
/* Calls @fn for each name; @entry is what stands with it. */
int kernel_each_name(struct store *s,
		     int (*fn)(void *ctx, const char *name, const struct digest *id,
			       const json_t *entry, bool is_default),
		     void *ctx);
/* A record's text, checked; the caller frees. */
int kernel_record_read(struct store *s, const struct digest *id, json_t **ret);
/*
 * Moves the folder KERNEL of @t to its place, and names it; @name NULL: the names that it has stay.
 */
int kernel_publish(struct txn *t, const struct digest *id, const struct kernel_import *i,
		   const char *name);
/*
 * What it was imported from, as its name remembers it: *@ret is filled in, and borrows from @entry
 * but for ret->more, which the caller frees. -ENOENT: it was before that was remembered.
 */
int kernel_origin(const json_t *entry, struct kernel_import *ret);

/* ---- kernel_import.c ---- */

/* Imports @i in the place of the damaged or missing kernel @id; -ESTALE: it is another by now. */
int kernel_remake(struct store *s, const struct kernel_import *i, const struct digest *id);

/* ---- kernel_keep.c ---- */

/* The kernel that a top was noted to boot: false when it is none of the store's. */
bool snapshot_kernel(struct store *s, const char *id, struct digest *ret);
/* Whether a top boots it: its id in @ret. */
bool kernel_user(struct store *s, const struct digest *id, char ret[KERNEL_USER_MAX]);

/* ---- kernel_fsck.c ---- */

/* Whether record and files are what was imported: they are read. */
bool kernel_sound(struct store *s, const struct digest *id);

/* ---- kernel_image.c ---- */

#define KERNEL_IMAGE_MAX   (UINT64_C(512) << 20)
#define KERNEL_VERSION_MAX 65 /* what uname(2) has room for */

/*
 * Writes the ELF vmlinux that is @fd, or that is packed in the bzImage @fd, to the empty file @out.
 * -ENOEXEC: it is neither.
 */
int kernel_image_unpack(int fd, int out);

struct kernel_image {
	char version[KERNEL_VERSION_MAX];
	bool virtio_mmio;	       /* built in */
	bool mptable, cmdline_devices; /* how it may learn of its machine */
};
/* What a virtio_mmio that takes devices from the command line says somewhere. */
#define KERNEL_CMDLINE_DEVICES "virtio-mmio-cmdline"

/* What the vmlinux @fd says of itself. */
int kernel_image_look(int fd, struct kernel_image *ret);

/* ---- kernel_unpack.c ---- */

struct kernel_bytes {
	int fd;
	uint64_t off, len; /* a piece of it */
};
/*
 * Writes @from to @out, unpacked (gzip, bzip2, xz, lzma, lz4, zstd, or as it is), at most @max
 * bytes (-EFBIG). @what for the text. *@ret_len = how many.
 */
int kernel_unpack(const struct kernel_bytes *from, const char *what, int out, uint64_t max,
		  uint64_t *ret_len);

/* ---- kernel_module.c ---- */

#define KERNEL_MODULE_MAX (UINT64_C(64) << 20)

/* The modules that the module @data needs, by name, as strv; NULL: none. */
int kernel_module_depends(const uint8_t *data, size_t len, char ***ret);
/* ---- kernel_modules.c ---- */

/*
 * Packs what a microVM needs of the modules below the folder @dirfd, with all that they need, and
 * @more (strv), into an initramfs at @out (formats/guest.md): how many, 0 when all is built in.
 * Corrects what @k knows of virtio_mmio.
 */
int kernel_modules_pack(int dirfd, char *const *more, int out, struct kernel_image *k);

/* ---- kernel_deb.c ---- */

bool kernel_deb_is(int fd);
/*
 * Takes kernel, configuration and modules out of a Debian package into the empty folder @dirfd:
 * boot/vmlinuz-V and modules/, without folders in it.
 */
int kernel_deb_unpack(int fd, int dirfd);

#endif
