/* SPDX-License-Identifier: Apache-2.0 */
#include "cli/ps_filter.h"

#include "base/err.h"
#include "base/mem.h"
#include "base/str.h"
#include "cli/filter.h"
#include <regex.h>

static bool match_label(const void *entry, const char *value, _unused_ size_t i,
			_unused_ const void *ctx)
{
	return filter_label(((const struct ps_entry *)entry)->labels, value);
}

static bool match_id(const void *entry, const char *value, _unused_ size_t i,
		     _unused_ const void *ctx)
{
	return str_after(((const struct ps_entry *)entry)->id, value);
}

/* ---- name: a regular expression, found anywhere ---- */

static int check_name(const char *value)
{
	char why[128];
	regex_t x;
	int e = regcomp(&x, value, REG_EXTENDED | REG_NOSUB);

	if (e) {
		regerror(e, &x, why, sizeof(why));
		return err(-EINVAL, "filter 'name=%s': %s", value, why);
	}
	regfree(&x);
	return 0;
}

static bool match_name(const void *entry, const char *value, _unused_ size_t i,
		       _unused_ const void *ctx)
{
	const struct ps_entry *p = entry;
	bool found;
	regex_t x;

	if (regcomp(&x, value, REG_EXTENDED | REG_NOSUB))
		return false;
	found = regexec(&x, p->name, 0, NULL, 0) == 0;
	regfree(&x);
	return found;
}

/* ---- status, exited ---- */

/* "exited" is docker's word for it. */
static int parse_status(const char *value, enum inst_status *ret)
{
	static const enum inst_status all[] = { INST_CREATED, INST_RUNNING, INST_PAUSED,
						INST_STOPPED };

	for (size_t i = 0; i < ARRAY_SIZE(all); i++) {
		if (streq(value, inst_status_name(all[i])) ||
		    (all[i] == INST_STOPPED && streq(value, "exited"))) {
			*ret = all[i];
			return 0;
		}
	}
	return err(-EINVAL,
		   "filter 'status=%s': must be created, running, paused, stopped or exited",
		   value);
}

static int check_status(const char *value)
{
	enum inst_status s;

	return parse_status(value, &s);
}

static bool match_status(const void *entry, const char *value, _unused_ size_t i,
			 _unused_ const void *ctx)
{
	enum inst_status s;

	return parse_status(value, &s) == 0 && ((const struct ps_entry *)entry)->state->status == s;
}

static int check_exited(const char *value)
{
	uint64_t n;

	return str_u64(value, 0, 255, &n) == 0 ?
		       0 :
		       err(-EINVAL, "filter 'exited=%s': must be an exit code", value);
}

static bool match_exited(const void *entry, const char *value, _unused_ size_t i,
			 _unused_ const void *ctx)
{
	const struct inst_state *s = ((const struct ps_entry *)entry)->state;
	uint64_t n;

	return s->status == INST_STOPPED && str_u64(value, 0, 255, &n) == 0 &&
	       s->exit_code == (int)n;
}

/* ---- ancestor: an image by name, or one that its layers begin with ---- */

static bool begins_with(const struct ps_entry *p, const struct image *image)
{
	if (!image || !image->nlayers || image->nlayers > p->nlayers)
		return false;
	for (size_t n = 0; n < image->nlayers; n++)
		if (!digest_eq(&image->layers[n].diff_id, &p->layers[n]))
			return false;
	return true;
}

static bool match_ancestor(const void *entry, const char *value, size_t i, const void *ctx)
{
	const struct ps_filter *f = ctx;
	const struct ps_entry *p = entry;
	_free_ char *name = NULL;

	if (begins_with(p, f->ancestors[i]))
		return true;
	if (image_name_canonical(value, &name) == 0)
		return streq(p->image, name);
	err_clear();
	return false;
}

static const struct filter_key keys[] = {
	{ "label", true, NULL, match_label },
	{ "name", false, check_name, match_name },
	{ "id", false, NULL, match_id },
	{ "status", false, check_status, match_status },
	{ "exited", false, check_exited, match_exited },
	{ "ancestor", false, NULL, match_ancestor },
	{ 0 },
};

int ps_filter_init(struct ps_filter *f, struct store *s, char *const *words)
{
	int r = filter_check(keys, words);

	*f = (struct ps_filter){ .words = words };
	if (r < 0)
		return r;
	f->ancestors = mem_new(strv_len(words) + 1, sizeof(*f->ancestors));
	if (!f->ancestors)
		return -ENOMEM;
	for (size_t i = 0; i < strv_len(words); i++) {
		const char *ancestor = filter_value(words[i], "ancestor");

		if (filter_value(words[i], "status") || filter_value(words[i], "exited"))
			f->stopped = true;
		/* One that is not here any more has a name all the same. */
		if (ancestor && image_open(s, ancestor, &f->ancestors[i]) < 0)
			err_clear();
	}
	return 0;
}

void ps_filter_done(struct ps_filter *f)
{
	for (size_t i = 0; f->ancestors && i < strv_len(f->words); i++)
		image_close(f->ancestors[i]);
	free(f->ancestors);
	*f = (struct ps_filter){ 0 };
}

bool ps_filter_match(const struct ps_filter *f, const struct ps_entry *p)
{
	return filter_match(keys, f->words, p, f);
}
