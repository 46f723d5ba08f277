/* SPDX-License-Identifier: Apache-2.0 */
/*
 * "linux.seccomp" as a filter, by libseccomp. Compiling an engine's default profile takes some ten
 * milliseconds, and it is the same for every container: the result is kept under the profile's
 * digest in the folder @cache (-1 = nowhere).
 */
#ifndef OCI_SECCOMP_H
#define OCI_SECCOMP_H

#include "oci/config.h"
#include <linux/filter.h>

int oci_seccomp(struct keep *mem, const json_t *profile, int cache, struct sock_fprog *ret,
		unsigned int *ret_flags);
/* Names, for `features`; NULL behind the last. */
const char *oci_seccomp_action(unsigned n);
const char *oci_seccomp_op(unsigned n);
const char *oci_seccomp_arch(unsigned n);

#endif
