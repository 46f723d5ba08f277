/* SPDX-License-Identifier: Apache-2.0 */
#include "layer/erofs.h"

#include <dirent.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

uint32_t erofs_encode_dev(uint64_t rdev)
{
	uint32_t ma = major(rdev), mi = minor(rdev);

	return (mi & 0xff) | ma << 8 | (mi & ~0xffu) << 12;
}

uint64_t erofs_decode_dev(uint32_t dev)
{
	return makedev((dev & 0xfff00) >> 8, (dev & 0xff) | ((dev >> 12) & 0xfff00));
}

uint8_t erofs_type_of_mode(uint32_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFREG:
		return 1;
	case S_IFDIR:
		return 2;
	case S_IFCHR:
		return 3;
	case S_IFBLK:
		return 4;
	case S_IFIFO:
		return 5;
	case S_IFSOCK:
		return 6;
	case S_IFLNK:
		return 7;
	}
	return 0;
}

uint8_t erofs_type_to_dt(uint8_t type)
{
	static const uint8_t dt[] = { DT_UNKNOWN, DT_REG,  DT_DIR,  DT_CHR,
				      DT_BLK,	  DT_FIFO, DT_SOCK, DT_LNK };

	return type < sizeof(dt) ? dt[type] : DT_UNKNOWN;
}
