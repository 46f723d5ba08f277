/* SPDX-License-Identifier: Apache-2.0 */
/*
 * build_change(): apart from build_run(), so that who only changes a config links no more than
 * that.
 */
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "builder/builder.h"
#include "builder/config.h"

static const char *lookup(void *ctx, const char *name)
{
	return config_env(ctx, name);
}

static int apply(json_t *config, const struct instruction *i)
{
	const struct words_scope scope = { lookup, config, '\\' };
	bool cmd_set = false;

	if (i->op == OP_MAINTAINER || i->op == OP_SHELL)
		return err(-EINVAL, "%s cannot be changed so", op_name(i->op));
	return config_apply(config, i, &scope, &cmd_set);
}

int build_change(json_t *config, const char *instruction)
{
	struct instruction i;
	int r = config_adopt(config);

	if (r == 0 && strchr(instruction, '\n'))
		r = err(-EINVAL, "an instruction of more than one line");
	if (r < 0)
		return r;
	r = instruction_parse("--change", 1, instruction, &i);
	if (r < 0)
		return r;
	r = apply(config, &i);
	instruction_done(&i);
	return r < 0 ? err(r, "--change '%s': %s", instruction, err_take(r)) : 0;
}
