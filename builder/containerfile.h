/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A Containerfile as a row of instructions: comments and continuations resolved, here-documents
 * taken in, nothing expanded (docs.docker.com/reference/dockerfile, "Format", "Parser
 * directives", "Here-documents").
 */
#ifndef BUILDER_CONTAINERFILE_H
#define BUILDER_CONTAINERFILE_H

#include <stdbool.h>
#include <stddef.h>

#define CONTAINERFILE_INSTRUCTIONS_MAX 4096u
#define CONTAINERFILE_HEREDOCS_MAX     16u

enum op {
	OP_ADD,
	OP_ARG,
	OP_CMD,
	OP_COPY,
	OP_ENTRYPOINT,
	OP_ENV,
	OP_EXPOSE,
	OP_FROM,
	OP_LABEL,
	OP_MAINTAINER,
	OP_RUN,
	OP_SHELL,
	OP_STOPSIGNAL,
	OP_USER,
	OP_VOLUME,
	OP_WORKDIR,
	OP_COUNT,
};

struct heredoc {
	char *name; /* the word after << */
	char *body;
	bool expand; /* the word had no quotes */
};

struct instruction {
	enum op op;
	unsigned line; /* where it begins, from 1 */
	char **flags;  /* --NAME=VALUE, a strv */
	char *args;    /* what follows, trimmed */
	struct heredoc *heredocs;
	size_t nheredocs;
};

struct containerfile {
	struct instruction *all;
	size_t n, cap;
	char escape; /* \ or ` */
};

/* @file is for messages, which begin with FILE:LINE. */
int containerfile_parse(const char *file, const char *text, size_t len, struct containerfile *ret);
void containerfile_done(struct containerfile *c);
const char *op_name(enum op op);
/* One instruction from one line, for build_change(). */
int instruction_parse(const char *file, unsigned line, const char *text, struct instruction *ret);
void instruction_done(struct instruction *i);

#endif
