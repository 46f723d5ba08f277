/* SPDX-License-Identifier: Apache-2.0 */
/* The stages of a Containerfile, what each stands on, and which of them the target needs. */
#ifndef BUILDER_PLAN_H
#define BUILDER_PLAN_H

#include "builder/containerfile.h"
#include "builder/words.h"
#include <sys/types.h>

#define PLAN_STAGES_MAX 256u
#define PLAN_NONE	((size_t)-1)

struct planned {
	char *name;  /* after AS, in lower case; NULL = none */
	char *image; /* after FROM, expanded */
	size_t base; /* the earlier stage that @image names, or PLAN_NONE */
	size_t from; /* its FROM, among the instructions; its own follow, up to @end */
	size_t end;
	bool needed;
};

struct build_plan {
	struct planned *stages;
	size_t n, cap;
	size_t target;
	char **globals; /* NAME=VALUE of the ARGs before the first FROM, and what every build has */
};

/* Errors begin with FILE:LINE. */
int build_plan_make(const char *file, const struct containerfile *c, char *const *build_args,
		    const char *target, struct build_plan *ret);
void build_plan_done(struct build_plan *p);
/* The stage before @before that @name, or its number from 0, means; PLAN_NONE. */
size_t build_plan_find(const struct build_plan *p, size_t before, const char *name);

/*
 * One "NAME[=DEFAULT]" of ARG: the build argument, else the default, else the global one, else
 * nothing (NULL).
 */
int arg_value(const char *word, const struct words_scope *scope, char *const *build_args,
	      char *const *globals, char **ret_name, char **ret_value);

#endif
