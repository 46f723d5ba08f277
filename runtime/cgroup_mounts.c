/* SPDX-License-Identifier: Apache-2.0 */
#include "runtime/cgroup.h"

#include "base/err.h"
#include "base/fd.h"
#include "base/str.h"
#include "base/userns.h"

#define MOUNTINFO_MAX (16u << 20) /* bytes of /proc/self/mountinfo */

static const char *const controller_names[CGROUP_CONTROLLERS] = { "memory", "cpu", "pids", "io" };

const char *cgroup_controller_name(unsigned bit)
{
	for (unsigned i = 0; i < CGROUP_CONTROLLERS; i++) {
		if (bit & (1u << i))
			return controller_names[i];
	}
	return "?";
}

unsigned cgroup_controller_parse(const char *name, size_t len)
{
	if (len == 5 && memcmp(name, "blkio", len) == 0)
		return CGROUP_IO;
	for (unsigned i = 0; i < CGROUP_CONTROLLERS; i++) {
		if (strlen(controller_names[i]) == len &&
		    memcmp(controller_names[i], name, len) == 0)
			return 1u << i;
	}
	return 0;
}

/* The bits of the words in @list, which end with one of @ends. */
static unsigned parse_list(const char *list, const char *ends)
{
	unsigned bits = 0;

	while (*list) {
		size_t len = strcspn(list, ends);

		bits |= cgroup_controller_parse(list, len);
		list += len + !!list[len];
	}
	return bits;
}

static bool list_has(const char *list, const char *word)
{
	size_t n = strlen(word);

	return strncmp(list, word, n) == 0 && (list[n] == ',' || !list[n]);
}

static unsigned v2_controllers(const char *path)
{
	_close_ int dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	_free_ char *list = NULL;

	if (dir < 0 || file_read_all(dir, "cgroup.controllers", 4096, &list, NULL) < 0)
		return 0;
	return parse_list(list, " \n");
}

/* Whether our own group of v2, in @mount, is @dir or one below it. */
static bool inside(const char *mount, const char *dir)
{
	_free_ char *text = NULL;
	const char *below = str_after(dir, mount), *own, *rest;

	if (file_read_all(AT_FDCWD, "/proc/self/cgroup", MOUNTINFO_MAX, &text, NULL) < 0)
		return false;
	own = str_after(text, "0::") ? text : strstr(text, "\n0::");
	own = own ? strchr(own, '/') : NULL;
	rest = own && below ? str_after(own, below) : NULL;
	return rest && (*rest == '/' || *rest == '\n');
}

/*
 * The root of the hierarchy is not ours to write: below it systemd gives each user who is logged in
 * a group of his own, that of his manager (systemd's CGROUP_DELEGATION.md).
 */
static int find_delegated(struct cgroup_mount *m)
{
	_free_ char *dir = NULL;
	unsigned uid;

	if (access(m->path, W_OK) == 0)
		return 0;
	uid = userns_outside(geteuid());
	dir = str_fmt("%s/user.slice/user-%u.slice/user@%u.service", m->path, uid, uid);
	if (!dir)
		return -ENOMEM;
	if (access(dir, W_OK) < 0)
		return 0;
	m->outside = !inside(m->path, dir);
	free(m->path);
	m->path = take_ptr(dir);
	return 0;
}

/* Whether an earlier mount offers it all: the same hierarchy may be mounted twice. */
static bool known(const struct cgroup_mounts *all, const struct cgroup_mount *m)
{
	for (size_t i = 0; i < all->n; i++) {
		if (m->v2 ? all->m[i].v2 :
			    (!all->m[i].v2 && all->m[i].controllers & m->controllers))
			return true;
	}
	return false;
}

static int add_mount(struct cgroup_mounts *all, const struct cgroup_mount *m, char *path)
{
	struct cgroup_mount *new = &all->m[all->n];

	if ((!m->v2 && !m->controllers) || all->n == CGROUP_MOUNTS_MAX || known(all, m))
		return 0;
	str_unescape_octal(path);
	*new = *m;
	new->path = strdup(path);
	if (!new->path)
		return -ENOMEM;
	all->n++;
	if (!m->v2)
		return 0;
	if (find_delegated(new) < 0)
		return -ENOMEM;
	new->controllers = v2_controllers(new->path);
	return 0;
}

/*
 * "31 23 0:28 /root /mount/point rw,relatime shared:1 - cgroup source rw,memory": the 5th field and
 * what follows.
 */
static int parse_line(struct cgroup_mounts *all, char *line)
{
	struct cgroup_mount m = { 0 };
	char *field[6], *tail = strstr(line, " - "), *type, *super;

	if (!tail)
		return 0;
	*tail = '\0';
	type = tail + 3;
	super = strrchr(type, ' ');
	if (!super)
		return 0;
	m.v2 = str_after(type, "cgroup2 ") != NULL;
	if (!m.v2 && !str_after(type, "cgroup "))
		return 0;
	for (int i = 0; i < 6; i++) {
		field[i] = i ? strchr(field[i - 1], ' ') : line;
		if (!field[i])
			return 0;
		if (i)
			*field[i]++ = '\0';
	}
	field[5][strcspn(field[5], " ")] = '\0';
	m.rdonly = list_has(field[5], "ro") || list_has(super + 1, "ro");
	if (!m.v2)
		m.controllers = parse_list(super + 1, ",");
	return add_mount(all, &m, field[4]);
}

int cgroup_mounts_find(struct cgroup_mounts *ret)
{
	struct cgroup_mounts all = { .n = 0 };
	_free_ char *text = NULL;
	int r;

	r = file_read_all(AT_FDCWD, "/proc/self/mountinfo", MOUNTINFO_MAX, &text, NULL);
	if (r < 0)
		return err(r, "/proc/self/mountinfo: %s", strerror(-r));
	for (char *line = text, *next; line && *line; line = next) {
		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		r = parse_line(&all, line);
		if (r < 0) {
			cgroup_mounts_done(&all);
			return r;
		}
	}
	*ret = all;
	return 0;
}

void cgroup_mounts_done(struct cgroup_mounts *m)
{
	while (m->n)
		free(m->m[--m->n].path);
}
