/* SPDX-License-Identifier: Apache-2.0 */
#include "builder/containerfile.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include <ctype.h>
#include <strings.h>

static const char *const op_names[OP_COUNT] = {
	[OP_ADD] = "ADD",	[OP_ARG] = "ARG",   [OP_CMD] = "CMD",		  [OP_COPY] = "COPY",
	[OP_ENTRYPOINT] = "ENTRYPOINT", [OP_ENV] = "ENV",   [OP_EXPOSE] = "EXPOSE", [OP_FROM] = "FROM",
	[OP_LABEL] = "LABEL",	[OP_MAINTAINER] = "MAINTAINER", [OP_RUN] = "RUN", [OP_SHELL] = "SHELL",
	[OP_STOPSIGNAL] = "STOPSIGNAL", [OP_USER] = "USER", [OP_VOLUME] = "VOLUME", [OP_WORKDIR] = "WORKDIR",
};

const char *op_name(enum op op)
{
	return op_names[op];
}

/* Where the reader stands in the text. */
struct reader {
	const char *file, *at, *end;
	unsigned line; /* of the line that comes next */
	char escape;
};

/* The next physical line without its end, as [*ret, *ret + *ret_len). */
static bool next_line(struct reader *r, const char **ret, size_t *ret_len)
{
	const char *nl;

	if (r->at >= r->end)
		return false;
	nl = memchr(r->at, '\n', r->end - r->at);
	*ret = r->at;
	*ret_len = (nl ? nl : r->end) - r->at;
	r->at = nl ? nl + 1 : r->end;
	r->line++;
	if (*ret_len && (*ret)[*ret_len - 1] == '\r')
		--*ret_len;
	return true;
}

static void trim(const char **s, size_t *len)
{
	while (*len && isspace((unsigned char)**s))
		++*s, --*len;
	while (*len && isspace((unsigned char)(*s)[*len - 1]))
		--*len;
}

/* `# escape=X` counts only above everything else. */
static void read_directives(struct reader *r)
{
	for (;;) {
		struct reader here = *r;
		const char *s, *value;
		size_t len;
		_free_ char *text = NULL;

		if (!next_line(r, &s, &len))
			return;
		trim(&s, &len);
		text = len && *s == '#' ? strndup(s + 1, len - 1) : NULL;
		value = text ? strchr(text, '=') : NULL;
		if (!value) {
			*r = here;
			return;
		}
		for (char *p = text; *p; p++)
			*p = tolower((unsigned char)*p);
		if (str_after(text + strspn(text, " \t"), "escape") && strchr(value, '`'))
			r->escape = '`';
	}
}

/* Adds a line to @b; true when it goes on with the next. */
static bool add_line(const struct reader *r, struct buf *b, const char *s, size_t len)
{
	size_t cut = len;

	while (cut && (s[cut - 1] == ' ' || s[cut - 1] == '\t'))
		cut--;
	if (cut && s[cut - 1] == r->escape) {
		buf_add(b, s, cut - 1);
		return true;
	}
	buf_add(b, s, len);
	return false;
}

/* The next logical line: 1, or 0 at the end. *@ret_line is where it began. */
static int logical_line(struct reader *r, struct buf *b, unsigned *ret_line)
{
	const char *s;
	size_t len;
	bool more = false;

	buf_reset(b);
	while (next_line(r, &s, &len)) {
		const char *t = s;
		size_t tlen = len;

		trim(&t, &tlen);
		if (!tlen || *t == '#') /* between the parts of one instruction too */
			continue;
		if (!b->len && !more)
			*ret_line = r->line - 1;
		more = add_line(r, b, s, len);
		if (!more)
			break;
	}
	if (b->failed)
		return -ENOMEM;
	return b->len > 0;
}

static int parse_op(const char *file, unsigned line, const char *word, size_t len, enum op *ret)
{
	for (unsigned i = 0; i < OP_COUNT; i++) {
		if (strlen(op_names[i]) == len && strncasecmp(op_names[i], word, len) == 0) {
			*ret = i;
			return 0;
		}
	}
	return err(-EINVAL, "%s:%u: instruction %.*s is not supported", file, line, (int)MIN(len, 40u), word);
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
	trim(&args, &len);
	i.args = r < 0 ? NULL : strndup(args, len);
	if (!i.args) {
		instruction_done(&i);
		return r < 0 ? r : -ENOMEM;
	}
	if (!len) {
		instruction_done(&i);
		return err(-EINVAL, "%s:%u: %s needs an argument", file, line, op_names[i.op]);
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

/* ---- here-documents ---- */

/* The next <<WORD in *@s, outside of quotes; moves *@s behind it. */
static bool next_marker(const char **s, char **ret_name, bool *ret_expand, bool *ret_tabs)
{
	char quote = 0;

	for (const char *p = *s; *p; p++) {
		if (quote) {
			quote = *p == quote ? 0 : quote;
			continue;
		}
		if (*p == '\'' || *p == '"') {
			quote = *p;
			continue;
		}
		if (p[0] != '<' || p[1] != '<' || p[2] == '<')
			continue;
		p += 2;
		*ret_tabs = *p == '-';
		p += *ret_tabs;
		*ret_expand = *p != '\'' && *p != '"';
		p += !*ret_expand;
		size_t len = 0;
		while (isalnum((unsigned char)p[len]) || p[len] == '_' || p[len] == '.')
			len++;
		if (!len)
			continue;
		*ret_name = strndup(p, len);
		*s = p + len + !*ret_expand;
		return true;
	}
	return false;
}

static int read_body(struct reader *r, const char *name, bool tabs, unsigned line, char **ret)
{
	_buf_done_ struct buf b = { 0 };
	const char *s;
	size_t len;

	while (next_line(r, &s, &len)) {
		while (tabs && len && *s == '\t')
			s++, len--;
		if (len == strlen(name) && memcmp(s, name, len) == 0) {
			buf_add(&b, "", 0);
			*ret = buf_take(&b);
			return *ret ? 0 : -ENOMEM;
		}
		buf_add(&b, s, len);
		buf_addc(&b, '\n');
	}
	return err(-EINVAL, "%s:%u: the here-document <<%s does not end", r->file, line, name);
}

static int add_heredoc(struct instruction *i, char *name, char *body, bool expand)
{
	struct heredoc *grown = realloc(i->heredocs, (i->nheredocs + 1) * sizeof(*grown));

	if (!grown)
		return -ENOMEM;
	i->heredocs = grown;
	grown[i->nheredocs++] = (struct heredoc){ name, body, expand };
	return 0;
}

static int take_heredocs(struct reader *r, struct instruction *i)
{
	const char *s = i->args;
	bool expand, tabs;
	char *name = NULL;

	if ((i->op != OP_RUN && i->op != OP_COPY && i->op != OP_ADD) || *s == '[')
		return 0;
	while (next_marker(&s, &name, &expand, &tabs)) {
		char *body = NULL;
		int e = name ? 0 : -ENOMEM;

		if (e == 0 && i->nheredocs == CONTAINERFILE_HEREDOCS_MAX)
			e = err(-EINVAL, "%s:%u: too many here-documents", r->file, i->line);
		if (e == 0)
			e = read_body(r, name, tabs, i->line, &body);
		if (e == 0)
			e = add_heredoc(i, name, body, expand);
		if (e < 0) {
			free(name);
			free(body);
			return e;
		}
		name = NULL;
	}
	return 0;
}

/* ---- the file ---- */

static int read_instruction(struct containerfile *c, struct reader *r, const char *text, unsigned line)
{
	struct instruction i;
	int e;

	if (c->n == CONTAINERFILE_INSTRUCTIONS_MAX)
		return err(-EFBIG, "%s:%u: more than %u instructions", r->file, line, CONTAINERFILE_INSTRUCTIONS_MAX);
	e = instruction_parse(r->file, line, text, &i);
	if (e < 0)
		return e;
	e = take_heredocs(r, &i);
	if (e == 0)
		e = mem_grow(&c->all, &c->cap, c->n + 1, sizeof(*c->all));
	if (e < 0) {
		instruction_done(&i);
		return e;
	}
	c->all[c->n++] = i;
	return 0;
}

int containerfile_parse(const char *file, const char *text, size_t len, struct containerfile *ret)
{
	struct reader r = { .file = file, .at = text, .end = text + len, .line = 1, .escape = '\\' };
	struct containerfile c = { 0 };
	_buf_done_ struct buf b = { 0 };
	unsigned line = 0;
	int e = 0, more = 1;

	if (memchr(text, '\0', len))
		return err(-EINVAL, "%s: there is a NUL byte in it", file);
	read_directives(&r);
	c.escape = r.escape;
	while (e == 0 && (more = logical_line(&r, &b, &line)) > 0)
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
