/* SPDX-License-Identifier: Apache-2.0 */
/* strata ps: lists instances. */
#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "cli/cli.h"
#include "cli/listing.h"
#include "cli/util.h"
#include <stdio.h>

struct ps_list {
	struct listing rows;
	bool quiet, all;
};

static void ps_list_done(struct ps_list *l)
{
	listing_done(&l->rows);
}

static void status_text(const struct ps_entry *p, char *buf, size_t size)
{
	const struct inst_state *s = p->state;

	switch (s->status) {
	case INST_STOPPED:
		if (p->checkpointed)
			snprintf(buf, size, "checkpointed");
		else if (s->exit_code < 0)
			snprintf(buf, size, "stopped (killed)");
		else
			snprintf(buf, size, "exited (%d) %s%s", s->exit_code,
				 cli_ago(s->finished.tv_sec).s,
				 s->oom_killed ? ", out of memory" : "");
		break;
	case INST_RUNNING:
		snprintf(buf, size, "running, started %s", cli_ago(s->started.tv_sec).s);
		break;
	default:
		snprintf(buf, size, "%s", inst_status_name(s->status));
	}
}

static char *join_command(char *const *argv)
{
	char text[64] = "";
	size_t len = 0;

	for (size_t i = 0; argv && argv[i] && len < sizeof(text); i++)
		len += snprintf(text + len, sizeof(text) - len, "%s%s", i ? " " : "", argv[i]);
	return strdup(text);
}

static int list_one(void *ctx, const struct ps_entry *p)
{
	struct ps_list *l = ctx;
	_free_ char *command = join_command(p->command);
	char status[96];

	if (!l->all && p->state->status == INST_STOPPED)
		return 0;
	status_text(p, status, sizeof(status));
	if (l->rows.json)
		json_array_append_new(
			l->rows.json,
			json_pack("{s:s, s:s, s:s, s:s, s:s, s:o, s:s, s:i, s:i, s:b, s:s, s:O*}",
				  "id", p->id, "name", p->name, "image", p->image, "kind", p->kind,
				  "driver", p->driver, "command", json_from_strv(p->command),
				  "status", inst_status_name(p->state->status), "pid",
				  (int)p->state->pid, "exitCode", p->state->exit_code,
				  "checkpointed", (int)p->checkpointed, "created",
				  clock_text(p->state->created).s, "labels", p->labels));
	else if (l->quiet)
		printf("%s\n", p->id);
	else
		table_row(l->rows.table,
			  (const char *[]){ p->id, p->image, p->kind, command,
					    cli_ago(p->state->created.tv_sec).s, status, p->name });
	return 0;
}

int verb_ps(struct cli *c, int argc, char **argv)
{
	const char *format = NULL;
	_cleanup_(ps_list_done) struct ps_list l = { 0 };
	const struct option_def options[] = {
		{ 'a', "all", OPT_FLAG, &l.all, NULL, "also the stopped ones" },
		{ 'q', "quiet", OPT_FLAG, &l.quiet, NULL, "print only the ids" },
		{ 0, "format", OPT_STR, &format, "FORMAT", "table (default) or json" },
		{ 0 },
	};
	const struct usage u = {
		"ps", "[OPTIONS]", "Lists instances: containers, microVMs and mounts.", options, 0,
		0,    false
	};
	int status, r;

	if (options_parse(&u, argc, argv, &argv, &status))
		return status;
	if (listing_init(&l.rows, format,
			 (const char *[]){ "ID", "IMAGE", "KIND", "COMMAND", "CREATED", "STATUS",
					   "NAME", NULL }) < 0 ||
	    !cli_engine(c, STORE_CREATE))
		return EXIT_ERROR;
	r = engine_revive(c->engine);
	if (r >= 0)
		r = engine_ps(c->engine, list_one, &l);
	if (r < 0)
		return cli_fail(r);
	if (l.rows.json || !l.quiet)
		listing_print(&l.rows);
	return 0;
}
