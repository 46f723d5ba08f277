/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where something of a container runs beside us it could overwrite this program through
 * /proc/PID/exe (CVE-2019-5736): who joins one, or makes one that shares processes with others,
 * executes itself from a read-only mount first.
 */
#include "base/err.h"
#include "base/fd.h"
#include "container/container.h"
#include "oci/folder.h"
#include <sys/statvfs.h>

int oci_protect(char *const *argv)
{
	struct statvfs fs;
	_close_ int fd = -1;

	if (statvfs("/proc/self/exe", &fs) == 0 && fs.f_flag & ST_RDONLY)
		return 0;
	fd = ctr_program_open("/proc/self/exe");
	if (fd < 0)
		return fd;
	fexecve(fd, argv, environ);
	return err_sys("cannot execute strata-oci from a mount of its own");
}
