/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/spec_tmpfs.h"

#include "base/err.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"

#define MODE_MAX     01777
#define MODE_DEFAULT 01777

/* ---- what the user says ---- */

static int bad(const char *text, const char *option)
{
	return err(-EINVAL,
		   "tmpfs '%s': '%s' is none of size=BYTES[kmg], mode=OCTAL, ro, rw, exec, noexec, "
		   "suid, nosuid and nodev",
		   text, option);
}

static bool take_flag(struct run_tmpfs *t, const char *word)
{
	const struct {
		const char *word;
		bool *flag, value;
	} flags[] = {
		{ "ro", &t->rdonly, true }, { "rw", &t->rdonly, false },
		{ "exec", &t->exec, true }, { "noexec", &t->exec, false },
		{ "suid", &t->suid, true }, { "nosuid", &t->suid, false },
		{ "nodev", NULL, true }, /* it is so always */
	};

	for (size_t i = 0; i < ARRAY_SIZE(flags); i++) {
		if (!streq(word, flags[i].word))
			continue;
		if (flags[i].flag)
			*flags[i].flag = flags[i].value;
		return true;
	}
	return false;
}

static int take_option(struct run_tmpfs *t, const char *word)
{
	const char *size = str_after(word, "size="), *mode = str_after(word, "mode=");
	uint64_t n;

	if (size)
		return str_size(size, &t->size) == 0 && t->size && t->size <= INT64_MAX ? 0 :
											  -EINVAL;
	if (!mode)
		return take_flag(t, word) ? 0 : -EINVAL;
	if (str_number(&mode, 8, MODE_MAX, &n) < 0 || *mode || !n)
		return -EINVAL;
	t->mode = (unsigned)n;
	return 0;
}

static int take_options(struct run_tmpfs *t, const char *text, char *options)
{
	for (char *word = options, *end; word; word = end) {
		end = strchr(word, ',');
		if (end)
			*end++ = '\0';
		if (*word && take_option(t, word) < 0)
			return bad(text, word);
	}
	return 0;
}

static bool is_taken(const struct run_spec *s, const char *target)
{
	for (size_t i = 0; i < s->nvolumes; i++)
		if (streq(s->volumes[i].target, target))
			return true;
	for (size_t i = 0; i < s->ndisks; i++)
		if (streq(s->disks[i].target, target))
			return true;
	for (size_t i = 0; i < s->ntmpfs; i++)
		if (streq(s->tmpfs[i].target, target))
			return true;
	return false;
}

static int add_tmpfs(struct run_spec *s, const struct run_tmpfs *t, const char *target)
{
	size_t cap = s->ntmpfs;
	int r = mem_grow(&s->tmpfs, &cap, s->ntmpfs + 1, sizeof(*t));

	if (r < 0)
		return r;
	s->tmpfs[s->ntmpfs] = *t;
	s->tmpfs[s->ntmpfs].target = strdup(target);
	if (!s->tmpfs[s->ntmpfs].target)
		return -ENOMEM;
	s->ntmpfs++;
	return 0;
}

int spec_parse_tmpfs(struct run_spec *s, const char *text)
{
	struct run_tmpfs t = { .mode = MODE_DEFAULT };
	_free_ char *target = strdup(text);
	char *options = target ? strchr(target, ':') : NULL;
	int r;

	if (!target)
		return -ENOMEM;
	if (options)
		*options++ = '\0';
	if (*target != '/')
		return err(-EINVAL, "tmpfs '%s': must be /TARGET[:OPTION,...]", text);
	if (strspn(target, "/.") == strlen(target))
		return err(-EINVAL, "tmpfs '%s': it cannot be in place of the whole root", text);
	if (is_taken(s, target))
		return err(-EINVAL, "tmpfs '%s': something else is mounted there", text);
	r = take_options(&t, text, options);
	return r < 0 ? r : add_tmpfs(s, &t, target);
}

void spec_tmpfs_free(struct run_spec *s)
{
	for (size_t i = 0; i < s->ntmpfs; i++)
		free(s->tmpfs[i].target);
	free(s->tmpfs);
}

/* ---- config.json ---- */

void spec_tmpfs_to_json(const struct run_spec *s, json_t *config)
{
	json_t *a = s->ntmpfs ? json_array() : NULL;

	for (size_t i = 0; i < s->ntmpfs; i++) {
		const struct run_tmpfs *t = &s->tmpfs[i];

		json_array_append_new(a, json_pack("{s:s, s:I, s:i, s:b, s:b, s:b}", "target",
						   t->target, "size", (json_int_t)t->size, "mode",
						   (int)t->mode, "readOnly", (int)t->rdonly, "exec",
						   (int)t->exec, "suid", (int)t->suid));
	}
	if (a)
		json_object_set_new(config, "tmpfs", a);
}

int spec_tmpfs_from_json(const json_t *config, struct run_spec *s)
{
	const json_t *a = json_get_array(config, "tmpfs"), *j;
	size_t i;
	int r = 0;

	json_array_foreach(a, i, j)
	{
		const char *target = json_get_str(j, "target");
		const struct run_tmpfs t = {
			.size = (uint64_t)json_get_int(j, "size", 0),
			.mode = (unsigned)json_get_int(j, "mode", MODE_DEFAULT) & MODE_MAX,
			.rdonly = json_get_bool(j, "readOnly", 0),
			.exec = json_get_bool(j, "exec", 0),
			.suid = json_get_bool(j, "suid", 0),
		};

		r = target ? add_tmpfs(s, &t, target) : -EBADMSG;
		if (r < 0)
			break;
	}
	return r;
}

/* ---- the order ---- */

static size_t depth(const char *path)
{
	size_t n = 0;

	for (; *path; path++)
		n += *path == '/' && path[1] && path[1] != '/';
	return n;
}

/* Of one depth they stay as they were said. */
static int parents_first(const void *pa, const void *pb)
{
	const struct place *a = pa, *b = pb;
	size_t da = depth(a->target), db = depth(b->target);

	if (da != db)
		return da < db ? -1 : 1;
	if (a->kind != b->kind)
		return a->kind < b->kind ? -1 : 1;
	return a->i < b->i ? -1 : a->i > b->i;
}

ssize_t spec_places(const struct run_spec *s, struct place **ret)
{
	struct place *p = mem_new(s->nvolumes + s->ndisks + s->ntmpfs, sizeof(*p));
	size_t n = 0;

	if (!p)
		return -ENOMEM;
	for (size_t i = 0; i < s->nvolumes; i++)
		p[n++] = (struct place){ PLACE_VOLUME, i, s->volumes[i].target };
	for (size_t i = 0; i < s->ndisks; i++)
		if (s->disks[i].target[0])
			p[n++] = (struct place){ PLACE_DISK, i, s->disks[i].target };
	for (size_t i = 0; i < s->ntmpfs; i++)
		p[n++] = (struct place){ PLACE_TMPFS, i, s->tmpfs[i].target };
	qsort(p, n, sizeof(*p), parents_first);
	*ret = p;
	return (ssize_t)n;
}
