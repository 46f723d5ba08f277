/* SPDX-License-Identifier: Apache-2.0 */
/* strata run: starts an instance, and in the foreground stands for it until it has ended. */
#include "base/detach_keys.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/str.h"
#include "cli/cidfile.h"
#include "cli/cli.h"
#include "cli/foreground.h"
#include "cli/run_options.h"
#include "cli/run_pull.h"
#include <unistd.h>
#include <stdio.h>

/* What there is to say of an instance that has just been made; its command runs whatever fails. */
static void tell(const struct engine *e, struct cidfile *cid, const char *id)
{
	int r = cidfile_write(cid, id);

	if (engine_note(e))
		fprintf(stderr, "strata: %s\n", engine_note(e));
	if (r < 0)
		cli_fail(r);
}

static int foreground(struct engine *e, const struct run_options *o, struct cidfile *cid)
{
	_close_ int signals = foreground_signals();
	struct run run;
	int status, r = signals < 0 ? signals : engine_run(e, o, &run);

	if (r < 0)
		return cli_fail(r);
	tell(e, cid, inst_id(run.inst));
	status = foreground_run(&run, signals, o->tty);
	run_done(&run);
	return status;
}

static int run_image(struct cli *c, struct run_options *o, struct cidfile *cid)
{
	struct detach_keys keys;
	struct run run;
	int status, r;

	if (detach_keys_parse(o->detach_keys, &keys) < 0)
		return cli_fail_text("run: --detach-keys cannot be %s", o->detach_keys);
	if (o->tty && !o->detach && (!isatty(0) || !isatty(1)))
		return cli_fail_text("run: -t needs a terminal as standard input and output");
	if (!o->detach)
		return foreground(c->engine, o, cid);
	r = engine_run(c->engine, o, &run);
	if (r < 0)
		return cli_fail(r);
	tell(c->engine, cid, inst_id(run.inst));
	status = foreground_started(&run, inst_id(run.inst));
	run_done(&run);
	return status;
}

static int create_image(struct cli *c, struct run_options *o, struct cidfile *cid)
{
	char id[INST_ID_LEN + 1];
	int r;

	o->detach = true; /* nobody of its first days will be there to read what it prints */
	r = engine_create(c->engine, o, id);
	if (r < 0)
		return cli_fail(r);
	tell(c->engine, cid, id);
	printf("%s\n", id);
	return 0;
}

static int verb(struct cli *c, int argc, char **argv, bool create)
{
	_cleanup_(cidfile_close) struct cidfile cid = { .fd = -1 };
	struct run_asked *asked;
	int status, r;

	if (run_options_parse(create, argc, argv, &asked, &status))
		return status;
	if (!cli_root_engine(c, NULL))
		return EXIT_ERROR;
	r = cidfile_open(asked->cidfile, &cid);
	if (r < 0)
		return cli_fail(r);
	if (run_pull(c, &asked->o, asked->pull))
		return EXIT_ERROR;
	return create ? create_image(c, &asked->o, &cid) : run_image(c, &asked->o, &cid);
}

int verb_run(struct cli *c, int argc, char **argv)
{
	return verb(c, argc, argv, false);
}

int verb_create(struct cli *c, int argc, char **argv)
{
	return verb(c, argc, argv, true);
}
