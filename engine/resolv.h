/* SPDX-License-Identifier: Apache-2.0 */
/* The host's resolvers, for an instance to which the host's loopback is another one. */
#ifndef ENGINE_RESOLV_H
#define ENGINE_RESOLV_H

#include "base/buf.h"
#include <stdint.h>

/*
 * The host's resolv.conf(5) without the nameservers that only the host reaches: those at 127/8, and
 * any of IPv6, which a bridge does not carry. When none is left, the one that systemd-resolved
 * writes for such a case. The caller frees *@ret; @ret_first is its first nameserver, or 0.0.0.0.
 */
int resolv_read(char **ret, uint8_t ret_first[4]);
/*
 * Such a file's @text without them, each line with an end, in place of *@ret: how many nameservers
 * are left, or -ENOMEM. Of these the first goes to @ret_first, which is let alone when none is.
 */
int resolv_filter(const char *text, char **ret, uint8_t ret_first[4]);
/*
 * Such a file's @text with other nameservers, search domains (strv; "." is none at all) or options,
 * each where there are any; added to @b, whose b->failed tells of missing memory: -ENOMEM.
 */
int resolv_change(const char *text, char *const *servers, char *const *search, char *const *options,
		  struct buf *b);

#endif
