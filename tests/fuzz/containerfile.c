/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A Containerfile that someone else wrote: parsed, planned, its words expanded; as a
 * .dockerignore too.
 */
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "builder/config.h"
#include "builder/dockerignore.h"
#include "builder/plan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *lookup(void *ctx, const char *name)
{
	return config_env(ctx, name);
}

static void expand(const struct instruction *i, const struct words_scope *scope)
{
	_strv_free_ char **words = NULL, **json = NULL;
	bool cmd_set = false;

	words_expand_all(i->args, scope, &words);
	words_json(i->args, &json);
	for (size_t n = 0; n < i->nheredocs; n++) {
		_free_ char *body = NULL;

		words_expand_heredoc(i->heredocs[n].body, scope, &body);
	}
	config_apply(scope->ctx, i, scope, &cmd_set);
	err_clear();
}

static void build(const struct containerfile *c)
{
	_cleanup_(build_plan_done) struct build_plan plan = { 0 };
	json_t *image = config_new();
	const struct words_scope scope = { lookup, image, c->escape };

	build_plan_make("F", c, NULL, NULL, &plan);
	for (size_t i = 0; image && i < c->n; i++)
		expand(&c->all[i], &scope);
	json_decref(image);
}

static void ignore(const char *text)
{
	struct dockerignore d;

	if (dockerignore_parse(text, &d) < 0)
		return;
	dockerignore_excludes(&d, "some/folder/file.txt");
	dockerignore_excludes(&d, text);
	dockerignore_done(&d);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct containerfile c;
	_free_ char *text = strndup((const char *)data, size);

	if (!text || size > 65536)
		return 0;
	if (containerfile_parse("F", (const char *)data, size, &c) == 0) {
		build(&c);
		containerfile_done(&c);
	}
	ignore(text);
	err_clear();
	return 0;
}
