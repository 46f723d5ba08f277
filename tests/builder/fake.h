/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A caller of build_run() that plays: a tree is a folder, a layer is a copy of a whole tree named
 * by its hash, and RUN understands "write PATH TEXT", "exit N" and nothing else.
 */
#ifndef TESTS_BUILDER_FAKE_H
#define TESTS_BUILDER_FAKE_H

#include "base/err.h"
#include "base/json.h"
#include "builder/builder.h"
#include "builder/config.h"
#include "builder/copy.h"
#include "builder/source.h"
#include "tests/builder/tree.h"

#define FAKE_MAX 64

struct build_step {
	int fd;
	char name[32];
	struct digest before;
};

struct fake {
	char path[64];
	int dir, context;
	struct build_options o;
	json_t *config; /* of the last build that succeeded */
	struct {
		struct digest key;
		struct build_layer layer;
	} cache[FAKE_MAX];
	unsigned ncache, nsteps, open_steps, nruns, begun, asked;
	char **lines, **argv, **env;
	char *cwd, *user;
	json_t *image; /* what FROM gives; NULL: one without anything */
};

static inline struct digest fake_hash(int fd)
{
	const struct source s = { .root_fd = fd, .owners = true };
	struct sha256 h;

	sha256_init(&h);
	assert_ok(source_hash(&s, "", &h));
	return sha256_final(&h);
}

static inline void fake_copy(int from, int to)
{
	const struct source s = { .root_fd = from };
	const struct copy c = { .root_fd = to, .keep_owner = true, .mode = -1, .special = true };

	assert_ok(copy_source(&c, &s, "", "", false));
}

static inline int fake_from(void *ctx, const char *name, json_t **ret)
{
	struct fake *f = ctx;

	if (streq(name, "missing"))
		return err(-ENOENT, "no image '%s'", name);
	*ret = f->image ? json_deep_copy(f->image) : config_new();
	return 0;
}

/* The tree of the last layer, or NULL. */
static inline const char *fake_top(const json_t *config)
{
	const json_t *ids = json_get_array(json_get_object(config, "rootfs"), "diff_ids");
	size_t n = json_array_size(ids);

	return n ? json_string_value(json_array_get(ids, n - 1)) : NULL;
}

static inline int fake_begin(void *ctx, const json_t *config, struct build_step **ret,
			     int *ret_root_fd)
{
	struct fake *f = ctx;
	struct build_step *s = new0(struct build_step);
	const char *top = fake_top(config);

	snprintf(s->name, sizeof(s->name), "step-%u", f->nsteps++);
	assert_ok(mkdirat(f->dir, s->name, 0755));
	s->fd = openat(f->dir, s->name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (top) {
		_close_ int layer = openat(f->dir, top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		assert_true(layer >= 0);
		fake_copy(layer, s->fd);
	}
	s->before = fake_hash(s->fd);
	f->open_steps++;
	f->begun++;
	*ret = s;
	*ret_root_fd = s->fd;
	return 0;
}

static inline int fake_run(void *ctx, struct build_step *s, char *const *argv, char *const *env,
			   const char *cwd, const char *user, int *ret_code)
{
	struct fake *f = ctx;
	const char *text = argv[strv_len(argv) - 1], *rest;
	char path[64], what[64];

	f->nruns++;
	strv_free(f->argv);
	strv_free(f->env);
	free(f->cwd);
	free(f->user);
	f->argv = f->env = NULL;
	assert_ok(strv_dup(argv, &f->argv));
	assert_ok(strv_dup(env, &f->env));
	f->cwd = strdup(cwd);
	f->user = strdup(user);
	*ret_code = 0;
	rest = str_after(text, "exit ");
	if (rest)
		*ret_code = (int)strtol(rest, NULL, 10);
	if (sscanf(text, "write %63s %63s", path, what) == 2)
		tree_file(s->fd, path, what);
	return 0;
}

static inline int fake_commit(void *ctx, struct build_step *s, const struct digest *key,
			      struct build_layer *ret)
{
	struct fake *f = ctx;
	_free_ char *name = NULL;

	ret->diff_id = fake_hash(s->fd);
	ret->empty = digest_eq(&ret->diff_id, &s->before);
	name = str_fmt("sha256:%s", digest_hex(&ret->diff_id).s);
	if (!ret->empty && mkdirat(f->dir, name, 0755) == 0) {
		_close_ int layer = openat(f->dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		fake_copy(s->fd, layer);
	}
	assert_true(f->ncache < FAKE_MAX);
	f->cache[f->ncache].key = *key;
	f->cache[f->ncache++].layer = *ret;
	return 0;
}

static inline void fake_abort(void *ctx, struct build_step *s)
{
	struct fake *f = ctx;

	fd_close(s->fd);
	assert_ok(fd_remove_tree(f->dir, s->name));
	f->open_steps--;
	free(s);
}

static inline int fake_cached(void *ctx, const struct digest *key, struct build_layer *ret)
{
	struct fake *f = ctx;

	f->asked++;
	for (unsigned i = f->ncache; i-- > 0;) {
		if (digest_eq(&f->cache[i].key, key)) {
			*ret = f->cache[i].layer;
			return 0;
		}
	}
	return err(-ENOENT, "no such key");
}

static inline void fake_progress(void *ctx, const char *line)
{
	struct fake *f = ctx;

	assert_ok(strv_add(&f->lines, line));
}

/* As setup and teardown of each test. */
static inline int fake_open(void **state)
{
	struct fake *f = new0(struct fake);

	f->dir = temp_open(f->path);
	assert_ok(mkdirat(f->dir, "context", 0755));
	f->context = openat(f->dir, "context", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	f->o = (struct build_options){ .context_fd = f->context,
				       .file = "Containerfile",
				       .created = 1000000000 };
	*state = f;
	return 0;
}

static inline int fake_close(void **state)
{
	struct fake *f = *state;

	assert_int_equal(f->open_steps, 0);
	json_decref(f->config);
	json_decref(f->image);
	strv_free(f->lines);
	strv_free(f->argv);
	strv_free(f->env);
	free(f->cwd);
	free(f->user);
	fd_close(f->context);
	temp_close(f->path, f->dir);
	free(f);
	err_clear();
	return 0;
}

/* Builds @text; the counts and the lines are those of this build alone. */
static inline int fake_build(struct fake *f, const char *text)
{
	static const struct build_callbacks cb = { fake_from,	 fake_begin, fake_run,
						   fake_commit,	 fake_abort, fake_cached,
						   fake_progress };
	json_t *config;
	int r;

	f->nruns = f->begun = f->asked = 0;
	strv_free(f->lines);
	f->lines = NULL;
	f->o.text = text;
	f->o.text_len = strlen(text);
	r = build_run(&f->o, &cb, f, &config);
	assert_int_equal(f->open_steps, 0);
	if (r == 0) {
		assert_null(err_text());
		json_decref(f->config);
		f->config = config;
	}
	return r;
}

static inline void assert_built(struct fake *f, const char *text)
{
	int r = fake_build(f, text);

	if (r < 0)
		fail_msg("%s", err_take(r));
}

/* The build fails, and its text begins and goes on so. */
static inline void assert_fails(struct fake *f, const char *text, const char *begin,
				const char *part)
{
	int r = fake_build(f, text);
	const char *why;

	assert_true(r < 0);
	why = err_take(r);
	if (!str_after(why, begin) || !strstr(why, part))
		fail_msg("'%s' is not '%s...%s...'", why, begin, part);
}

/* The tree of the image that was built. */
static inline int fake_root(struct fake *f)
{
	const char *top = fake_top(f->config);
	int fd = top ? openat(f->dir, top, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;

	assert_true(fd >= 0);
	return fd;
}

static inline void assert_root_file(struct fake *f, const char *path, const char *text)
{
	_close_ int root = fake_root(f);

	assert_file(root, path, text);
}

static inline bool fake_said(const struct fake *f, const char *part)
{
	for (size_t i = 0; i < strv_len(f->lines); i++)
		if (strstr(f->lines[i], part))
			return true;
	return false;
}

#endif
