/* SPDX-License-Identifier: Apache-2.0 */
/* One stage while it is built, and the build that it belongs to. Of this room only. */
#ifndef BUILDER_STAGE_H
#define BUILDER_STAGE_H

#include "builder/builder.h"
#include "builder/config.h"
#include "builder/dockerignore.h"
#include "builder/plan.h"

struct stage {
	json_t *image; /* its config so far; NULL while it is not built */
	struct digest key;
	char **args; /* the ARGs in scope that have a value, NAME=VALUE */
	bool cmd_set;
};

struct builder {
	const struct build_options *o;
	const struct build_callbacks *cb;
	void *ctx;
	struct containerfile file;
	struct build_plan plan;
	struct dockerignore ignore; /* of the context */
	struct stage *stages;	    /* as many as the plan has */
	unsigned step, steps;
	/* Of the instruction at hand. */
	size_t at; /* the stage */
	struct stage *s;
	const struct instruction *i;
	struct words_scope scope;
};

/* Builds stage @at; those that it needs are. */
int stage_build(struct builder *b, size_t at);

/* The instruction on one line, as it was written. */
char *instruction_text(const struct instruction *i);

/* What fills the tree of a step. */
typedef int step_fn(void *ctx, struct builder *b, struct build_step *step, int root_fd);
/* A layer made by @fn, or found under @key, which is the stage's from then on. */
int step_layer(struct builder *b, const struct digest *key, const char *created_by, step_fn *fn,
	       void *ctx);

/* Whether RUN has a build argument of this name without an ARG. */
bool arg_predefined(const char *name);

/* The instructions that make layers. */
int step_run(struct builder *b);
int step_copy(struct builder *b);
int step_workdir(struct builder *b);

#endif
