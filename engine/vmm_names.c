/* SPDX-License-Identifier: Apache-2.0 */
/* Who a VMM is, and what it is handed is called. */
#include "engine/vmm.h"

#include "base/err.h"
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#define HOST_BASE 0x7e000000u /* 24 bits of ids up, no distribution has users there */

uid_t vmm_uid_base(const struct run_spec *s)
{
	/* The upper half, where images seldom have users. */
	return s->ids ? s->ids / 2 : HOST_BASE;
}

uid_t vmm_uid(const struct run_spec *s)
{
	char digits[7];
	uint32_t n;

	snprintf(digits, sizeof(digits), "%.6s", s->id);
	n = (uint32_t)strtoul(digits, NULL, 16);
	return vmm_uid_base(s) + (s->ids ? n % (s->ids - s->ids / 2) : n);
}

struct vmm_tag vmm_volume_tag(size_t i)
{
	struct vmm_tag t;

	snprintf(t.s, sizeof(t.s), "volume%u", (unsigned)(i % 1000000));
	return t;
}

int vmm_give_away(int fd, uid_t uid)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_sys("snapshot");
	return st.st_uid != uid && fchownat(fd, "", uid, uid, AT_EMPTY_PATH) < 0 ?
		       err_sys("snapshot") :
		       0;
}
