/* SPDX-License-Identifier: Apache-2.0 */
/* strata mount, umount: an image as a folder. */
#include "base/err.h"
#include "base/mem.h"
#include "cli/cli.h"
#include <stdio.h>
#include <sys/stat.h>

/* Waits for the supervisor's word; the mount goes on without us. */
static int wait_mounted(struct run *run)
{
	struct run_report report = { 0 };
	int r = run_next(run, &report);

	if (r == 1 && report.kind == RUN_STARTED) {
		printf("%s\n", inst_id(run->inst));
		return 0;
	}
	if (r == 1)
		return cli_fail_text("%s", report.text);
	return cli_fail_text("mount: the supervisor was killed");
}

static int reload(struct cli *c, char **argv)
{
	int r;

	if (argv[1])
		return cli_fail_text("mount --reload takes one folder; see `strata mount --help`");
	if (!cli_engine(c, STORE_CREATE))
		return EXIT_ERROR;
	r = engine_mount_reload(c->engine, argv[0]);
	return r < 0 ? cli_fail(r) : 0;
}

int verb_mount(struct cli *c, int argc, char **argv)
{
	bool again = false;
	struct run_options o = { .kind = RUN_MOUNT, .detach = true, .rm = true, .driver = "fuse" };
	const struct option_def options[] = {
		{ 0, "name", OPT_STR, &o.name, "NAME",
		  "keep the top under this name when it is unmounted" },
		{ 0, "verify", OPT_STR, &o.verify, "open|never",
		  "compare stored bytes with their digests when read first (open)" },
		{ 0, "read-only", OPT_FLAG, &o.read_only, NULL, "no writable top" },
		{ 0, "reload", OPT_FLAG, &again, NULL,
		  "only DIR is given: replaces the file server of that mount by the program "
		  "installed now" },
		{ 0 },
	};
	const struct usage u = { "mount",
				 "[OPTIONS] IMAGE DIR | --reload DIR",
				 "Mounts an image with a writable top; prints the mount's id.",
				 options,
				 1,
				 2,
				 false };
	_free_ char *dir = NULL;
	struct stat st;
	struct run run;
	int status, r;

	if (options_parse(&u, argc, argv, &argv, &status))
		return status;
	if (again)
		return reload(c, argv);
	if (!argv[1])
		return cli_fail_text("mount: DIR is missing; see `strata mount --help`");
	o.image = argv[0];
	o.rm = !o.name;
	dir = realpath(argv[1], NULL);
	if (!dir)
		return cli_fail_text("mount point %s: %s", argv[1], strerror(errno));
	if (stat(dir, &st) < 0 || !S_ISDIR(st.st_mode))
		return cli_fail_text("mount point %s: not a directory", argv[1]);
	o.mountpoint = dir;
	if (!cli_engine(c, STORE_CREATE))
		return EXIT_ERROR;
	r = engine_run(c->engine, &o, &run);
	if (r < 0)
		return cli_fail(r);
	status = wait_mounted(&run);
	run_done(&run);
	return status;
}

int verb_umount(struct cli *c, int argc, char **argv)
{
	const struct option_def options[] = { { 0 } };
	const struct usage u = { "umount", "DIR...", "Unmounts what `strata mount` mounted.",
				 options,  1,	     -1,
				 false };
	int status, worst = 0;

	if (options_parse(&u, argc, argv, &argv, &status))
		return status;
	if (!cli_engine(c, STORE_CREATE))
		return EXIT_ERROR;
	for (; *argv; argv++) {
		int r = engine_umount(c->engine, *argv);

		if (r < 0)
			worst = cli_fail(r);
	}
	return worst;
}
