/* SPDX-License-Identifier: Apache-2.0 */
#include "base/err.h"
#include "base/str.h"
#include "builder/reader.h"
#include <ctype.h>

/* <<WORD, <<-WORD, <<"WORD" of a here-document. */
struct marker {
	const char *name;
	size_t len;
	bool expand, tabs;
};

/*
 * At @p, where a word of the shell begins: [0-9]*<<, so that 1<<2 of an expression is none. Its
 * end, or NULL.
 */
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

	while (reader_line(r, &s, &len)) {
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

int instruction_heredocs(struct reader *r, struct instruction *i)
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
