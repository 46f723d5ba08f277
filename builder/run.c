/* SPDX-License-Identifier: Apache-2.0 */
/* RUN: the command and its environment. */
#include "base/buf.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/str.h"
#include "builder/key.h"
#include "builder/path.h"
#include "builder/place.h"
#include "builder/stage.h"
#include <ctype.h>

/*
 * Build arguments that need no ARG, reach every RUN and no key
 * (docs.docker.com/reference/dockerfile, "Predefined ARGs").
 */
static const char *const proxies[] = {
	"HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "https_proxy", "FTP_PROXY",
	"ftp_proxy",  "NO_PROXY",   "no_proxy",	   "ALL_PROXY",	  "all_proxy",
};

bool arg_predefined(const char *name)
{
	for (size_t i = 0; i < ARRAY_SIZE(proxies); i++)
		if (streq(proxies[i], name))
			return true;
	return false;
}

#define SCRIPT "/.strata-run" /* where a script of its own interpreter is while it runs */

struct run {
	char **argv, **env;
	const char *script; /* a here-document that begins with #!, NULL = none */
};

static void run_done(struct run *r)
{
	strv_free(r->argv);
	strv_free(r->env);
}

/* ---- the command ---- */

/* "<<WORD" alone: the document is the script. */
static bool is_script(const struct instruction *i)
{
	return i->nheredocs == 1 && str_after(i->args, "<<") &&
	       !i->args[strcspn(i->args, " \t;|&>")];
}

/* The text as the shell wants it: with its here-documents. */
static char *shell_text(const struct instruction *i)
{
	_buf_done_ struct buf b = { 0 };

	if (is_script(i))
		return strdup(i->heredocs[0].body);
	buf_adds(&b, i->args);
	for (size_t n = 0; n < i->nheredocs; n++)
		buf_addf(&b, "\n%s%s", i->heredocs[n].body, i->heredocs[n].name);
	return buf_take(&b);
}

static int make_argv(struct builder *b, struct run *c)
{
	_free_ char *text = NULL;
	int r = words_json(b->i->args, &c->argv);

	if (r > 0 && !c->argv)
		return err(-EINVAL, "an empty command");
	if (r != 0)
		return r < 0 ? r : 0;
	if (is_script(b->i) && str_after(b->i->heredocs[0].body, "#!")) {
		c->script = b->i->heredocs[0].body;
		return strv_add(&c->argv, SCRIPT);
	}
	text = shell_text(b->i);
	return text ? config_shell_argv(b->s->image, text, &c->argv) : -ENOMEM;
}

/* ---- its environment ---- */

static int add_unless_set(char ***env, const char *name, const char *assignment)
{
	return strv_getenv(*env, name) ? 0 : strv_add(env, assignment);
}

static int add_args(struct builder *b, char ***env)
{
	int r = 0;

	for (char **a = b->s->args; r == 0 && a && *a; a++) {
		_free_ char *name = strndup(*a, strcspn(*a, "="));

		r = name ? add_unless_set(env, name, *a) : -ENOMEM;
	}
	return r;
}

static int add_proxies(struct builder *b, char ***env)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < ARRAY_SIZE(proxies); i++) {
		const char *value = strv_getenv(b->o->build_args, proxies[i]);

		if (value && !strv_getenv(*env, proxies[i]))
			r = strv_addf(env, "%s=%s", proxies[i], value);
	}
	return r;
}

static int make_env(struct builder *b, char ***ret)
{
	int r = config_strv(b->s->image, "Env", ret);

	if (r == 0)
		r = add_args(b, ret);
	return r < 0 ? r : add_proxies(b, ret);
}

/* ---- the step ---- */

static int put_script(const struct run *c, int root_fd)
{
	_close_ int fd = place_file(root_fd, path_name(SCRIPT));
	int r = fd < 0 ? fd : fd_write_full(fd, c->script, strlen(c->script));

	if (r == 0 && fchmod(fd, 0755) < 0)
		r = -errno;
	return r < 0 ? err(r, "%s: %s", SCRIPT, strerror(-r)) : 0;
}

static int run(void *ctx, struct builder *b, struct build_step *step, int root_fd)
{
	struct run *c = ctx;
	const char *user = config_str(b->s->image, "User");
	int code = 0, r = c->script ? put_script(c, root_fd) : 0;

	if (r == 0)
		r = b->cb->step_run(b->ctx, step, c->argv, c->env, config_workdir(b->s->image),
				    user ? user : "", &code);
	if (c->script)
		unlinkat(root_fd, path_name(SCRIPT), 0);
	if (r == 0 && code != 0)
		r = err(-ECANCELED, "exit code %d", code);
	return r;
}

static char *join(char *const *v)
{
	_buf_done_ struct buf b = { 0 };

	for (; v && *v; v++)
		buf_addf(&b, "%s%s", b.len ? " " : "", *v);
	return buf_take(&b);
}

static struct digest run_key(struct builder *b, const struct run *c)
{
	struct key key;

	key_begin(&key, &b->s->key);
	key_add(&key, "RUN");
	key_add_strv(&key, c->argv);
	key_add(&key, c->script ? c->script : "");
	key_add_strv(&key, b->s->args);
	return key_end(&key);
}

int step_run(struct builder *b)
{
	_cleanup_(run_done) struct run c = { 0 };
	_free_ char *created_by = NULL;
	struct digest key;
	int r = b->i->flags ? err(-EINVAL, "%s is not supported", b->i->flags[0]) :
			      make_argv(b, &c);

	if (r == 0)
		r = make_env(b, &c.env);
	if (r < 0)
		return r;
	created_by = c.script ? strdup(c.script) : join(c.argv);
	if (!created_by)
		return -ENOMEM;
	key = run_key(b, &c);
	return step_layer(b, &key, created_by, run, &c);
}
