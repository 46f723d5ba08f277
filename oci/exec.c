/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A further process in a container that runs: of a document (--process), or of config.json's
 * process with what the options change.
 */
#include "base/err.h"
#include "base/fd.h"
#include "base/str.h"
#include "oci/bundle.h"
#include "oci/parts.h"
#include "oci/process.h"
#include <limits.h>
#include <sched.h>
#include <sys/stat.h>

struct exec {
	const struct oci_options *o;
	struct folder f;
	struct oci_config *c,
		*base; /* the process; the container's config, where it is asked for */
	struct making making;
	struct sock_fprog filter;
	char **env;
	int init; /* pidfd of the container's first process */
};

static const struct {
	const char *name;
	int flag;
} namespaces[] = {
	{ "user", CLONE_NEWUSER }, { "mnt", CLONE_NEWNS },	  { "pid", CLONE_NEWPID },
	{ "ipc", CLONE_NEWIPC },   { "uts", CLONE_NEWUTS },	  { "net", CLONE_NEWNET },
	{ "time", CLONE_NEWTIME }, { "cgroup", CLONE_NEWCGROUP },
};

/* Those of the first process that are others than ours. */
static int find_namespaces(struct exec *e)
{
	for (size_t i = 0; i < ARRAY_SIZE(namespaces); i++) {
		char theirs[64], ours[64];
		struct stat a, b;

		snprintf(theirs, sizeof(theirs), "/proc/%d/ns/%s", e->f.pid, namespaces[i].name);
		snprintf(ours, sizeof(ours), "/proc/self/ns/%s", namespaces[i].name);
		if (stat(ours, &b) < 0)
			continue; /* an old kernel without it */
		if (stat(theirs, &a) < 0)
			return err(-errno, "container not running");
		if (a.st_ino != b.st_ino)
			e->c->namespaces[e->c->given.nnamespaces++] =
				(struct ctr_namespace){ namespaces[i].flag, -1 };
	}
	return 0;
}

static int read_process(struct exec *e)
{
	_free_ char *text = NULL;
	size_t len;
	int r = file_read_all(AT_FDCWD, e->o->process, JSON_MAX, &text, &len);

	return r < 0 ? err(r, "%s: %s", e->o->process, strerror(-r)) :
		       oci_process_parse(text, len, &e->c);
}

/* "uid[:gid]": names are the image's, whose files no runtime reads. */
static int parse_user(const char *user, struct ctr_given *g)
{
	char uid[16];
	const char *colon = strchrnul(user, ':');
	uint64_t n;

	if (colon - user >= (long)sizeof(uid))
		return err(-EINVAL, "--user: \"%s\" is no uid[:gid]", user);
	snprintf(uid, sizeof(uid), "%.*s", (int)(colon - user), user);
	if (str_u64(uid, 0, UINT32_MAX - 1, &n) < 0)
		return err(-EINVAL, "--user: \"%s\" is no uid[:gid]", user);
	g->uid = (uid_t)n;
	if (*colon && str_u64(colon + 1, 0, UINT32_MAX - 1, &n) < 0)
		return err(-EINVAL, "--user: \"%s\" is no uid[:gid]", user);
	if (*colon)
		g->gid = (gid_t)n;
	return 0;
}

static int add_caps(char *const *names, struct ctr_caps *c)
{
	for (; names && *names; names++) {
		uint64_t bit = oci_cap(*names);

		if (!bit)
			return err(-EINVAL, "--cap: unknown capability %s", *names);
		c->bounding |= bit;
		c->effective |= bit;
		c->permitted |= bit;
	}
	return 0;
}

static int add_groups(char *const *words, struct oci_config *c)
{
	size_t n = strv_len((char **)words);
	gid_t *groups = keep_new(&c->mem, c->given.ngroups + n, sizeof(*groups));

	if (!groups)
		return -ENOMEM;
	for (size_t i = 0; i < c->given.ngroups; i++)
		groups[i] = c->given.groups[i];
	for (size_t i = 0; i < n; i++) {
		uint64_t gid;

		if (str_u64(words[i], 0, UINT32_MAX - 1, &gid) < 0)
			return err(-EINVAL, "--additional-gids: \"%s\" is no group's number",
				   words[i]);
		groups[c->given.ngroups + i] = (gid_t)gid;
	}
	c->given.groups = groups;
	c->given.ngroups += n;
	return 0;
}

/* The container's own process, changed. */
static int change_process(struct exec *e)
{
	const struct oci_options *o = e->o;
	struct oci_config *c = e->base;
	int r = o->user ? parse_user(o->user, &c->given) : 0;

	e->c = take_ptr(e->base);
	c->spec.argv = o->args;
	c->spec.tty = o->tty;
	c->spec.no_new_privs |= o->no_new_privs;
	if (o->cwd)
		c->spec.cwd = o->cwd;
	if (r >= 0)
		r = strv_dup(c->spec.env, &e->env);
	for (char *const *v = o->env; r >= 0 && v && *v; v++)
		r = strv_setenv(&e->env, *v);
	c->spec.env = e->env;
	if (r >= 0)
		r = add_groups(o->groups, c);
	return r < 0 ? r : add_caps(o->caps, &c->given.caps);
}

/* Where the first process is: on v2 it may have moved on into a group below (systemd does). */
static int open_group(struct exec *e)
{
	const struct cgroup_folder *v2 = oci_cgroup_of(&e->f.cgroup, NULL);
	_free_ char *text = NULL, *path = NULL;
	const char *at;
	char file[48];

	if (!v2)
		return 0;
	snprintf(file, sizeof(file), "/proc/%d/cgroup", e->f.pid);
	if (file_read_all(AT_FDCWD, file, 65536, &text, NULL) < 0)
		return err(-ESRCH, "container not running");
	at = str_after(text, "0::") ?: strstr(text, "\n0::");
	at = at && *at == '\n' ? at + strlen("\n0::") : at;
	path = at && *at == '/' ? str_fmt("%s%.*s", v2->mount, (int)strcspn(at, "\n"), at) : NULL;
	e->c->spec.cgroup_fd = open(path && str_after(path, v2->dir) ? path : v2->dir,
				    O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return e->c->spec.cgroup_fd < 0 ? err_sys("cgroup %s", v2->dir) : 0;
}

static int prepare(struct exec *e)
{
	struct oci_config *c;
	int r = oci_config_read(e->f.fd, FOLDER_CONFIG, &e->base);

	if (r >= 0)
		r = e->o->process ? read_process(e) : change_process(e);
	if (r < 0)
		return r;
	c = e->c;
	c->given.nnamespaces = 0;
	c->given.preserve_fds = e->o->preserve_fds;
	bundle_labels(c);
	r = console_check(e->o, c->spec.tty);
	if (r >= 0)
		r = bundle_seccomp(c, (e->base ?: c)->seccomp, e->f.root, &e->filter);
	if (r >= 0)
		r = find_namespaces(e);
	if (r >= 0)
		r = open_group(e);
	making_set(&e->making, &e->f, c);
	return r;
}

static int check_running(struct exec *e)
{
	enum oci_status s = folder_status(&e->f);

	if (s == OCI_PAUSED)
		return err(-EBUSY, "cannot exec in a paused container");
	if (s != OCI_RUNNING && s != OCI_CREATED)
		return err(-ESRCH, "cannot exec in a stopped container: container not running");
	e->init = folder_pidfd(&e->f);
	return e->init;
}

static int launch(struct exec *e, struct oci_process *ret)
{
	struct oci_process p;
	struct ctr *ctr;
	int r = ctr_exec(e->init, &e->c->spec, &ctr);

	if (r < 0)
		return r;
	p = process_of(ctr);
	r = process_tell(e->o, &p);
	if (r >= 0)
		r = oci_process_start(&p);
	if (r < 0)
		ctr_abort(p.ctr);
	else
		*ret = p;
	return r;
}

int oci_exec(const struct oci_options *o, const char *id, struct oci_process *ret)
{
	struct exec e = { .o = o, .f = FOLDER_NONE, .init = -1 };
	int r = preserve_check(o->preserve_fds);

	if (r >= 0)
		r = ctr_protect(o->argv);
	if (r >= 0)
		r = folder_open(o, id, false, &e.f);
	if (r >= 0)
		r = check_running(&e);
	if (r >= 0)
		r = prepare(&e);
	r = process_error(r);
	if (r >= 0)
		r = launch(&e, ret);
	fd_close(e.init);
	strv_free(e.env);
	oci_config_free(e.c);
	oci_config_free(e.base);
	folder_done(&e.f);
	return r;
}
