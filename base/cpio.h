/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Archives that Linux unpacks as its initramfs: cpio of the format "newc", not compressed (Linux
 * Documentation/driver-api/early-userspace/buffer-format.rst). An entry is a head, a name with its
 * NUL, and the content, the last two padded to CPIO_ALIGN; an entry CPIO_END ends an archive, and
 * another archive may follow, zeros before it.
 */
#ifndef BASE_CPIO_H
#define BASE_CPIO_H

#include <stdint.h>

#define CPIO_HEAD  110u /* "070701" and 13 numbers of 8 hexadecimal digits */
#define CPIO_ALIGN 4u
#define CPIO_END   "TRAILER!!!"

/*
 * The head of an entry, NUL-terminated: @mode with its type, @size bytes of content, a name of
 * @name_len bytes with its NUL.
 */
struct cpio_head {
	char s[CPIO_HEAD + 1];
};
struct cpio_head cpio_head(unsigned mode, uint32_t size, uint32_t name_len);

#endif
