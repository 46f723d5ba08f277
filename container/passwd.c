/* SPDX-License-Identifier: Apache-2.0 */
/*
 * passwd(5) and group(5) of the image, a line at a time in a buffer of fixed size. A line that does
 * not fit, or has a NUL or too few fields, is no entry; a file is read no further than
 * FILE_MAX_BYTES. Anything but a regular file reads as an empty one.
 */
#include "container/passwd.h"

#include "base/err.h"
#include "base/fd.h"
#include "base/mem.h"
#include "base/str.h"
#include <stdbool.h>
#include <sys/stat.h>

#define LINE_MAX_BYTES 16384 /* a group with a thousand members */
#define FILE_MAX_BYTES (4u << 20)
#define GROUPS_MAX     1024	   /* supplementary groups; the kernel takes 65,536 (NGROUPS_MAX) */
#define ID_MAX	       4294967294u /* (uid_t)-1 means "unchanged" to the kernel */
#define PASSWD_FIELDS  7	   /* name, password, uid, gid, comment, home, shell */
#define GROUP_FIELDS   4	   /* name, password, gid, members */

/* Called with each line, its NUL in place of the newline; anything but 0 ends the walk. */
typedef int line_fn(void *ctx, char *line);

struct lines {
	int fd;
	size_t start, len, total;
	bool skipping; /* inside a line that did not fit */
	char data[LINE_MAX_BYTES];
};

static int lines_fill(struct lines *l)
{
	ssize_t n;

	memmove(l->data, l->data + l->start, l->len);
	l->start = 0;
	if (l->len == sizeof(l->data)) {
		l->skipping = true;
		l->len = 0;
	}
	if (l->total >= FILE_MAX_BYTES)
		return 0;
	n = read(l->fd, l->data + l->len, sizeof(l->data) - l->len);
	if (n <= 0)
		return 0;
	l->len += (size_t)n;
	l->total += (size_t)n;
	return 1;
}

static int lines_walk(struct lines *l, line_fn *fn, void *ctx)
{
	for (;;) {
		char *line = l->data + l->start, *end = memchr(line, '\n', l->len);
		size_t len;
		int r = 0;

		if (!end) {
			if (lines_fill(l))
				continue;
			return 0; /* what is left has no newline: passwd(5) lines have one */
		}
		len = (size_t)(end - line);
		*end = '\0';
		if (!l->skipping && strlen(line) == len)
			r = fn(ctx, line);
		l->skipping = false;
		l->start += len + 1;
		l->len -= len + 1;
		if (r)
			return r;
	}
}

static int file_walk(int root, const char *path, line_fn *fn, void *ctx)
{
	struct lines l = { .start = 0 };
	_close_ int fd = fd_open_in_root(root, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);
	struct stat st;

	if (fd < 0)
		return 0;
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return 0;
	l.fd = fd;
	return lines_walk(&l, fn, ctx);
}

/* Cuts @line at its colons into at most @max fields; how many there are. */
static int fields(char *line, char **f, int max)
{
	int n = 0;

	while (n < max) {
		f[n++] = line;
		line = strchr(line, ':');
		if (!line)
			break;
		*line++ = '\0';
	}
	return n;
}

static bool number(const char *s, uint32_t *ret)
{
	uint64_t n;

	if (str_u64(s, 0, ID_MAX, &n) < 0)
		return false;
	*ret = (uint32_t)n;
	return true;
}

struct lookup {
	const char *want; /* the user or the group asked for, "" = uid 0 */
	bool numeric, found;
	uint32_t id;
	char name[256]; /* the entry's */
	struct user *u;
};

static bool matches(const struct lookup *l, const char *name, uint32_t id)
{
	return (l->numeric && id == l->id) || (*l->want && streq(name, l->want));
}

static int passwd_line(void *ctx, char *line)
{
	struct lookup *l = ctx;
	char *f[PASSWD_FIELDS];
	uint32_t uid, gid;

	if (fields(line, f, PASSWD_FIELDS) < PASSWD_FIELDS - 1 || !*f[0])
		return 0;
	if (!number(f[2], &uid) || !number(f[3], &gid) || !matches(l, f[0], uid))
		return 0;
	l->found = true;
	l->u->uid = uid;
	l->u->gid = gid;
	if (str_copy(l->name, sizeof(l->name), f[0]) < 0)
		l->name[0] = '\0';
	if (*f[5] == '/' && str_copy(l->u->home, sizeof(l->u->home), f[5]) < 0)
		str_copy(l->u->home, sizeof(l->u->home), "/");
	return 1;
}

static bool listed(char *members, const char *name)
{
	for (char *next; members; members = next) {
		next = strchr(members, ',');
		if (next)
			*next++ = '\0';
		if (streq(members, name))
			return true;
	}
	return false;
}

static int add_group(struct user *u, gid_t gid)
{
	if (u->ngroups >= GROUPS_MAX)
		return 0;
	for (size_t i = 0; i < u->ngroups; i++) {
		if (u->groups[i] == gid)
			return 0;
	}
	if (mem_grow(&u->groups, &u->cap, u->ngroups + 1, sizeof(*u->groups)) < 0)
		return -ENOMEM;
	u->groups[u->ngroups++] = gid;
	return 0;
}

/* The group that was asked for by name or number. */
static int group_line(void *ctx, char *line)
{
	struct lookup *l = ctx;
	char *f[GROUP_FIELDS];
	uint32_t gid;

	if (fields(line, f, GROUP_FIELDS) < GROUP_FIELDS - 1 || !number(f[2], &gid) ||
	    !matches(l, f[0], gid))
		return 0;
	l->found = true;
	l->u->gid = gid;
	return 1;
}

/* Every group that lists the user. */
static int member_line(void *ctx, char *line)
{
	struct lookup *l = ctx;
	char *f[GROUP_FIELDS];
	uint32_t gid;

	if (fields(line, f, GROUP_FIELDS) < GROUP_FIELDS || !number(f[2], &gid) ||
	    !listed(f[3], l->name))
		return 0;
	return add_group(l->u, gid);
}

static int find_user(int root, const char *want, struct user *u, struct lookup *l)
{
	*l = (struct lookup){ .want = want, .u = u, .numeric = !*want };
	l->numeric = l->numeric || number(want, &l->id);
	file_walk(root, "etc/passwd", passwd_line, l);
	if (!l->found && !l->numeric)
		return err(-EINVAL, "unable to find user %s: no matching entries in passwd file",
			   want);
	if (!l->found)
		u->uid = l->id;
	return 0;
}

static int find_group(int root, const char *want, struct user *u)
{
	struct lookup l = { .want = want, .u = u };

	l.numeric = number(want, &l.id);
	file_walk(root, "etc/group", group_line, &l);
	if (!l.found && !l.numeric)
		return err(-EINVAL, "unable to find group %s: no matching entries in group file",
			   want);
	if (!l.found)
		u->gid = l.id;
	return add_group(u, u->gid);
}

void user_done(struct user *u)
{
	free(u->groups);
	u->groups = NULL;
	u->ngroups = u->cap = 0;
}

static int find(int root, const char *spec, struct user *u)
{
	char name[256];
	const char *colon = strchr(spec, ':');
	struct lookup l;
	int r;

	snprintf(name, sizeof(name), "%.*s", colon ? (int)MIN(colon - spec, 255) : 255, spec);
	r = find_user(root, name, u, &l);
	if (r < 0)
		return r;
	if (colon && colon[1])
		return find_group(root, colon + 1, u);
	r = add_group(u, u->gid);
	if (r < 0 || !l.found || !*l.name)
		return r;
	return file_walk(root, "etc/group", member_line, &l);
}

int user_find(int root, const char *spec, struct user *ret)
{
	struct user u = { .home = "/" };
	int r = find(root, spec ? spec : "", &u);

	if (r < 0) {
		user_done(&u);
		return r;
	}
	*ret = u;
	return 0;
}
