/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cli: one file per verb. A verb parses its options, calls the engine, prints, and gives the exit
 * status: 0, 125 for our own errors, 126 / 127 when a command cannot be executed / is not there,
 * 128 + n for a signal, else the command's. Only this room prints. `--help` of a verb is made from
 * its option table, and so is the completion (completion.bash).
 */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include "engine/engine.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define EXIT_ERROR    125 /* docker's: strata itself failed */
#define EXIT_NOEXEC   126 /* the command cannot be executed */
#define EXIT_NOTFOUND 127 /* the command is not there */

/* ---- the program ---- */

struct cli {
	struct engine_options where; /* --root, --runroot */
	struct engine *engine;	     /* opened by cli_engine() */
	char **argv;		     /* all of the program's */
};

struct verb {
	const char *name;
	int (*main)(struct cli *c, int argc, char **argv); /* argv[0] is the verb; NULL:
							      strata-image has it */
	const char *summary; /* one line; NULL = not in the list of --help */
};

/* Runs the verb of @verbs (ends with a NULL name) that argv names, after the global options. */
int cli_main(const struct verb *verbs, int argc, char **argv);
/* The engine, opened on first use; NULL after an error that was printed. */
struct engine *cli_engine(struct cli *c, unsigned store_flags);
/*
 * The same where a verb starts something: an ordinary user becomes root (engine_become_root()), in
 * the place of @instance or, NULL, in one of his own.
 */
struct engine *cli_root_engine(struct cli *c, const char *instance);
/* And where it reads or removes tops: he becomes root if he can. A mount's top is his own. */
struct engine *cli_tops_engine(struct cli *c);

/* ---- options ---- */

enum option_kind { OPT_FLAG, OPT_BOOL, OPT_STR, OPT_LIST, OPT_SIZE, OPT_UINT, OPT_CPUS };

struct option_def {
	char letter; /* 0 = none */
	const char *name;
	enum option_kind kind;
	void *dst; /* bool, bool, const char *, char ** (strv), uint64_t, unsigned, uint64_t (10^-9
		    * CPUs); OPT_BOOL: --name or --name=true|false */
	const char *arg; /* "NAME" in the help */
	const char *help;
};

struct usage {
	const char *verb, *args, *summary; /* "run", "[OPTIONS] IMAGE [COMMAND...]" */
	const struct option_def *options;  /* ends with a NULL name */
	int min_args, max_args;		   /* positional ones; max -1 = any */
	bool stop_at_first;		   /* what follows the first positional one is not ours */
};

/*
 * Parses; *@ret_args points at the positional ones in @argv. 0 = go on; otherwise the verb ends
 * with *@ret_status (help was printed, or an error).
 */
int options_parse(const struct usage *u, int argc, char **argv, char ***ret_args, int *ret_status);

/* ---- instances ---- */

/* What a verb does to one instance: 0 = done, its name is printed; 1 = done; or -errno. */
typedef int cli_instance_fn(struct engine *e, const char *name, void *ctx);

/* Does it to each of @names (ends with NULL), prints what fails, and gives the exit status. */
int cli_each_instance(struct cli *c, char *const *names, cli_instance_fn *fn, void *ctx);

/* ---- printing ---- */

/* Prints "strata: text" and gives EXIT_ERROR: the waiting text of err.h, or the meaning of @e. */
int cli_fail(int e);
int cli_fail_text(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* A table with columns as wide as they need; cells are copied. */
struct table;
struct table *table_new(const char *const *headers); /* NULL-terminated; NULL without memory */
void table_row(struct table *t, const char *const *cells);
void table_print(struct table *t, bool headers);
void table_free(struct table *t);

/* "3 minutes ago" */
struct ago {
	char s[32];
};
struct ago cli_ago(int64_t seconds_since_1970);

/* Prints @j as indented JSON with a newline. */
void cli_print_json(const json_t *j);

/* The format option that all listing verbs have: table or json. -EINVAL was printed. */
int cli_format(const char *word, bool *ret_json);

/* The value of @verb's --time, when there is one, into *@ret_seconds. -EINVAL was printed. */
int cli_seconds(const char *verb, const char *word, int *ret_seconds);

/*
 * The value of --platform into @p, and *@ret_p points there, or is NULL when none was given.
 * -EINVAL was printed.
 */
int cli_platform(const char *word, struct platform *p, const struct platform **ret_p);

/* ---- verbs ---- */

int verb_images(struct cli *c, int argc, char **argv);
int verb_inspect(struct cli *c, int argc, char **argv);
int verb_history(struct cli *c, int argc, char **argv);
int verb_tag(struct cli *c, int argc, char **argv);
int verb_rmi(struct cli *c, int argc, char **argv);
int verb_gc(struct cli *c, int argc, char **argv);
int verb_df(struct cli *c, int argc, char **argv);
int verb_fsck(struct cli *c, int argc, char **argv);
int verb_kernel(struct cli *c, int argc, char **argv);
int verb_run(struct cli *c, int argc, char **argv);
int verb_ps(struct cli *c, int argc, char **argv);
int verb_logs(struct cli *c, int argc, char **argv);
int verb_stop(struct cli *c, int argc, char **argv);
int verb_rm(struct cli *c, int argc, char **argv);
int verb_create(struct cli *c, int argc, char **argv);
int verb_start(struct cli *c, int argc, char **argv);
int verb_restart(struct cli *c, int argc, char **argv);
int verb_exec(struct cli *c, int argc, char **argv);
int verb_attach(struct cli *c, int argc, char **argv);
int verb_kill(struct cli *c, int argc, char **argv);
int verb_wait(struct cli *c, int argc, char **argv);
int verb_update(struct cli *c, int argc, char **argv);
int verb_checkpoint(struct cli *c, int argc, char **argv);
int verb_clone(struct cli *c, int argc, char **argv);
int verb_restore(struct cli *c, int argc, char **argv);
int verb_pause(struct cli *c, int argc, char **argv);
int verb_unpause(struct cli *c, int argc, char **argv);
int verb_top(struct cli *c, int argc, char **argv);
int verb_stats(struct cli *c, int argc, char **argv);
int verb_diff(struct cli *c, int argc, char **argv);
int verb_rename(struct cli *c, int argc, char **argv);
int verb_cp(struct cli *c, int argc, char **argv);
int verb_mount(struct cli *c, int argc, char **argv);
int verb_umount(struct cli *c, int argc, char **argv);
int verb_serve(struct cli *c, int argc, char **argv);
int verb_doctor(struct cli *c, int argc, char **argv);
int verb_bench(struct cli *c, int argc, char **argv);

/* strata-image's, by the table that its main gives cli_main(). */
int verb_commit(struct cli *c, int argc, char **argv);
int verb_import(struct cli *c, int argc, char **argv);
int verb_build(struct cli *c, int argc, char **argv);
int verb_load(struct cli *c, int argc, char **argv);
int verb_save(struct cli *c, int argc, char **argv);
int verb_pull(struct cli *c, int argc, char **argv);
int verb_push(struct cli *c, int argc, char **argv);
int verb_fetch(struct cli *c, int argc, char **argv);
int verb_login(struct cli *c, int argc, char **argv);
int verb_logout(struct cli *c, int argc, char **argv);

#endif
