/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/kernel.h"
#include "base/err.h"
#include "base/proc.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int kernel_default(char **ret)
{
	const char *given = getenv("STRATA_KERNEL");
	int r;

	if (given && *given) {
		if (access(given, R_OK) < 0)
			return err_sys("guest kernel %s (from STRATA_KERNEL)", given);
		*ret = strdup(given);
		return *ret ? 0 : -ENOMEM;
	}
	r = proc_sibling("vmlinux", ret);
	if (r < 0) {
		err_clear();
		return err(
			r,
			"no guest kernel: build it by `make kernel`, or name one by --kernel or STRATA_KERNEL");
	}
	return 0;
}
