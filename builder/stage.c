/* SPDX-License-Identifier: Apache-2.0 */
#include "builder/stage.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "builder/key.h"

#define BLAMED_MAX 80 /* bytes of an instruction in an error */

/* Variables: ENV before ARG. */
static const char *lookup(void *ctx, const char *name)
{
	const struct builder *b = ctx;
	const char *value = config_env(b->s->image, name);

	return value ? value : strv_getenv(b->s->args, name);
}

char *instruction_text(const struct instruction *i)
{
	_buf_done_ struct buf b = { 0 };

	buf_adds(&b, op_name(i->op));
	for (char **f = i->flags; f && *f; f++)
		buf_addf(&b, " %s", *f);
	buf_addf(&b, " %s", i->args);
	return buf_take(&b);
}

/* ---- FROM ---- */

static int from_image(struct builder *b, const char *name)
{
	const json_t *triggers;
	int r = b->cb->from(b->ctx, name, &b->s->image);

	if (r >= 0)
		r = key_base(b->s->image, &b->s->key);
	if (r >= 0)
		r = config_adopt(b->s->image);
	if (r < 0)
		return r;
	triggers = json_get_array(json_get_object(b->s->image, "config"), "OnBuild");
	if (json_array_size(triggers))
		return err(-EOPNOTSUPP,
			   "image %s has ONBUILD instructions, which are not supported", name);
	return 0;
}

static int from_stage(struct builder *b, const struct stage *base)
{
	b->s->image = json_deep_copy(base->image);
	b->s->key = base->key;
	return b->s->image ? 0 : -ENOMEM;
}

static int from_scratch(struct builder *b)
{
	b->s->image = config_new();
	return b->s->image ? key_base(NULL, &b->s->key) : -ENOMEM;
}

static int step_from(struct builder *b)
{
	const struct planned *p = &b->plan.stages[b->at];

	if (p->base != PLAN_NONE)
		return from_stage(b, &b->stages[p->base]);
	return streq(p->image, "scratch") ? from_scratch(b) : from_image(b, p->image);
}

/* ---- what makes no layer ---- */

static int advance_key(struct builder *b, const char *text)
{
	struct key key;
	int r;

	key_begin(&key, &b->s->key);
	key_add(&key, text);
	r = key_add_json(&key, json_get_object(b->s->image, "config"));
	if (r == 0)
		b->s->key = key_end(&key);
	return r;
}

static int add_arg(struct builder *b, const char *word)
{
	_free_ char *name = NULL, *value = NULL, *assignment = NULL;
	int r = arg_value(word, &b->scope, b->o->build_args, b->plan.globals, &name, &value);

	if (r < 0 || !value)
		return r;
	assignment = str_fmt("%s=%s", name, value);
	return assignment ? strv_setenv(&b->s->args, assignment) : -ENOMEM;
}

static int step_arg(struct builder *b)
{
	_strv_free_ char **words = NULL;
	int r = words_split(b->i->args, b->scope.escape, &words);

	for (char **w = words; r == 0 && w && *w; w++)
		r = add_arg(b, *w);
	return r;
}

static int step_config(struct builder *b)
{
	_free_ char *text = instruction_text(b->i);
	int r = !text		   ? -ENOMEM :
		b->i->op == OP_ARG ? step_arg(b) :
				     config_apply(b->s->image, b->i, &b->scope, &b->s->cmd_set);

	if (r == 0)
		r = advance_key(b, text);
	return r < 0 ? r : config_add_history(b->s->image, text, b->o->created, NULL);
}

/* ---- all ---- */

static int dispatch(struct builder *b)
{
	int r;

	switch (b->i->op) {
	case OP_FROM:
		return step_from(b);
	case OP_RUN:
		return step_run(b);
	case OP_COPY:
	case OP_ADD:
		return step_copy(b);
	case OP_WORKDIR:
		r = config_apply(b->s->image, b->i, &b->scope, &b->s->cmd_set);
		return r < 0 ? r : step_workdir(b);
	default:
		return step_config(b);
	}
}

static int say_step(struct builder *b, const char *text)
{
	_free_ char *line = str_fmt("STEP %u/%u: %s", ++b->step, b->steps, text);
	char printable[512];

	if (!line)
		return -ENOMEM;
	str_printable(printable, sizeof(printable), line);
	b->cb->progress(b->ctx, printable);
	return 0;
}

static int run_instruction(struct builder *b)
{
	_free_ char *text = instruction_text(b->i);
	char blamed[BLAMED_MAX];
	int r = text ? say_step(b, text) : -ENOMEM;

	if (r == 0)
		r = dispatch(b);
	if (r >= 0)
		return 0;
	str_printable(blamed, sizeof(blamed), text ? text : "");
	return err(r, "%s:%u: %s: %s", b->o->file, b->i->line, blamed, err_take(r));
}

int stage_build(struct builder *b, size_t at)
{
	const struct planned *p = &b->plan.stages[at];
	int r = 0;

	b->at = at;
	b->s = &b->stages[at];
	b->scope = (struct words_scope){ lookup, b, b->file.escape };
	for (size_t i = p->from; r == 0 && i < p->end; i++) {
		b->i = &b->file.all[i];
		r = run_instruction(b);
	}
	return r;
}
