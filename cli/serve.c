/* SPDX-License-Identifier: Apache-2.0 */
/* strata serve: an image for another VMM. */
#include "base/err.h"
#include "base/fd.h"
#include "cli/cli.h"
#include <signal.h>
#include <sys/signalfd.h>

/* Readable when it is time to stop. */
static int open_stop(void)
{
	sigset_t set;
	int fd;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return err_sys("signals");
	fd = signalfd(-1, &set, SFD_CLOEXEC);
	return fd < 0 ? err_sys("signalfd") : fd;
}

int verb_serve(struct cli *c, int argc, char **argv)
{
	struct serve_options o = { 0 };
	const struct option_def options[] = {
		{ 0, "vhost-user", OPT_STR, &o.socket, "SOCK", "listen here (mode 0600)" },
		{ 'r', "read-only", OPT_FLAG, &o.read_only, NULL, "no writable top" },
		{ 0, "once", OPT_FLAG, &o.once, NULL, "end when the first VMM hangs up" },
		{ 0 },
	};
	const struct usage u = { "serve",
				 "--vhost-user SOCK [OPTIONS] IMAGE",
				 "Serves an image to QEMU's vhost-user-fs; a writable top is "
				 "dropped at the end.",
				 options,
				 1,
				 1,
				 false };
	_close_ int stop_fd = -1;
	int status, r;

	if (options_parse(&u, argc, argv, &argv, &status))
		return status;
	if (!o.socket)
		return cli_fail_text("serve: --vhost-user SOCK is missing");
	o.image = argv[0];
	if (!cli_engine(c, STORE_CREATE))
		return EXIT_ERROR;
	stop_fd = open_stop();
	if (stop_fd < 0)
		return cli_fail(stop_fd);
	r = engine_serve(c->engine, &o, stop_fd);
	return r < 0 ? cli_fail(r) : 0;
}
