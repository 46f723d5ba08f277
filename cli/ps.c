/* SPDX-License-Identifier: Apache-2.0 */
/* strata ps: lists instances. */
#include "base/buf.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "cli/cli.h"
#include "cli/listing.h"
#include "cli/ps_filter.h"
#include "cli/util.h"
#include <errno.h>
#include <stdio.h>

/* One to be shown. */
struct row {
	struct timespec created;
	json_t *json; /* or NULL, and then */
	char **cells; /* strv: of the table, the id first */
};

struct ps_list {
	struct listing out;
	struct ps_filter filter;
	struct row *rows;
	size_t nrows, cap;
	bool quiet, all, no_trunc;
};

static void ps_list_done(struct ps_list *l)
{
	for (size_t i = 0; i < l->nrows; i++) {
		json_decref(l->rows[i].json);
		strv_free(l->rows[i].cells);
	}
	free(l->rows);
	ps_filter_done(&l->filter);
	listing_done(&l->out);
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

#define COMMAND_MAX 63 /* bytes of it, unless --no-trunc */

static char *join_command(char *const *argv, bool whole)
{
	_buf_done_ struct buf b = { 0 };

	buf_adds(&b, "");
	for (size_t i = 0; i < strv_len(argv); i++)
		buf_addf(&b, "%s%s", i ? " " : "", argv[i]);
	if (!whole && b.len > COMMAND_MAX)
		b.data[COMMAND_MAX] = '\0';
	return buf_take(&b);
}

static json_t *entry_json(const struct ps_entry *p)
{
	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:o, s:s, s:i, s:i, s:b, s:s, s:O*}", "id",
			 p->id, "name", p->name, "image", p->image, "kind", p->kind, "driver",
			 p->driver, "command", json_from_strv(p->command), "status",
			 inst_status_name(p->state->status), "pid", (int)p->state->pid, "exitCode",
			 p->state->exit_code, "checkpointed", (int)p->checkpointed, "created",
			 clock_text(p->state->created).s, "labels", p->labels);
}

static int entry_cells(const struct ps_entry *p, bool whole, char ***ret)
{
	_free_ char *command = join_command(p->command, whole);
	char status[96];
	const struct ago ago = cli_ago(p->state->created.tv_sec);
	const char *const cells[] = { p->id, p->image, p->kind, command ? command : "",
				      ago.s, status,   p->name };
	int r = 0;

	status_text(p, status, sizeof(status));
	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(cells); i++)
		r = strv_add(ret, cells[i]);
	return r;
}

static int gather_one(void *ctx, const struct ps_entry *p)
{
	struct ps_list *l = ctx;
	struct row *row;

	if ((!l->all && p->state->status == INST_STOPPED) || !ps_filter_match(&l->filter, p))
		return 0;
	if (mem_grow(&l->rows, &l->cap, l->nrows + 1, sizeof(*l->rows)) < 0)
		return -ENOMEM;
	row = &l->rows[l->nrows++];
	*row = (struct row){ .created = p->state->created };
	if (!l->out.json)
		return entry_cells(p, l->no_trunc, &row->cells);
	row->json = entry_json(p);
	return row->json ? 0 : -ENOMEM;
}

static int newest_last(const void *pa, const void *pb)
{
	const struct timespec *a = &((const struct row *)pa)->created,
			      *b = &((const struct row *)pb)->created;

	if (a->tv_sec != b->tv_sec)
		return a->tv_sec < b->tv_sec ? -1 : 1;
	return a->tv_nsec < b->tv_nsec ? -1 : a->tv_nsec > b->tv_nsec;
}

static void show(struct ps_list *l, size_t last)
{
	if (l->nrows)
		qsort(l->rows, l->nrows, sizeof(*l->rows), newest_last);
	for (size_t i = l->nrows - MIN(last, l->nrows); i < l->nrows; i++) {
		if (l->out.json)
			json_array_append(l->out.json, l->rows[i].json);
		else if (l->quiet)
			printf("%s\n", l->rows[i].cells[0]);
		else
			table_row(l->out.table, (const char *const *)l->rows[i].cells);
	}
	if (l->out.json || !l->quiet)
		listing_print(&l->out);
}

int verb_ps(struct cli *c, int argc, char **argv)
{
	const char *format = NULL;
	_strv_free_ char **filters = NULL;
	_cleanup_(ps_list_done) struct ps_list l = { 0 };
	unsigned last = 0;
	bool latest = false;
	const struct option_def options[] = {
		{ 'a', "all", OPT_FLAG, &l.all, NULL, "also the stopped ones" },
		{ 'f', "filter", OPT_LIST, &filters, "KEY=VALUE",
		  "label=NAME[=VALUE], name=REGEX, id=, status=, exited=CODE, ancestor=IMAGE" },
		{ 'n', "last", OPT_UINT, &last, "N", "the N made last, stopped ones too" },
		{ 'l', "latest", OPT_FLAG, &latest, NULL, "the one made last" },
		{ 'q', "quiet", OPT_FLAG, &l.quiet, NULL, "print only the ids" },
		{ 0, "no-trunc", OPT_FLAG, &l.no_trunc, NULL, "the whole command" },
		{ 0, "format", OPT_STR, &format, "FORMAT", "table (default) or json" },
		{ 0 },
	};
	const struct usage u = {
		"ps",
		"[OPTIONS]",
		"Lists instances: containers, microVMs and mounts, the newest last.",
		options,
		0,
		0,
		false
	};
	int status, r;

	if (options_parse(&u, argc, argv, &argv, &status))
		return status;
	last = latest ? 1 : last;
	if (listing_init(&l.out, format,
			 (const char *[]){ "ID", "IMAGE", "KIND", "COMMAND", "CREATED", "STATUS",
					   "NAME", NULL }) < 0 ||
	    !cli_engine(c, STORE_CREATE))
		return EXIT_ERROR;
	r = ps_filter_init(&l.filter, engine_store(c->engine), filters);
	l.all = l.all || last || l.filter.stopped;
	if (r >= 0)
		r = engine_revive(c->engine);
	if (r < 0)
		return cli_fail(r);
	r = engine_ps(c->engine, gather_one, &l);
	show(&l, last ? last : SIZE_MAX); /* a damaged one does not hide the others */
	return r < 0 ? cli_fail(r) : 0;
}
