/* SPDX-License-Identifier: Apache-2.0 */
/*
 * COPY and ADD: words, flags, what they are copied from, their key. Owners are 0:0 unless --chown says otherwise; those of
 * --from, which come out of an image, are kept, as docker does.
 */
#include "base/err.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "builder/add_tar.h"
#include "builder/copy.h"
#include "builder/key.h"
#include "builder/owner.h"
#include "builder/path.h"
#include "builder/stage.h"

#define SOURCES_MAX 65536u

/* One source: a path of the root that is copied from, or a here-document. */
struct item {
	char *path;
	const struct heredoc *heredoc;
	char *text; /* of the here-document, expanded */
	bool is_tar;
};

struct step_copy {
	char *from, *chown, *chmod; /* the flags, NULL = not given */
	int mode;
	char **words;	  /* the sources and the destination, expanded */
	const char *dst;  /* the last of them */
	char *dst_path;	  /* from the step's root, cleaned */
	struct item *items;
	size_t n, cap;
	struct source source;
	/* Of --from: the tree that is copied from. */
	struct build_step *step;
	json_t *image;
};

/* ---- flags ---- */

static int copy_word(const char *s, char **ret)
{
	*ret = strdup(s);
	return *ret ? 0 : -ENOMEM;
}

static int read_flag(struct builder *b, struct step_copy *c, const char *flag)
{
	static const char *const names[] = { "--from=", "--chown=", "--chmod=" };
	char **const values[] = { &c->from, &c->chown, &c->chmod };

	for (size_t i = b->i->op == OP_ADD; i < ARRAY_SIZE(names); i++) {
		const char *value = str_after(flag, names[i]);
		char *expanded = NULL;
		int r;

		if (!value)
			continue;
		/* Which stages are needed was read before there were variables. */
		r = i == 0 ? copy_word(value, &expanded) : words_expand(value, &b->scope, &expanded);
		if (r == 0 && !*expanded)
			r = err(-EINVAL, "%s needs a value", names[i]);
		free(*values[i]);
		*values[i] = expanded;
		return r;
	}
	return err(-EINVAL, "%s is not supported", flag);
}

static int parse_mode(const char *s, int *ret)
{
	int mode = 0;

	for (const char *p = s; *p; p++) {
		if (*p < '0' || *p > '7' || p - s > 4)
			return err(-EINVAL, "--chmod=%s: expected an octal number", s);
		mode = mode << 3 | (*p - '0');
	}
	if (mode > 07777)
		return err(-EINVAL, "--chmod=%s: more than 7777", s);
	*ret = mode;
	return 0;
}

static int read_flags(struct builder *b, struct step_copy *c)
{
	int r = 0;

	c->mode = -1;
	for (size_t i = 0; r == 0 && i < strv_len(b->i->flags); i++)
		r = read_flag(b, c, b->i->flags[i]);
	return r < 0 || !c->chmod ? r : parse_mode(c->chmod, &c->mode);
}

/* ---- words ---- */

static int expand_json(struct builder *b, char **raw, char ***ret)
{
	int r = 0;

	for (size_t i = 0; r == 0 && i < strv_len(raw); i++) {
		_free_ char *word = NULL;

		r = words_expand_raw(raw[i], &b->scope, &word);
		if (r == 0)
			r = strv_add(ret, word);
	}
	return r;
}

static int read_words(struct builder *b, struct step_copy *c)
{
	_strv_free_ char **raw = NULL;
	size_t n;
	int r = words_json(b->i->args, &raw);

	if (r >= 0)
		r = r ? expand_json(b, raw, &c->words) : words_expand_all(b->i->args, &b->scope, &c->words);
	if (r < 0)
		return r;
	n = strv_len(c->words);
	if (n < 2)
		return err(-EINVAL, "expected a source and a destination");
	c->dst = c->words[n - 1];
	if (!*c->dst)
		return err(-EINVAL, "the destination is empty");
	return path_join(config_workdir(b->s->image), c->dst, &c->dst_path);
}

/* ---- what is copied from ---- */

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
	int r = !i.path ? -ENOMEM : h->expand ? words_expand_heredoc(h->body, &b->scope, &i.text) : 0;

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
	return str_after(s, "http://") || str_after(s, "https://") || str_after(s, "git@") || str_after(s, "ftp://");
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
		return err(-EOPNOTSUPP, "%s: a source must be a file of the context, URLs are not fetched; "
			   "use curl in a RUN", word);
	r = source_find(&c->source, word, &found);
	for (char **path = found; r == 0 && *path; path++) {
		struct item i = { .path = strdup(*path), .is_tar = b->i->op == OP_ADD && is_tar(c, *path) };

		r = i.path ? add_item(c, &i) : -ENOMEM;
		if (r < 0)
			free(i.path);
	}
	return r;
}

static bool names_folder(const char *dst)
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
	if (r == 0 && c->n > 1 && !names_folder(c->dst))
		r = err(-EINVAL, "with more than one source the destination must end with '/'");
	return r;
}

/* ---- the key ---- */

static int hash_items(struct step_copy *c, struct sha256 *h)
{
	int r = 0;

	for (size_t n = 0; r == 0 && n < c->n; n++) {
		const struct item *i = &c->items[n];

		sha256_update(h, i->path, strlen(i->path) + 1);
		if (i->text)
			sha256_update(h, i->text, strlen(i->text) + 1);
		else
			r = source_hash(&c->source, i->path, h);
	}
	return r;
}

static int copy_key(struct builder *b, struct step_copy *c, struct digest *ret)
{
	struct digest content;
	struct sha256 h;
	struct key key;
	int r;

	sha256_init(&h);
	r = hash_items(c, &h);
	if (r < 0)
		return r;
	content = sha256_final(&h);
	key_begin(&key, &b->s->key);
	key_add(&key, op_name(b->i->op));
	key_add(&key, c->chown ? c->chown : "");
	key_add(&key, c->chmod ? c->chmod : "");
	key_add(&key, c->from ? "from" : "context");
	key_add(&key, c->dst_path);
	key_add_strv(&key, c->words);
	key_add_digest(&key, &content);
	*ret = key_end(&key);
	return 0;
}

/* ---- the copy ---- */

static int copy_tar(struct step_copy *c, const struct copy *copy, const char *path)
{
	_close_ int fd = source_open(&c->source, path, O_RDONLY);

	if (fd < 0)
		return err(fd, "%s: %s", path, strerror(-fd));
	return add_tar_extract(fd, copy->root_fd, c->dst_path, &copy->owner);
}

static int copy_item(struct builder *b, struct step_copy *c, const struct copy *copy, const struct item *i, bool into)
{
	const struct timespec now = { .tv_sec = b->o->created };

	if (i->text)
		return copy_text(copy, i->path, i->text, c->dst_path, into, &now);
	if (i->is_tar)
		return copy_tar(c, copy, i->path);
	return copy_source(copy, &c->source, i->path, c->dst_path, into);
}

static int copy_items(void *ctx, struct builder *b, _unused_ struct build_step *step, int root_fd)
{
	struct step_copy *c = ctx;
	struct copy copy = { .root_fd = root_fd, .keep_owner = c->from && !c->chown, .mode = c->mode,
			     .special = c->from };
	bool into = c->n > 1 || names_folder(c->dst) || place_is_folder(root_fd, c->dst_path);
	int r = c->chown ? owner_parse(root_fd, c->chown, &copy.owner) : 0;

	for (size_t n = 0; r == 0 && n < c->n; n++)
		r = copy_item(b, c, &copy, &c->items[n], into);
	return r;
}

/* ---- all ---- */

static void step_copy_done(struct builder *b, struct step_copy *c)
{
	if (c->step)
		b->cb->step_abort(b->ctx, c->step);
	json_decref(c->image);
	for (size_t i = 0; i < c->n; i++) {
		free(c->items[i].path);
		free(c->items[i].text);
	}
	free(c->items);
	strv_free(c->words);
	free(c->dst_path);
	free(c->from);
	free(c->chown);
	free(c->chmod);
}

static int copy_step(struct builder *b, struct step_copy *c)
{
	_free_ char *created_by = instruction_text(b->i);
	struct digest key;
	int r = created_by ? read_flags(b, c) : -ENOMEM;

	if (r == 0)
		r = read_words(b, c);
	if (r == 0)
		r = open_source(b, c);
	if (r == 0)
		r = find_items(b, c);
	if (r == 0)
		r = copy_key(b, c, &key);
	return r < 0 ? r : step_layer(b, &key, created_by, copy_items, c);
}

int step_copy(struct builder *b)
{
	struct step_copy c = { .mode = -1 };
	int r = copy_step(b, &c);

	step_copy_done(b, &c);
	return r;
}
