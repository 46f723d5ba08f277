/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who the command runs as, by the image's /etc/passwd and /etc/group, with docker's rules for what
 * is not said.
 */
#include "microvm/guest/init.h"

#include <ctype.h>
#include <errno.h>

#define FIELDS_MAX 7
#define ID_MAX	   UINT32_C(0xfffffffe)

/* A decimal id, the whole string. */
static bool parse_id(const char *s, uint32_t *ret)
{
	char *end;
	unsigned long long n;

	if (!isdigit((unsigned char)*s))
		return false;
	errno = 0;
	n = strtoull(s, &end, 10);
	if (*end || errno || n > ID_MAX)
		return false;
	*ret = (uint32_t)n;
	return true;
}

/* Splits a line at colons; what is missing is "". */
static void split(char *line, char *fields[FIELDS_MAX])
{
	static char empty[] = "";

	line[strcspn(line, "\n")] = '\0';
	for (unsigned i = 0; i < FIELDS_MAX; i++)
		fields[i] = line ? strsep(&line, ":") : empty;
}

/* Calls @fn for each line until it gives true. No file is an empty one. */
static void each(const char *path, bool (*fn)(void *ctx, char *fields[FIELDS_MAX]), void *ctx)
{
	FILE *f = fopen(path, "re");
	char *line = NULL, *fields[FIELDS_MAX];
	size_t size = 0;
	bool done = false;

	while (f && !done && getline(&line, &size, f) > 0) {
		split(line, fields);
		done = fn(ctx, fields);
	}
	free(line);
	if (f)
		fclose(f);
}

struct search {
	const char *name; /* as asked for */
	uint32_t id;
	bool numeric, found;
	char login[256]; /* the name found */
	struct user *user;
};

static bool passwd_line(void *ctx, char *f[FIELDS_MAX])
{
	struct search *s = ctx;
	uint32_t uid, gid;

	if (!parse_id(f[2], &uid) || !parse_id(f[3], &gid))
		return false;
	if (strcmp(f[0], s->name) != 0 && !(s->numeric && uid == s->id))
		return false;
	s->found = true;
	s->user->uid = uid;
	s->user->gid = gid;
	snprintf(s->login, sizeof(s->login), "%s", f[0]);
	snprintf(s->user->home, sizeof(s->user->home), "%s", f[5]);
	return true;
}

static bool group_line(void *ctx, char *f[FIELDS_MAX])
{
	struct search *s = ctx;
	uint32_t gid;

	if (!parse_id(f[2], &gid) || (strcmp(f[0], s->name) != 0 && !(s->numeric && gid == s->id)))
		return false;
	s->found = true;
	s->user->gid = gid;
	return true;
}

static bool member_line(void *ctx, char *f[FIELDS_MAX])
{
	struct search *s = ctx;
	char *list = f[3], *name;
	uint32_t gid;

	if (!parse_id(f[2], &gid))
		return false;
	while ((name = strsep(&list, ","))) {
		if (strcmp(name, s->login) == 0 && s->user->ngroups < USER_GROUPS_MAX) {
			s->user->groups[s->user->ngroups++] = gid;
			break;
		}
	}
	return false;
}

static int find_group(const char *name, struct user *u)
{
	struct search s = { .name = name, .user = u };

	s.numeric = parse_id(name, &s.id);
	each("/etc/group", group_line, &s);
	if (!s.found && !s.numeric) {
		failing_why = "no matching entries in group file";
		return failing(-EINVAL, "unable to find group %s", name);
	}
	if (!s.found)
		u->gid = s.id;
	return 0;
}

int user_find(const char *spec, struct user *ret)
{
	char name[256];
	const char *group = strchr(spec ? spec : "", ':');
	struct search s = { .name = name, .user = ret };

	*ret = (struct user){ .home = "/" };
	snprintf(name, sizeof(name), "%.*s", group ? (int)(group - spec) : 255,
		 spec && *spec ? spec : "0");
	if (!name[0])
		snprintf(name, sizeof(name), "0");
	s.numeric = parse_id(name, &s.id);
	each("/etc/passwd", passwd_line, &s);
	if (!s.found && !s.numeric) {
		failing_why = "no matching entries in passwd file";
		return failing(-EINVAL, "unable to find user %s", name);
	}
	if (!s.found)
		ret->uid = s.id;
	if (!ret->home[0])
		snprintf(ret->home, sizeof(ret->home), "/");
	if (group && group[1])
		return find_group(group + 1, ret);
	if (s.found)
		each("/etc/group", member_line, &s);
	return 0;
}
