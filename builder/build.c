/* SPDX-License-Identifier: Apache-2.0 */
#include "base/err.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/str.h"
#include "builder/path.h"
#include "builder/stage.h"

#define IGNORE_MAX (1u << 20) /* bytes of a .dockerignore */

static void builder_done(struct builder *b)
{
	for (size_t i = 0; b->stages && i < b->plan.n; i++) {
		json_decref(b->stages[i].image);
		strv_free(b->stages[i].args);
	}
	free(b->stages);
	dockerignore_done(&b->ignore);
	build_plan_done(&b->plan);
	containerfile_done(&b->file);
}

/* ---- .dockerignore ---- */

static int read_ignore_file(struct builder *b, const char *name, char **ret)
{
	_close_ int fd =
		fd_open_in_root(b->o->context_fd, name, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);
	size_t len;
	int r;

	if (fd < 0)
		return fd == -ENOENT ? fd : err(fd, "%s: %s", name, strerror(-fd));
	r = fd_read_all(fd, IGNORE_MAX, ret, &len);
	return r < 0 ? err(r, "%s: %s", name, strerror(-r)) : 0;
}

/* FILE.dockerignore for this Containerfile, else .dockerignore for all. */
static int read_ignore(struct builder *b)
{
	_free_ char *own = str_fmt("%s.dockerignore", path_name(b->o->file)), *text = NULL;
	int r = own ? read_ignore_file(b, own, &text) : -ENOMEM;

	if (r == -ENOENT)
		r = read_ignore_file(b, ".dockerignore", &text);
	if (r == -ENOENT)
		return 0;
	return r < 0 ? r : dockerignore_parse(text, &b->ignore);
}

/* ---- arguments that nobody takes ---- */

/* Whether @words, of an ARG, declares @name. */
static bool declares(const char *words, const char *name)
{
	size_t len = strlen(name);

	for (; *words; words += strspn(words, " \t")) {
		if (strncmp(words, name, len) == 0 && (!words[len] || strchr("= \t", words[len])))
			return true;
		words += strcspn(words, " \t");
	}
	return false;
}

static bool arg_taken(const struct builder *b, const char *name)
{
	for (size_t i = 0; i < b->file.n; i++)
		if (b->file.all[i].op == OP_ARG && declares(b->file.all[i].args, name))
			return true;
	return arg_predefined(name);
}

static void warn_args(struct builder *b)
{
	for (char *const *a = b->o->build_args; a && *a; a++) {
		_free_ char *name = strndup(*a, strcspn(*a, "="));
		char line[256];

		if (!name || arg_taken(b, name))
			continue;
		snprintf(line, sizeof(line), "WARNING: no ARG takes --build-arg %s", name);
		b->cb->progress(b->ctx, line);
	}
}

/* ---- the build ---- */

static int prepare(struct builder *b)
{
	int r = containerfile_parse(b->o->file, b->o->text, b->o->text_len, &b->file);

	if (r == 0)
		r = build_plan_make(b->o->file, &b->file, b->o->build_args, b->o->target, &b->plan);
	if (r == 0)
		r = read_ignore(b);
	if (r < 0)
		return r;
	b->stages = mem_new(b->plan.n, sizeof(*b->stages));
	for (size_t i = 0; i < b->plan.n; i++)
		if (b->plan.stages[i].needed)
			b->steps += b->plan.stages[i].end - b->plan.stages[i].from;
	return b->stages ? 0 : -ENOMEM;
}

int build_run(const struct build_options *o, const struct build_callbacks *cb, void *ctx,
	      json_t **ret_config)
{
	_cleanup_(builder_done) struct builder b = { .o = o, .cb = cb, .ctx = ctx };
	struct stage *target;
	int r = prepare(&b);

	if (r < 0)
		return r;
	warn_args(&b);
	for (size_t i = 0; r == 0 && i <= b.plan.target; i++)
		if (b.plan.stages[i].needed)
			r = stage_build(&b, i);
	if (r < 0)
		return r;
	target = &b.stages[b.plan.target];
	*ret_config = take_ptr(target->image);
	return 0;
}
