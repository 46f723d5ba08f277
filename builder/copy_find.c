/* SPDX-License-Identifier: Apache-2.0 */
/* What COPY and ADD copy from, and what they find there. */
#include "base/err.h"
#include "base/fd.h"
#include "base/str.h"
#include "builder/add_tar.h"
#include "builder/path.h"
#include "builder/step_copy.h"

static int from_image(struct builder *b, struct step_copy *c)
{
	int r = b->cb->from(b->ctx, c->from, &c->image);

	return r < 0 ? r : config_adopt(c->image);
}

static int open_from(struct builder *b, struct step_copy *c)
{
	size_t stage = build_plan_find(&b->plan, b->at, c->from);
	int r = 0;

	if (stage != PLAN_NONE)
		c->image = json_incref(b->stages[stage].image);
	else
		r = from_image(b, c);
	if (r < 0)
		return r;
	r = b->cb->step_begin(b->ctx, c->image, &c->step, &c->source.root_fd);
	if (r == 0)
		c->source.owners = !c->chown;
	return r;
}

static int open_source(struct builder *b, struct step_copy *c)
{
	if (c->from)
		return open_from(b, c);
	c->source = (struct source){ .root_fd = b->o->context_fd, .ignore = &b->ignore };
	return 0;
}

static int add_item(struct step_copy *c, const struct item *i)
{
	int r = mem_grow(&c->items, &c->cap, c->n + 1, sizeof(*c->items));

	if (r < 0)
		return r;
	if (c->n == SOURCES_MAX)
		return err(-E2BIG, "more than %u sources", SOURCES_MAX);
	c->items[c->n++] = *i;
	return 0;
}

static int add_heredoc(struct builder *b, struct step_copy *c, const struct heredoc *h)
{
	struct item i = { .path = strdup(h->name), .heredoc = h };
	int r = !i.path	  ? -ENOMEM :
		h->expand ? words_expand_heredoc(h->body, &b->scope, &i.text) :
			    0;

	if (r == 0 && !h->expand && !(i.text = strdup(h->body)))
		r = -ENOMEM;
	if (r == 0)
		r = add_item(c, &i);
	if (r < 0) {
		free(i.path);
		free(i.text);
	}
	return r;
}

static bool is_url(const char *s)
{
	return str_after(s, "http://") || str_after(s, "https://") || str_after(s, "git@") ||
	       str_after(s, "ftp://");
}

/* Only a file that is named as such or by a wildcard; a tar inside a folder is a file. */
static bool is_tar(const struct step_copy *c, const char *path)
{
	_close_ int fd = source_open(&c->source, path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
	struct stat st;

	return fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && add_tar_is(fd);
}

static int add_paths(struct builder *b, struct step_copy *c, const char *word)
{
	_strv_free_ char **found = NULL;
	int r;

	if (b->i->op == OP_ADD && is_url(word))
		return err(-EOPNOTSUPP,
			   "%s: a source must be a file of the context, URLs are not fetched; "
			   "use curl in a RUN",
			   word);
	r = source_find(&c->source, word, &found);
	for (char **path = found; r == 0 && *path; path++) {
		struct item i = { .path = strdup(*path),
				  .is_tar = b->i->op == OP_ADD && is_tar(c, *path) };

		r = i.path ? add_item(c, &i) : -ENOMEM;
		if (r < 0)
			free(i.path);
	}
	return r;
}

bool copy_names_folder(const char *dst)
{
	return str_ends(dst, "/") || streq(path_name(dst), ".") || streq(path_name(dst), "..");
}

static int find_items(struct builder *b, struct step_copy *c)
{
	size_t heredocs = 0;
	int r = 0;

	for (char **word = c->words; r == 0 && word[1]; word++) {
		if (str_after(*word, "<<") && heredocs < b->i->nheredocs)
			r = add_heredoc(b, c, &b->i->heredocs[heredocs++]);
		else
			r = add_paths(b, c, *word);
	}
	if (r == 0 && c->n > 1 && !copy_names_folder(c->dst))
		r = err(-EINVAL, "with more than one source the destination must end with '/'");
	return r;
}

int copy_find(struct builder *b, struct step_copy *c)
{
	int r = open_source(b, c);

	return r < 0 ? r : find_items(b, c);
}
