/* SPDX-License-Identifier: Apache-2.0 */
/* Where the hierarchies are, and making a container's folder in each. */
#include "oci/cgroup.h"

#include "base/err.h"
#include "base/fd.h"
#include "base/str.h"
#include "base/userns.h"
#include <sys/stat.h>

#define MOUNTINFO_MAX (16u << 20)
#define SLICE_DEPTH   16

/* "a-b.slice" is a.slice/a-b.slice (systemd.slice(5)); "-.slice" and "" are the root. */
static const char *slice_path(struct keep *a, const char *slice)
{
	size_t len = strlen(slice);
	const char *path = "", *dash = slice;
	int depth = 0;

	if (str_ends(slice, ".slice"))
		len -= strlen(".slice");
	if (!len || (len == 1 && *slice == '-'))
		return "";
	do {
		dash = memchr(dash, '-', len - (size_t)(dash - slice));
		path = keep_fmt(a, "%s/%.*s.slice", path, dash ? (int)(dash - slice) : (int)len,
				slice);
	} while (path && dash && ++dash < slice + len && ++depth < SLICE_DEPTH);
	return path;
}

static bool has_dots(const char *path)
{
	for (const char *s = path; s; s = strchr(s, '/')) {
		s += *s == '/';
		if (s[0] == '.' && s[1] == '.' && (!s[2] || s[2] == '/'))
			return true;
	}
	return false;
}

const char *oci_cgroup_path(struct keep *a, const char *cgroups_path, const char *id)
{
	const char *one = cgroups_path ? strchr(cgroups_path, ':') : NULL;
	const char *two = one ? strchr(one + 1, ':') : NULL, *slice;

	if (!cgroups_path || !*cgroups_path)
		return keep_fmt(a, "/strata-oci/%s", id);
	if (has_dots(cgroups_path))
		return NULL;
	if (!two || *cgroups_path == '/')
		return keep_fmt(a, "%s%s", *cgroups_path == '/' ? "" : "/", cgroups_path);
	slice = keep_fmt(a, "%.*s", (int)(one - cgroups_path), cgroups_path);
	slice = slice && *slice ? slice_path(a, slice) : "/system.slice";
	if (!slice || strchr(one + 1, '/'))
		return NULL;
	if (str_ends(two + 1, ".slice"))
		return keep_fmt(a, "%s/%s", slice, two + 1);
	return one + 1 == two ? keep_fmt(a, "%s/%s.scope", slice, two + 1) :
				keep_fmt(a, "%s/%.*s-%s.scope", slice, (int)(two - one - 1),
					 one + 1, two + 1);
}

/* What of a v1 hierarchy's options (proc(5)) is a controller or its name. */
static char *controllers(struct keep *a, char *super)
{
	char *out = keep_fmt(a, "%s", ""), *at;

	for (char *w = strtok_r(super, ",", &at); w && out; w = strtok_r(NULL, ",", &at)) {
		if (!streq(w, "rw") && !streq(w, "ro") && !streq(w, "xattr") &&
		    !streq(w, "noprefix") && !streq(w, "clone_children") &&
		    !str_after(w, "release_agent=") && !streq(w, "seclabel"))
			out = keep_fmt(a, "%s%s%s", out, *out ? "," : "", w);
	}
	return out;
}

static bool known(const struct oci_cgroup *g, const struct cgroup_folder *f)
{
	for (size_t i = 0; i < g->n; i++) {
		if (g->f[i].v2 == f->v2 && streq(g->f[i].names, f->names))
			return true;
	}
	return false;
}

/* "31 23 0:28 /root /mount/point rw - cgroup source rw,memory" */
static int parse_line(struct keep *a, char *line, struct oci_cgroup *g)
{
	char *tail = strstr(line, " - "), *type, *super, *at = NULL, *mount = NULL;
	struct cgroup_folder f = { 0 };

	if (!tail)
		return 0;
	*tail = '\0';
	type = tail + 3;
	f.v2 = str_after(type, "cgroup2 ") != NULL;
	super = strrchr(type, ' ');
	if (!super || (!f.v2 && !str_after(type, "cgroup ")))
		return 0;
	for (int i = 0; i < 5; i++)
		mount = strtok_r(i ? NULL : line, " ", &at);
	if (!mount || strchr(mount, '\\'))
		return 0;
	f.names = f.v2 ? "" : controllers(a, super + 1);
	f.mount = keep_fmt(a, "%s", mount);
	if (!f.names || !f.mount)
		return -ENOMEM;
	if (g->n < CGROUPS_MAX && !known(g, &f))
		g->f[g->n++] = f;
	return 0;
}

int oci_cgroup_find(struct keep *a, char *mountinfo, struct oci_cgroup *ret)
{
	*ret = (struct oci_cgroup){ .n = 0 };
	for (char *line = mountinfo, *next; line && *line; line = next) {
		int r;

		next = strchr(line, '\n');
		if (next)
			*next++ = '\0';
		r = parse_line(a, line, ret);
		if (r < 0)
			return r;
	}
	return 0;
}

static bool has_word(const char *list, const char *word, const char *ends)
{
	size_t len = strlen(word);

	for (const char *s = list; *s; s += strcspn(s, ends), s += !!*s) {
		if (strcspn(s, ends) == len && !memcmp(s, word, len))
			return true;
	}
	return false;
}

/* Only what is missing: each such write stops every fork of the machine for a moment. */
static void enable_controllers(int dir)
{
	_free_ char *there = NULL, *on = NULL;
	char *at, word[64];

	if (file_read_all(dir, "cgroup.controllers", 4096, &there, NULL) < 0 ||
	    file_read_all(dir, "cgroup.subtree_control", 4096, &on, NULL) < 0)
		return;
	for (char *w = strtok_r(there, " \n", &at); w; w = strtok_r(NULL, " \n", &at)) {
		if (!has_word(on, w, " \n") &&
		    snprintf(word, sizeof(word), "+%s", w) < (int)sizeof(word))
			file_write(dir, "cgroup.subtree_control", word);
	}
}

/* A new group of cpuset v1 can hold nobody until it has processors and memory. */
static void inherit_cpuset(int parent, int dir)
{
	static const char *const files[] = { "cpuset.cpus", "cpuset.mems" };

	for (size_t i = 0; i < ARRAY_SIZE(files); i++) {
		_free_ char *own = NULL, *from = NULL;

		if (file_read_all(dir, files[i], 4096, &own, NULL) >= 0 && *own && *own != '\n')
			continue;
		if (file_read_all(parent, files[i], 4096, &from, NULL) >= 0)
			file_write(dir, files[i], from);
	}
}

/* One name further down: what is @dir becomes the folder below it. */
static int step(const struct cgroup_folder *f, int *dir, const char *name, bool *made)
{
	int next;

	if (f->v2)
		enable_controllers(*dir);
	*made = mkdirat(*dir, name, 0755) == 0;
	if (!*made && errno != EEXIST)
		return -errno;
	next = openat(*dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (next < 0)
		return -errno;
	if (has_word(f->names, "cpuset", ","))
		inherit_cpuset(*dir, next);
	fd_close(*dir);
	*dir = next;
	return 0;
}

static int make(struct keep *a, struct cgroup_folder *f, const char *path)
{
	_close_ int dir = open(f->mount, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_free_ char *copy = strdup(path);
	char *at;
	int r = dir < 0 ? -errno : copy ? 0 : -ENOMEM;

	for (char *n = r < 0 ? NULL : strtok_r(copy, "/", &at); n && r >= 0;
	     n = strtok_r(NULL, "/", &at))
		r = step(f, &dir, n, &f->made);
	if (r >= 0 && !f->made)
		r = oci_cgroup_held(dir);
	if (r > 0)
		return err(-EBUSY, "cgroup %s%s: it holds other processes already", f->mount, path);
	if (r < 0)
		return r;
	f->dir = keep_fmt(a, "%s%s", f->mount, path);
	return f->dir ? 0 : -ENOMEM;
}

int oci_cgroup_make(struct keep *a, const char *path, struct oci_cgroup *ret)
{
	_free_ char *text = NULL;
	struct oci_cgroup all, g = { .n = 0 };
	bool privileged = !userns_ids();
	int r = file_read_all(AT_FDCWD, "/proc/self/mountinfo", MOUNTINFO_MAX, &text, NULL);

	if (r >= 0)
		r = oci_cgroup_find(a, text, &all);
	for (size_t i = 0; r >= 0 && i < all.n; i++) {
		r = make(a, &all.f[i], path);
		if (r >= 0)
			g.f[g.n++] = all.f[i];
		else if (r == -EROFS || (!privileged && (r == -EACCES || r == -EPERM)))
			r = 0;
		else
			err(r, "cgroup %s%s: %s", all.f[i].mount, path, strerror(-r));
	}
	if (r < 0) {
		oci_cgroup_remove(&g);
		return r;
	}
	*ret = g;
	return 0;
}

const struct cgroup_folder *oci_cgroup_of(const struct oci_cgroup *g, const char *name)
{
	for (size_t i = 0; i < g->n; i++) {
		if (name ? !g->f[i].v2 && has_word(g->f[i].names, name, ",") : g->f[i].v2)
			return &g->f[i];
	}
	return NULL;
}

json_t *oci_cgroup_json(const struct oci_cgroup *g)
{
	json_t *list = json_array();

	for (size_t i = 0; list && i < g->n; i++) {
		const struct cgroup_folder *f = &g->f[i];

		json_array_append_new(list, json_pack("{s:s,s:s,s:s,s:b,s:b}", "mount", f->mount,
						      "dir", f->dir, "names", f->names, "v2", f->v2,
						      "made", f->made));
	}
	return list;
}

int oci_cgroup_load(struct keep *a, const json_t *j, struct oci_cgroup *ret)
{
	*ret = (struct oci_cgroup){ .n = 0 };
	for (size_t i = 0; i < MIN(json_array_size(j), (size_t)CGROUPS_MAX); i++) {
		const json_t *o = json_array_get(j, i);
		struct cgroup_folder *f = &ret->f[ret->n++];

		f->mount = keep_fmt(a, "%s", json_get_str(o, "mount") ?: "");
		f->dir = keep_fmt(a, "%s", json_get_str(o, "dir") ?: "");
		f->names = keep_fmt(a, "%s", json_get_str(o, "names") ?: "");
		f->v2 = json_get_bool(o, "v2", false);
		f->made = json_get_bool(o, "made", false);
		if (!f->mount || !f->dir || !f->names)
			return -ENOMEM;
	}
	return 0;
}
