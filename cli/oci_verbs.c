/* SPDX-License-Identifier: Apache-2.0 */
/* The verbs of strata-oci: each calls one function of the room, prints, gives the exit status. */
#include "base/err.h"
#include "base/fd.h"
#include "base/proc.h"
#include "base/str.h"
#include "cli/console.h"
#include "cli/oci.h"
#include "cli/terminal.h"
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

#define RUN "bundle pid-file console-socket no-pivot no-new-keyring no-subreaper preserve-fds "
#define RESOURCE                                                                \
	"memory memory-swap memory-reservation cpu-share cpu-quota cpu-period " \
	"cpuset-cpus cpuset-mems pids-limit blkio-weight "

int oci_print(json_t *j)
{
	_free_ char *text = j ? json_dumps(j, JSON_INDENT(2) | JSON_PRESERVE_ORDER) : NULL;

	json_decref(j);
	return text && puts(text) >= 0 ? 0 : -ENOMEM;
}

static int verb_create(struct oci_call *c)
{
	struct oci_process p;
	int r = oci_create(&c->o, c->rest[0], &p);

	if (r >= 0)
		oci_process_done(&p);
	return r;
}

static int verb_start(struct oci_call *c)
{
	return oci_start(&c->o, c->rest[0]);
}

static int run_detached(struct oci_call *c)
{
	int r = verb_create(c);

	if (r >= 0) {
		r = oci_start(&c->o, c->rest[0]);
		if (r < 0)
			oci_delete(&c->o, c->rest[0], true);
	}
	return r;
}

/* All that can be sent but what is of this program itself, and what stops it in its shell. */
static int open_signals(sigset_t *ret_old)
{
	static const int own[] = { SIGSEGV, SIGBUS,  SIGFPE,  SIGILL,  SIGABRT,
				   SIGTSTP, SIGTTIN, SIGTTOU, SIGPIPE, SIGCHLD };
	sigset_t all;

	sigfillset(&all);
	for (size_t i = 0; i < ARRAY_SIZE(own); i++)
		sigdelset(&all, own[i]);
	sigprocmask(SIG_BLOCK, NULL, ret_old);
	return console_signals(&all);
}

/* In the foreground: its terminal is ours, signals are handed on, its end is awaited. */
static int wait_for(const struct oci_process *p)
{
	_cleanup_(terminal_restore) struct terminal term = TERMINAL_NONE;
	sigset_t old;
	_close_ int signals = open_signals(&old);
	int status = 0, r = signals < 0 ? signals : 0;

	if (r >= 0 && p->console >= 0)
		terminal_raw(STDIN_FILENO, &term);
	if (r >= 0)
		r = console_relay(p->console, p->pidfd, signals);
	sigprocmask(SIG_SETMASK, &old, NULL);
	if (r >= 0)
		r = proc_wait(p->pidfd, &status);
	return r < 0 ? r : status;
}

static int verb_run(struct oci_call *c)
{
	struct oci_process p;
	int r;

	if (c->detach)
		return run_detached(c);
	c->o.foreground = true;
	r = oci_create(&c->o, c->rest[0], &p);
	if (r < 0)
		return r;
	r = oci_process_start(&p);
	if (r >= 0)
		r = wait_for(&p);
	oci_process_done(&p);
	if (r < 0 || !c->keep)
		oci_delete(&c->o, c->rest[0], true);
	return r;
}

static int verb_exec(struct oci_call *c)
{
	struct oci_process p;
	int r;

	c->o.args = c->rest + 1;
	if (!c->o.process && c->nrest < 2)
		return err(-EINVAL, "exec: no command specified");
	c->o.foreground = !c->detach;
	r = oci_exec(&c->o, c->rest[0], &p);
	if (r < 0)
		return r;
	if (!c->detach)
		r = wait_for(&p);
	oci_process_done(&p);
	return r;
}

static int verb_kill(struct oci_call *c)
{
	int sig = c->nrest > 1 ? oci_signal(c->rest[1]) : SIGTERM;

	return sig < 0 ? sig : oci_kill(&c->o, c->rest[0], sig, c->all);
}

static int verb_delete(struct oci_call *c)
{
	int r = 0;

	for (size_t i = 0; i < c->nrest; i++) {
		int e = oci_delete(&c->o, c->rest[i], c->force);

		r = e < 0 ? e : r;
	}
	return r;
}

static int verb_state(struct oci_call *c)
{
	json_t *j;
	int r = oci_state(&c->o, c->rest[0], &j);

	return r < 0 ? r : oci_print(j);
}

static int verb_pause(struct oci_call *c)
{
	return oci_pause(&c->o, c->rest[0], true);
}

static int verb_resume(struct oci_call *c)
{
	return oci_pause(&c->o, c->rest[0], false);
}

static int read_resources(const char *path, json_t **ret)
{
	_free_ char *text = NULL;
	size_t len;
	int r = streq(path, "-") ? fd_read_all(STDIN_FILENO, JSON_MAX, &text, &len) :
				   file_read_all(AT_FDCWD, path, JSON_MAX, &text, &len);

	if (r < 0)
		return err(r, "%s: %s", path, strerror(-r));
	return json_parse(text, len, path, ret);
}

static int verb_update(struct oci_call *c)
{
	_json_ json_t *resources = NULL;
	int r = c->resources ? read_resources(c->resources, &resources) : 0;

	if (r < 0)
		return r;
	resources = resources ?: json_object();
	if (c->update)
		json_object_update_recursive(resources, c->update);
	return oci_update(&c->o, c->rest[0], resources);
}

static int print_stats(struct oci_call *c)
{
	_json_ json_t *j = NULL;
	_free_ char *text = NULL;
	int r = oci_stats(&c->o, c->rest[0], &j);

	if (r < 0)
		return r;
	text = json_dumps(j, JSON_COMPACT | JSON_PRESERVE_ORDER);
	return text && puts(text) >= 0 && !fflush(stdout) ? 0 : -EIO;
}

/* Until the container ends. */
static int verb_events(struct oci_call *c)
{
	int r = print_stats(c);

	if (c->stats || r < 0)
		return r;
	do
		poll(NULL, 0, (int)(c->interval ?: 5) * 1000);
	while (print_stats(c) >= 0);
	err_clear();
	return 0;
}

static int verb_features(struct oci_call *c _unused_)
{
	return oci_print(oci_features());
}

static int verb_spec(struct oci_call *c)
{
	_json_ json_t *j = oci_spec(c->rootless);
	_close_ int dir = open(c->o.bundle ?: ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_free_ char *text = j ? json_dumps(j, JSON_INDENT(2) | JSON_PRESERVE_ORDER) : NULL;
	int r = dir < 0 ? -errno : 0;

	if (!text)
		return -ENOMEM;
	if (r >= 0 && faccessat(dir, "config.json", F_OK, 0) == 0)
		return err(-EEXIST, "config.json is there already");
	if (r >= 0)
		r = file_replace(dir, "config.json", text, strlen(text), 0644, false);
	return r < 0 ? err(r, "config.json: %s", strerror(-r)) : 0;
}

const struct oci_verb oci_verbs[] = {
	{ "create", "ID", RUN, 1, 1, verb_create },
	{ "start", "ID", "", 1, 1, verb_start },
	{ "run", "ID", RUN "detach keep ", 1, 1, verb_run },
	{ "exec", "ID [COMMAND [ARG...]]",
	  "process pid-file console-socket detach tty cwd env user additional-gids cap "
	  "no-new-privs preserve-fds ",
	  1, SIZE_MAX, verb_exec, true },
	{ "kill", "ID [SIGNAL]", "all ", 1, 2, verb_kill },
	{ "delete", "ID...", "force ", 1, SIZE_MAX, verb_delete },
	{ "state", "ID", "", 1, 1, verb_state },
	{ "list", "", "format quiet ", 0, 0, oci_verb_list },
	{ "ps", "ID [ps-OPTION...]", "format ", 1, SIZE_MAX, oci_verb_ps, true },
	{ "pause", "ID", "", 1, 1, verb_pause },
	{ "resume", "ID", "", 1, 1, verb_resume },
	{ "update", "ID", "resources " RESOURCE, 1, 1, verb_update },
	{ "events", "ID", "stats interval ", 1, 1, verb_events },
	{ "features", "", "", 0, 0, verb_features },
	{ "spec", "", "bundle rootless ", 0, 0, verb_spec },
	{ NULL },
};
