/* SPDX-License-Identifier: Apache-2.0 */
/* strata top: the processes of an instance. */
#include "base/json.h"
#include "base/mem.h"
#include "cli/cli.h"
#include "cli/listing.h"
#include "cli/util.h"
#include <stdio.h>

static int list_one(void *ctx, const struct process_entry *p)
{
	unsigned seconds = (unsigned)(p->cpu_ns / 1000000000);
	struct listing *l = ctx;
	char uid[16], pid[16], ppid[16], spent[32];

	if (l->json) {
		json_array_append_new(
			l->json, json_pack("{s:i, s:i, s:I, s:I, s:s}", "pid", (int)p->pid, "ppid",
					   (int)p->ppid, "uid", (json_int_t)p->uid, "cpuNs",
					   (json_int_t)p->cpu_ns, "command", p->command));
		return 0;
	}
	snprintf(uid, sizeof(uid), "%u", (unsigned)p->uid);
	snprintf(pid, sizeof(pid), "%d", (int)p->pid);
	snprintf(ppid, sizeof(ppid), "%d", (int)p->ppid);
	snprintf(spent, sizeof(spent), "%02u:%02u:%02u", seconds / 3600, seconds / 60 % 60,
		 seconds % 60);
	table_row(l->table, (const char *[]){ uid, pid, ppid, spent, p->command });
	return 0;
}

int verb_top(struct cli *c, int argc, char **argv)
{
	const char *format = NULL;
	const struct option_def options[] = {
		{ 0, "format", OPT_STR, &format, "FORMAT", "table (default) or json" },
		{ 0 },
	};
	const struct usage u = { "top",
				 "[OPTIONS] INSTANCE",
				 "Lists the processes of a container, by the host's numbers, or\n"
				 "of a microVM, by its own.",
				 options,
				 1,
				 1,
				 false };
	_cleanup_(listing_done) struct listing l = { 0 };
	int status, r;

	if (options_parse(&u, argc, argv, &argv, &status))
		return status;
	if (listing_init(&l, format,
			 (const char *[]){ "UID", "PID", "PPID", "TIME", "CMD", NULL }) < 0 ||
	    !cli_engine(c, STORE_CREATE))
		return EXIT_ERROR;
	engine_revive(c->engine);
	r = engine_processes(c->engine, argv[0], list_one, &l);
	if (r < 0)
		return cli_fail(r);
	listing_print(&l);
	return 0;
}
