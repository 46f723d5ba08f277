/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/images_filter.h"

#include "base/err.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "cli/filter.h"
#include <fnmatch.h>

static bool match_label(const void *entry, const char *value, _unused_ size_t i,
			_unused_ const void *ctx)
{
	const json_t *config = json_get_object(((const struct image *)entry)->config, "config");

	return filter_label(json_get_object(config, "Labels"), value);
}

static int check_dangling(const char *value)
{
	return streq(value, "true") || streq(value, "false") ?
		       0 :
		       err(-EINVAL, "filter 'dangling=%s': must be true or false", value);
}

static bool match_dangling(const void *entry, const char *value, _unused_ size_t i,
			   _unused_ const void *ctx)
{
	return streq(value, "true") == !((const struct image *)entry)->name;
}

/* ---- reference: a pattern for the name, whole or without its host, path or tag ---- */

/* What begins at @name, with its tag and without. */
static bool match_name(const char *pattern, const char *name)
{
	const char *colon = strrchr(name, ':');
	_free_ char *bare = colon ? strndup(name, (size_t)(colon - name)) : strdup(name);

	return fnmatch(pattern, name, FNM_PATHNAME) == 0 ||
	       (bare && fnmatch(pattern, bare, FNM_PATHNAME) == 0);
}

/* docker's rule for what is a host: the first part, with a dot or a colon, or localhost. */
static const char *behind_host(const char *name)
{
	size_t len = strcspn(name, "/");
	bool host = name[len] && (memchr(name, '.', len) || memchr(name, ':', len) ||
				  (len == 9 && strncmp(name, "localhost", len) == 0));

	return host ? name + len + 1 : name;
}

static bool match_reference(const void *entry, const char *value, size_t i, const void *ctx)
{
	const struct images_filter *f = ctx;
	const struct image *image = entry, *same = f->looked_up[i];
	const char *slash = image->name ? strrchr(image->name, '/') : NULL;

	if (same && digest_eq(&same->config_digest, &image->config_digest))
		return true;
	return image->name &&
	       (match_name(value, image->name) || match_name(value, behind_host(image->name)) ||
		(slash && match_name(value, slash + 1)));
}

static const struct filter_key keys[] = {
	{ "reference", false, NULL, match_reference },
	{ "dangling", false, check_dangling, match_dangling },
	{ "label", true, NULL, match_label },
	{ 0 },
};

int images_filter_init(struct images_filter *f, struct store *s, char *const *words)
{
	int r = filter_check(keys, words);

	*f = (struct images_filter){ .words = words };
	if (r < 0)
		return r;
	f->looked_up = mem_new(strv_len(words) + 1, sizeof(struct image *));
	if (!f->looked_up)
		return -ENOMEM;
	for (size_t i = 0; i < strv_len(words); i++) {
		const char *reference = filter_value(words[i], "reference");

		if (reference && image_open(s, reference, &f->looked_up[i]) < 0)
			err_clear();
	}
	return 0;
}

void images_filter_done(struct images_filter *f)
{
	for (size_t i = 0; f->looked_up && i < strv_len(f->words); i++)
		image_close(f->looked_up[i]);
	free(f->looked_up);
	*f = (struct images_filter){ 0 };
}

bool images_filter_match(const struct images_filter *f, const struct image *i)
{
	return filter_match(keys, f->words, i, f);
}
