/* SPDX-License-Identifier: Apache-2.0 */
/* strata-unionfs: see engine/unionfs.c. */
#include "engine/engine.h"

#include <stdio.h>

static const char help[] =
	"usage: strata-unionfs [-f] [-d] [-s] -o OPTION[,OPTION...] MOUNTPOINT\n"
	"\n"
	"Mounts directories, one over the other, as kernel overlayfs does.\n"
	"\n"
	"  -f         stay in the foreground\n"
	"  -d         the same, and tell more\n"
	"  -s         one thread\n"
	"  --version, --help\n"
	"\n"
	"Options:\n"
	"  lowerdir=DIR[:DIR...]         topmost first; \\: is a colon, \\, a comma in a name\n"
	"  upperdir=DIR,workdir=DIR      what takes changes, and its folder; none: read-only\n"
	"  redirect_dir=on|off|nofollow  rename lower directories without a copy (off)\n"
	"  metacopy=on|off               chmod, chown... of a lower file copy no bytes (off)\n"
	"  volatile                      sync nothing\n"
	"  userxattr                     user.overlay.* for trusted.overlay.* (where it must)\n"
	"  uidmapping=STORED:SHOWN:COUNT[:...], gidmapping=...\n"
	"  squash_to_root, squash_to_uid=ID, squash_to_gid=ID\n"
	"  size=BYTES                    what the top may hold; k, m, g, t behind it\n"
	"  noacl, static_nlink, timeout=SECONDS, xino=on|off|auto, ro, rw\n"
	"  nodev, nosuid, noexec, noatime, context=LABEL, fsname=NAME, allow_other\n"
	"\n"
	"strata-unionfs(1) says more.\n";

int main(int argc, char **argv)
{
	int status;

	switch (unionfs_main(argc, argv, &status)) {
	case UNIONFS_HELP:
		fputs(help, stdout);
		break;
	case UNIONFS_VERSION:
		puts("strata-unionfs version " STRATA_VERSION);
		break;
	case UNIONFS_DONE:
		break;
	}
	if (fflush(stdout) != 0)
		return 1;
	return status;
}
