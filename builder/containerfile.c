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

/* "NAME=VALUE" behind the '#' of a parser directive: the value of one that is known, or NULL. */
static const char *directive_value(char *text, const char **ret_name)
{
	static const char *const names[] = { "escape", "syntax", "check" };
	char *equals = strchr(text, '=');
	char *name = text + strspn(text, " \t");

	if (!equals)
		return NULL;
	name[strcspn(name, " \t=")] = '\0';
	for (unsigned i = 0; i < ARRAY_SIZE(names); i++) {
		if (strcasecmp(name, names[i]) == 0) {
			*ret_name = names[i];
			return equals + 1 + strspn(equals + 1, " \t");
		}
	}
	return NULL;
}

/* They count only above everything else; "escape" is the one that means something here. */
static int read_directives(struct reader *r)
{
	for (;;) {
		struct reader here = *r;
		const char *s, *name, *value;
		size_t len;
		_free_ char *text = NULL;

		if (!next_line(r, &s, &len))
			return 0;
		trim(&s, &len);
		text = len && *s == '#' ? strndup(s + 1, len - 1) : NULL;
		value = text ? directive_value(text, &name) : NULL;
		if (!value) {
			*r = here;
			return 0;
		}
		if (!streq(name, "escape"))
			continue;
		if (!streq(value, "\\") && !streq(value, "`"))
			return err(-EINVAL, "%s:%u: the escape must be \\ or `", r->file, r->line - 1);
		r->escape = *value;
	}
}

/* Adds a line to @b; true when it goes on with the next: it ends with one escape, two are one of the text. */
static bool add_line(const struct reader *r, struct buf *b, const char *s, size_t len)
{
	size_t cut = len;

	while (cut && (s[cut - 1] == ' ' || s[cut - 1] == '\t'))
		cut--;
	if (cut && s[cut - 1] == r->escape && (cut == 1 || s[cut - 2] != r->escape)) {
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

/* ---- here-documents ---- */

/* <<WORD, <<-WORD, <<"WORD" of a here-document. */
struct marker {
	const char *name;
	size_t len;
	bool expand, tabs;
};

/* At @p, where a word of the shell begins: [0-9]*<<, so that 1<<2 of an expression is none. Its end, or NULL. */
static const char *read_marker(const char *p, struct marker *ret)
{
	char quote;

	p += strspn(p, "0123456789");
	if (p[0] != '<' || p[1] != '<' || p[2] == '<')
		return NULL;
	p += 2;
	ret->tabs = *p == '-';
	p += ret->tabs;
	quote = *p == '\'' || *p == '"' ? *p++ : 0;
	ret->expand = !quote;
	ret->name = p;
	while (isalnum((unsigned char)*p) || *p == '_' || *p == '.' || *p == '-')
		p++;
	ret->len = p - ret->name;
	if (!ret->len || (quote && *p++ != quote))
		return NULL;
	return p;
}

/* The next one in *@s, outside of quotes; moves *@s behind it. */
static bool next_marker(const char **s, struct marker *ret)
{
	bool begins = true; /* a word */
	char quote = 0;

	for (const char *p = *s; *p; p++) {
		const char *end = begins && !quote ? read_marker(p, ret) : NULL;

		if (end) {
			*s = end;
			return true;
		}
		begins = !quote && (*p == ' ' || *p == '\t');
		if (quote)
			quote = *p == quote ? 0 : quote;
		else if (*p == '\'' || *p == '"')
			quote = *p;
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

static int take_heredoc(struct reader *r, struct instruction *i, const struct marker *m)
{
	struct heredoc *grown, h = { .expand = m->expand };
	int e;

	if (i->nheredocs == CONTAINERFILE_HEREDOCS_MAX)
		return err(-EINVAL, "%s:%u: too many here-documents", r->file, i->line);
	grown = realloc(i->heredocs, (i->nheredocs + 1) * sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	i->heredocs = grown;
	h.name = strndup(m->name, m->len);
	e = h.name ? read_body(r, h.name, m->tabs, i->line, &h.body) : -ENOMEM;
	if (e < 0) {
		free(h.name);
		return e;
	}
	grown[i->nheredocs++] = h;
	return 0;
}

static int take_heredocs(struct reader *r, struct instruction *i)
{
	const char *s = i->args;
	struct marker m;
	int e = 0;

	if ((i->op != OP_RUN && i->op != OP_COPY && i->op != OP_ADD) || *s == '[')
		return 0;
	while (e == 0 && next_marker(&s, &m))
		e = take_heredoc(r, i, &m);
	return e;
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
	int e, more = 1;

	if (memchr(text, '\0', len))
		return err(-EINVAL, "%s: there is a NUL byte in it", file);
	if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) /* U+FEFF, as some editors write it */
		r.at += 3;
	e = read_directives(&r);
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
