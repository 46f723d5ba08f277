/* SPDX-License-Identifier: Apache-2.0 */
#include "builder/containerfile.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "builder/reader.h"
#include "builder/text.h"
#include <strings.h>

static const char *const op_names[OP_COUNT] = {
	[OP_ADD] = "ADD",
	[OP_ARG] = "ARG",
	[OP_CMD] = "CMD",
	[OP_COPY] = "COPY",
	[OP_ENTRYPOINT] = "ENTRYPOINT",
	[OP_ENV] = "ENV",
	[OP_EXPOSE] = "EXPOSE",
	[OP_FROM] = "FROM",
	[OP_LABEL] = "LABEL",
	[OP_MAINTAINER] = "MAINTAINER",
	[OP_RUN] = "RUN",
	[OP_SHELL] = "SHELL",
	[OP_STOPSIGNAL] = "STOPSIGNAL",
	[OP_USER] = "USER",
	[OP_VOLUME] = "VOLUME",
	[OP_WORKDIR] = "WORKDIR",
};

const char *op_name(enum op op)
{
	return op_names[op];
}

static int parse_op(const char *file, unsigned line, const char *word, size_t len, enum op *ret)
{
	for (unsigned i = 0; i < OP_COUNT; i++) {
		if (strlen(op_names[i]) == len && strncasecmp(op_names[i], word, len) == 0) {
			*ret = i;
			return 0;
		}
	}
	return err(-EINVAL, "%s:%u: instruction %.*s is not supported", file, line,
		   (int)MIN(len, 40u), word);
}

/* --NAME[=VALUE] words in front of the arguments, for the instructions that have such. */
static int take_flags(struct instruction *i, const char **args)
{
	if (i->op != OP_FROM && i->op != OP_RUN && i->op != OP_COPY && i->op != OP_ADD)
		return 0;
	while (str_after(*args, "--")) {
		size_t len = strcspn(*args, " \t");
		_free_ char *flag = strndup(*args, len);
		int r = flag ? strv_add(&i->flags, flag) : -ENOMEM;

		if (r < 0)
			return r;
		*args += len;
		*args += strspn(*args, " \t");
	}
	return 0;
}

int instruction_parse(const char *file, unsigned line, const char *text, struct instruction *ret)
{
	struct instruction i = { .line = line };
	const char *args;
	size_t word, len;
	int r;

	text += strspn(text, " \t");
	word = strcspn(text, " \t");
	r = parse_op(file, line, text, word, &i.op);
	if (r < 0)
		return r;
	args = text + word;
	args += strspn(args, " \t");
	r = take_flags(&i, &args);
	len = strlen(args);
	text_trim(&args, &len);
	if (r == 0 && !len)
		r = err(-EINVAL, "%s:%u: %s needs an argument", file, line, op_names[i.op]);
	i.args = r < 0 ? NULL : strndup(args, len);
	if (!i.args) {
		instruction_done(&i);
		return r < 0 ? r : -ENOMEM;
	}
	*ret = i;
	return 0;
}

void instruction_done(struct instruction *i)
{
	strv_free(i->flags);
	free(i->args);
	for (size_t n = 0; n < i->nheredocs; n++) {
		free(i->heredocs[n].name);
		free(i->heredocs[n].body);
	}
	free(i->heredocs);
	*i = (struct instruction){ 0 };
}

/* ---- the file ---- */

static int read_instruction(struct containerfile *c, struct reader *r, const char *text,
			    unsigned line)
{
	struct instruction i;
	int e;

	if (c->n == CONTAINERFILE_INSTRUCTIONS_MAX)
		return err(-EFBIG, "%s:%u: more than %u instructions", r->file, line,
			   CONTAINERFILE_INSTRUCTIONS_MAX);
	e = instruction_parse(r->file, line, text, &i);
	if (e < 0)
		return e;
	e = instruction_heredocs(r, &i);
	if (e == 0)
		e = mem_grow(&c->all, &c->cap, c->n + 1, sizeof(*c->all));
	if (e < 0 || !c->all) {
		instruction_done(&i);
		return e;
	}
	c->all[c->n++] = i;
	return 0;
}

int containerfile_parse(const char *file, const char *text, size_t len, struct containerfile *ret)
{
	struct reader r;
	struct containerfile c = { 0 };
	_buf_done_ struct buf b = { 0 };
	unsigned line = 0;
	int e, more = 1;

	if (memchr(text, '\0', len))
		return err(-EINVAL, "%s: there is a NUL byte in it", file);
	reader_init(&r, file, text, len);
	e = reader_directives(&r);
	c.escape = r.escape;
	while (e == 0 && (more = reader_logical(&r, &b, &line)) > 0)
		e = read_instruction(&c, &r, b.data, line);
	if (e == 0)
		e = more;
	if (e == 0 && !c.n)
		e = err(-EINVAL, "%s: no instruction in it", file);
	if (e < 0) {
		containerfile_done(&c);
		return e;
	}
	*ret = c;
	return 0;
}

void containerfile_done(struct containerfile *c)
{
	for (size_t i = 0; i < c->n; i++)
		instruction_done(&c->all[i]);
	free(c->all);
	*c = (struct containerfile){ 0 };
}
