/* SPDX-License-Identifier: Apache-2.0 */
/* `create`, and the first half of `run`. */
#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/proc.h"
#include "base/str.h"
#include "oci/bundle.h"
#include "oci/process.h"
#include <limits.h>
#include <sched.h>
#include <sys/socket.h>
#include <sys/un.h>

struct create {
	const struct oci_options *o;
	struct folder f;
	struct oci_config *c;
	struct making making;
	struct sock_fprog filter;
	char bundle[PATH_MAX];
	int dir, caller; /* the bundle; the caller's folder while we are in that, or -1 */
	int gate, host_proc;
};

/* Paths of the config are relative to the bundle, those of our options to where we were called. */
static int enter_bundle(struct create *t)
{
	t->caller = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (t->caller < 0 || fchdir(t->dir) < 0 || !getcwd(t->bundle, sizeof(t->bundle)))
		return err_sys("bundle");
	return 0;
}

static void leave_bundle(struct create *t)
{
	if (t->caller >= 0)
		(void)!fchdir(t->caller);
	t->caller = fd_close(t->caller);
}

static void create_done(struct create *t)
{
	leave_bundle(t);
	fd_close(t->dir);
	fd_close(t->gate);
	fd_close(t->host_proc);
	oci_config_free(t->c);
	folder_done(&t->f);
}

static bool has_hooks(const struct create *t, const char *name)
{
	return json_array_size(json_object_get(t->c->hooks, name)) > 0;
}

static int run_hooks(struct create *t, const char *name, pid_t pid)
{
	_json_ json_t *state = NULL;

	if (!has_hooks(t, name))
		return 0;
	t->f.pid = pid;
	state = folder_state_json(&t->f,
				  streq(name, "startContainer") ? OCI_CREATED : OCI_CREATING);
	return state ? hooks_run(t->c->hooks, name, state) : -ENOMEM;
}

static int hooks_entered(void *ctx, pid_t pid)
{
	int r = run_hooks(ctx, "prestart", pid);

	return r < 0 ? r : run_hooks(ctx, "createRuntime", pid);
}

/* In the process itself, whose number outside the host's procfs knows. */
static pid_t outside_pid(const struct create *t)
{
	char text[16];
	ssize_t n = readlinkat(t->host_proc, "self", text, sizeof(text) - 1);

	text[n < 0 ? 0 : n] = '\0';
	return (pid_t)strtol(text, NULL, 10);
}

static int hooks_mounted(void *ctx)
{
	return run_hooks(ctx, "createContainer", outside_pid(ctx));
}

static int hooks_starting(void *ctx)
{
	return run_hooks(ctx, "startContainer", outside_pid(ctx));
}

static void set_hooks(struct create *t)
{
	struct ctr_given *g = &t->c->given;

	g->ctx = t;
	if (has_hooks(t, "prestart") || has_hooks(t, "createRuntime"))
		g->entered = hooks_entered;
	if (has_hooks(t, "createContainer"))
		g->mounted = hooks_mounted;
	if (has_hooks(t, "startContainer"))
		g->starting = hooks_starting;
}

static int make_gate(struct create *t)
{
	struct sockaddr_un a = { .sun_family = AF_UNIX };

	snprintf(a.sun_path, sizeof(a.sun_path), "%s/" FOLDER_GATE, fd_path(t->f.fd).s);
	t->gate = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (t->gate < 0 || bind(t->gate, (struct sockaddr *)&a, sizeof(a)) < 0 ||
	    listen(t->gate, 1) < 0)
		return err_sys("cannot make the gate of the container");
	t->c->given.gate = t->gate;
	return 0;
}

/* What is known before there is a process: enough for `delete` to clean up. */
static int describe(struct create *t)
{
	json_t *s = t->f.state;
	char rootfs[2 * PATH_MAX];

	snprintf(rootfs, sizeof(rootfs), "%s%s%s", *t->c->root == '/' ? "" : t->bundle,
		 *t->c->root == '/' ? "" : "/", t->c->root);
	json_object_set_new(s, "bundle", json_string(t->bundle));
	json_object_set_new(s, "rootfs", json_string(rootfs));
	json_object_set_new(s, "created", json_string(clock_now_text().s));
	json_object_set_new(s, "ownPids",
			    json_boolean(config_has_namespace(t->c, CLONE_NEWPID, true)));
	if (t->c->annotations)
		json_object_set(s, "annotations", (json_t *)t->c->annotations);
	if (t->c->hooks)
		json_object_set(s, "hooks", (json_t *)t->c->hooks);
	return folder_save(&t->f);
}

static int make_cgroup(struct create *t)
{
	const char *path = oci_cgroup_path(&t->f.mem, t->c->cgroups_path, t->f.id);
	const struct cgroup_folder *v2;
	int r = path ? oci_cgroup_make(&t->f.mem, path, &t->f.cgroup) :
		       err(-EINVAL, "config: cgroupsPath %s is none", t->c->cgroups_path);

	if (r >= 0)
		r = describe(t);
	if (r >= 0 && (t->f.cgroup.n || t->c->resources))
		r = oci_cgroup_apply(&t->f.cgroup, t->c->resources, t->c->devices, false);
	if (r >= 0)
		r = bundle_cgroup_view(t->c, &t->f.cgroup);
	if (r < 0)
		return r;
	v2 = oci_cgroup_of(&t->f.cgroup, NULL);
	if (v2) {
		t->c->spec.cgroup_fd = open(v2->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (t->c->spec.cgroup_fd < 0)
			return err_sys("cgroup %s", v2->dir);
	}
	return 0;
}

static int read_bundle(struct create *t)
{
	const char *path = t->o->bundle ?: ".";

	t->dir = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return t->dir < 0 ? err_sys("bundle %s", path) :
			    oci_config_read(t->dir, "config.json", &t->c);
}

/* For exec: what becomes of the bundle's own is nothing to the container (runtime.md, step 2). */
static int keep_config(struct create *t)
{
	size_t len;
	_free_ char *text = json_text(t->c->doc, &len);
	int r = text ? file_replace(t->f.fd, FOLDER_CONFIG, text, len, 0600, false) : -ENOMEM;

	return r < 0 ? err(r, "cannot keep the config: %s", strerror(-r)) : 0;
}

static int prepare(struct create *t)
{
	struct oci_config *c = t->c;
	int r = enter_bundle(t);

	if (r >= 0)
		r = keep_config(t);
	if (r >= 0)
		r = bundle_open(c);
	if (r >= 0)
		r = bundle_seccomp(c, c->seccomp, t->f.root, &t->filter);
	if (r >= 0)
		r = make_cgroup(t);
	if (r >= 0 && !t->o->foreground)
		r = make_gate(t);
	c->given.no_pivot = t->o->no_pivot;
	c->given.new_keyring = !t->o->no_new_keyring;
	c->given.preserve_fds = t->o->preserve_fds;
	making_set(&t->making, &t->f, c);
	set_hooks(t);
	return r;
}

/* It is there: told to the folder first, by which `delete` finds it. */
static int settle(struct create *t, struct oci_process *p)
{
	int r = proc_start_time(p->pid, &t->f.start_time);

	t->f.pid = p->pid;
	if (r >= 0)
		r = folder_save(&t->f);
	return r < 0 ? r : process_tell(t->o, p);
}

static int make_process(struct create *t, struct oci_process *ret)
{
	struct oci_process p;
	struct ctr *ctr;
	int r = ctr_create(&t->c->spec, &ctr);

	leave_bundle(t);
	if (r < 0)
		return r;
	p = process_of(ctr);
	r = settle(t, &p);
	if (r < 0)
		ctr_abort(p.ctr);
	else
		*ret = p;
	return r;
}

static void undo(struct create *t)
{
	oci_cgroup_kill(&t->f.cgroup);
	oci_cgroup_remove(&t->f.cgroup);
	folder_remove(&t->f);
}

static int create(struct create *t, const char *id, struct oci_process *ret)
{
	int r = preserve_check(t->o->preserve_fds);

	if (r >= 0)
		r = read_bundle(t);
	if (r >= 0)
		r = console_check(t->o, t->c->spec.tty);
	if (r >= 0 && !config_has_namespace(t->c, CLONE_NEWPID, true))
		r = ctr_protect(t->o->argv);
	if (r >= 0)
		r = folder_make(t->o, id, &t->f);
	if (r < 0)
		return process_error(r);
	t->host_proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	r = process_error(prepare(t));
	if (r >= 0)
		r = make_process(t, ret);
	if (r < 0)
		undo(t);
	return r;
}

int oci_create(const struct oci_options *o, const char *id, struct oci_process *ret)
{
	struct create t = {
		.o = o,
		.f = FOLDER_NONE,
		.dir = -1,
		.caller = -1,
		.gate = -1,
		.host_proc = -1,
	};
	int r = create(&t, id, ret);

	create_done(&t);
	return r;
}
