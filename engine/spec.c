/* SPDX-License-Identifier: Apache-2.0 */
#include "engine/spec.h"
#include "base/err.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include <limits.h>
#include <signal.h>
#include <unistd.h>

static const char *const driver_names[] = {
	[RUN_DRIVER_AUTO] = "auto",
	[RUN_DRIVER_FUSE] = "fuse",
	[RUN_DRIVER_OVERLAY] = "overlay",
};
static const char *const kind_names[] = {
	[RUN_CONTAINER] = "container",
	[RUN_VM] = "vm",
	[RUN_MOUNT] = "mount",
};

#define DEFAULT_PATH	  "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#define VM_DEFAULT_MEMORY (512ull << 20)
#define MEMORY_MIN	  (6ull << 20) /* docker's: less does not hold a process being made */

const char *spec_driver_name(enum run_driver d)
{
	return driver_names[d];
}

int spec_driver_parse(const char *name, enum run_driver *ret)
{
	for (unsigned i = 0; i < ARRAY_SIZE(driver_names); i++) {
		if (streq(name, driver_names[i])) {
			*ret = i;
			return 0;
		}
	}
	return err(-EINVAL, "driver '%s': must be auto, fuse or overlay", name);
}

const char *spec_kind_name(enum run_kind k)
{
	return kind_names[k];
}

void spec_free(struct run_spec *s)
{
	if (!s)
		return;
	free(s->id);
	free(s->name);
	free(s->image);
	free(s->store);
	free(s->layers);
	strv_free(s->argv);
	strv_free(s->env);
	free(s->cwd);
	free(s->user);
	free(s->hostname);
	free(s->kernel);
	free(s->mountpoint);
	for (size_t i = 0; i < s->nvolumes; i++) {
		free(s->volumes[i].source);
		free(s->volumes[i].target);
	}
	free(s->volumes);
	free(s);
}

static void spec_freep(struct run_spec **s)
{
	spec_free(*s);
}

static int set_str(char **dst, const char *src)
{
	if (!src)
		return 0;
	free(*dst);
	*dst = strdup(src);
	return *dst ? 0 : -ENOMEM;
}

static int add_volume(struct run_spec *s, const char *source, size_t source_len, const char *target,
		      size_t target_len, bool rdonly)
{
	size_t cap = s->nvolumes;
	struct run_volume v = { .rdonly = rdonly };
	int r = mem_grow(&s->volumes, &cap, s->nvolumes + 1, sizeof(v));

	if (r < 0)
		return r;
	v.source = strndup(source, source_len);
	v.target = strndup(target, target_len);
	if (!v.source || !v.target) {
		free(v.source);
		free(v.target);
		return -ENOMEM;
	}
	s->volumes[s->nvolumes++] = v;
	return 0;
}

/* SRC:DST[:ro|rw]; a relative SRC counts from the working directory. */
static int parse_volume(struct run_spec *s, const char *text)
{
	const char *dst = strchr(text, ':'), *opt;
	_free_ char *source = NULL, *real = NULL;
	bool rdonly;

	if (!dst || dst == text || dst[1] != '/')
		return err(-EINVAL, "volume '%s': must be SOURCE:/TARGET[:ro]", text);
	opt = strchr(++dst, ':');
	if (opt && !streq(opt, ":ro") && !streq(opt, ":rw"))
		return err(-EINVAL, "volume '%s': the only options are ro and rw", text);
	rdonly = opt && streq(opt, ":ro");
	if (strspn(dst, "/.") == (opt ? (size_t)(opt - dst) : strlen(dst)))
		return err(-EINVAL, "volume '%s': it cannot be in place of the whole root", text);
	source = strndup(text, dst - text - 1);
	real = source ? realpath(source, NULL) : NULL;
	if (!real)
		return err_sys("volume '%s'", text);
	return add_volume(s, real, strlen(real), dst, opt ? (size_t)(opt - dst) : strlen(dst),
			  rdonly);
}

static int add_env(struct run_spec *s, const char *assignment)
{
	const char *value;
	_free_ char *text = NULL;

	if (assignment[0] == '\0' || assignment[0] == '=')
		return err(-EINVAL, "environment '%s': must be NAME=VALUE or NAME", assignment);
	if (strchr(assignment, '='))
		return strv_setenv(&s->env, assignment);
	value = getenv(assignment);
	if (!value)
		return 0;
	text = str_fmt("%s=%s", assignment, value);
	return text ? strv_setenv(&s->env, text) : -ENOMEM;
}

static int join_env(struct run_spec *s, const struct run_options *o, const json_t *config)
{
	_strv_free_ char **image_env = NULL;
	int r = json_to_strv(json_get_array(config, "Env"), &image_env);

	if (r < 0)
		return err(r, "image %s: config.Env is no list of strings", s->image);
	for (size_t i = 0; i < strv_len(image_env); i++) {
		r = strv_setenv(&s->env, image_env[i]);
		if (r < 0)
			return r;
	}
	if (!strv_getenv(s->env, "PATH") && (r = strv_setenv(&s->env, DEFAULT_PATH)) < 0)
		return r;
	if (o->tty && !strv_getenv(s->env, "TERM") && (r = strv_setenv(&s->env, "TERM=xterm")) < 0)
		return r;
	for (size_t i = 0; i < strv_len(o->env); i++) {
		r = add_env(s, o->env[i]);
		if (r < 0)
			return r;
	}
	return 0;
}

/* docker's rule: an entrypoint of the caller's drops the image's CMD; a command of the caller's
 * replaces it. */
static int join_argv(struct run_spec *s, const struct run_options *o, const json_t *config)
{
	_strv_free_ char **entrypoint = NULL, **cmd = NULL;
	int r = 0;

	if (o->entrypoint) {
		if (o->entrypoint[0])
			r = strv_add(&entrypoint, o->entrypoint);
	} else {
		r = json_to_strv(json_get_array(config, "Entrypoint"), &entrypoint);
	}
	if (r >= 0 && strv_len(o->command))
		r = strv_dup(o->command, &cmd);
	else if (r >= 0 && !o->entrypoint)
		r = json_to_strv(json_get_array(config, "Cmd"), &cmd);
	if (r < 0)
		return err(r, "image %s: its Entrypoint or Cmd is no list of strings", s->image);
	for (char **a = entrypoint; r >= 0 && a && *a; a++)
		r = strv_add(&s->argv, *a);
	for (char **a = cmd; r >= 0 && a && *a; a++)
		r = strv_add(&s->argv, *a);
	if (r >= 0 && !strv_len(s->argv) && o->kind != RUN_MOUNT)
		return err(-EINVAL, "image %s names no command: give one after the image",
			   s->image);
	return r;
}

/* A number, or a name with or without SIG. 0 = unknown. */
static int parse_signal(const char *text)
{
	uint64_t n;

	if (!text || !*text)
		return SIGTERM;
	if (str_u64(text, 1, 64, &n) == 0)
		return (int)n;
	if (str_after(text, "SIGRTMIN+") && str_u64(str_after(text, "SIGRTMIN+"), 0, 30, &n) == 0)
		return SIGRTMIN + (int)n;
	if (str_after(text, "SIG"))
		text = str_after(text, "SIG");
	for (int i = 1; i < 32; i++)
		if (sigabbrev_np(i) && streq(sigabbrev_np(i), text))
			return i;
	return 0;
}

static int join_rest(struct run_spec *s, const struct run_options *o, const json_t *config)
{
	const char *network = o->network ? o->network : "none";
	int r;

	s->stop_signal = parse_signal(json_get_str(config, "StopSignal"));
	if (!s->stop_signal)
		return err(-EINVAL, "image %s: unknown StopSignal '%s'", s->image,
			   json_get_str(config, "StopSignal"));
	if (!streq(network, "none") && !streq(network, "host"))
		return err(-EINVAL, "network '%s': must be none or host", network);
	s->host_network = streq(network, "host");
	if (s->host_network && o->kind == RUN_VM)
		return err(-EOPNOTSUPP, "a microVM has no host network: use --network none");
	r = spec_driver_parse(o->driver ? o->driver : "auto", &s->driver);
	if (r < 0)
		return r;
	if (s->driver == RUN_DRIVER_OVERLAY && o->kind != RUN_CONTAINER)
		return err(-EINVAL,
			   "driver 'overlay' is for containers: a %s is always served by our union",
			   kind_names[o->kind]);
	for (size_t i = 0; i < strv_len(o->volumes); i++) {
		r = parse_volume(s, o->volumes[i]);
		if (r < 0)
			return r;
	}
	return 0;
}

static int copy_options(struct run_spec *s, const struct run_options *o, const json_t *config)
{
	const char *cwd = o->workdir ? o->workdir : json_get_str(config, "WorkingDir");
	const char *user = o->user ? o->user : json_get_str(config, "User");

	if (o->limits.memory && o->limits.memory < MEMORY_MIN)
		return err(-EINVAL, "memory of %llu bytes: must be 6m or more",
			   (unsigned long long)o->limits.memory);
	if (o->workdir && o->workdir[0] != '/')
		return err(-EINVAL, "working directory '%s': must be an absolute path", o->workdir);
	if (set_str(&s->name, o->name ? o->name : "") || set_str(&s->hostname, o->hostname) ||
	    set_str(&s->cwd, cwd && *cwd ? cwd : "/") || set_str(&s->user, user ? user : "") ||
	    set_str(&s->kernel, o->kernel) || set_str(&s->mountpoint, o->mountpoint))
		return -ENOMEM;
	s->kind = o->kind;
	s->limits = o->limits;
	s->vcpus = o->vcpus ? o->vcpus : 1;
	if (o->kind == RUN_VM && !s->limits.memory)
		s->limits.memory = VM_DEFAULT_MEMORY;
	s->rm = o->rm;
	s->tty = o->tty;
	s->interactive = o->interactive;
	s->read_only = o->read_only;
	s->trace = o->trace;
	/* What a foreground `run --rm` prints nobody can ask for later. */
	s->logged = o->detach || !o->rm;
	return 0;
}

static int copy_image(struct run_spec *s, const struct image *image)
{
	s->layers = mem_new(image->nlayers, sizeof(*s->layers));
	if (!s->layers || set_str(&s->image, image->name ? image->name : "<none>"))
		return -ENOMEM;
	for (size_t i = 0; i < image->nlayers; i++)
		s->layers[i] = image->layers[i].diff_id;
	s->nlayers = image->nlayers;
	return 0;
}

static int check_text(const char *what, const char *text)
{
	_json_ json_t *j = text ? json_string(text) : NULL;

	return !text || j ? 0 : err(-EILSEQ, "%s '%s': must be UTF-8", what, text);
}

/* config.json is JSON, and JSON is UTF-8 (RFC 8259, section 8.1). */
static int check_texts(const struct run_spec *s)
{
	int r = check_text("working directory", s->cwd);

	if (r >= 0)
		r = check_text("user", s->user);
	if (r >= 0)
		r = check_text("host name", s->hostname);
	if (r >= 0)
		r = check_text("mount point", s->mountpoint);
	if (r >= 0)
		r = check_text("kernel", s->kernel);
	for (size_t i = 0; r >= 0 && i < strv_len(s->argv); i++)
		r = check_text("argument", s->argv[i]);
	for (size_t i = 0; r >= 0 && i < strv_len(s->env); i++)
		r = check_text("environment", s->env[i]);
	for (size_t i = 0; r >= 0 && i < s->nvolumes; i++) {
		r = check_text("volume", s->volumes[i].source);
		if (r >= 0)
			r = check_text("volume", s->volumes[i].target);
	}
	return r;
}

int spec_new(const struct run_options *o, const struct image *image, struct run_spec **ret)
{
	_cleanup_(spec_freep) struct run_spec *s = new0(struct run_spec);
	const json_t *config = json_get_object(image->config, "config");
	int r;

	if (!s)
		return -ENOMEM;
	r = copy_image(s, image);
	if (r >= 0)
		r = copy_options(s, o, config);
	if (r >= 0)
		r = join_env(s, o, config);
	if (r >= 0)
		r = join_argv(s, o, config);
	if (r >= 0)
		r = join_rest(s, o, config);
	if (r >= 0)
		r = check_texts(s);
	if (r < 0)
		return r;
	*ret = take_ptr(s);
	return 0;
}

/* ---- config.json ---- */

static json_t *layers_to_json(const struct run_spec *s)
{
	json_t *a = json_array();

	for (size_t i = 0; i < s->nlayers; i++) {
		struct digest_hex hex = digest_hex(&s->layers[i]);

		json_array_append_new(a, json_sprintf("sha256:%s", hex.s));
	}
	return a;
}

static json_t *volumes_to_json(const struct run_spec *s)
{
	json_t *a = json_array();

	for (size_t i = 0; i < s->nvolumes; i++)
		json_array_append_new(
			a, json_pack("{s:s, s:s, s:b}", "source", s->volumes[i].source, "target",
				     s->volumes[i].target, "readOnly", s->volumes[i].rdonly));
	return a;
}

json_t *spec_to_json(const struct run_spec *s)
{
	return json_pack(
		"{s:s, s:s, s:s, s:s*, s:s, s:s, s:o, s:o, s:o, s:s, s:s, s:s*, s:s*, s:s*, s:o, s:{s:I, s:I, s:I}, "
		"s:i, s:i, s:b, s:b, s:b, s:b, s:b, s:b, s:b}",
		"kind", kind_names[s->kind], "driver", driver_names[s->driver], "name", s->name,
		"id", s->id, "image", s->image, "store", s->store, "layers", layers_to_json(s),
		"args", json_from_strv(s->argv), "env", json_from_strv(s->env), "cwd", s->cwd,
		"user", s->user, "hostname", s->hostname, "kernel", s->kernel, "mountpoint",
		s->mountpoint, "volumes", volumes_to_json(s), "limits", "memory",
		(json_int_t)s->limits.memory, "nanoCpus", (json_int_t)s->limits.nano_cpus, "pids",
		(json_int_t)s->limits.pids, "vcpus", (int)s->vcpus, "stopSignal", s->stop_signal,
		"hostNetwork", s->host_network, "rm", s->rm, "terminal", s->tty, "interactive",
		s->interactive, "readOnly", s->read_only, "logged", s->logged, "trace", s->trace);
}

static int layers_from_json(const json_t *a, struct run_spec *s)
{
	s->layers = mem_new(json_array_size(a), sizeof(*s->layers));
	if (!s->layers)
		return -ENOMEM;
	for (size_t i = 0; i < json_array_size(a); i++) {
		const char *text = json_string_value(json_array_get(a, i));

		if (!text || digest_parse(text, &s->layers[i]) < 0)
			return -EBADMSG;
	}
	s->nlayers = json_array_size(a);
	return 0;
}

static int volumes_from_json(const json_t *a, struct run_spec *s)
{
	for (size_t i = 0; i < json_array_size(a); i++) {
		const json_t *v = json_array_get(a, i);
		const char *source = json_get_str(v, "source"), *target = json_get_str(v, "target");
		int r;

		if (!source || !target)
			return -EBADMSG;
		r = add_volume(s, source, strlen(source), target, strlen(target),
			       json_get_bool(v, "readOnly", 0));
		if (r < 0)
			return r;
	}
	return 0;
}

static int kind_from_json(const json_t *j, struct run_spec *s)
{
	const char *kind = json_get_str(j, "kind"), *driver = json_get_str(j, "driver");

	for (unsigned i = 0; kind && i < ARRAY_SIZE(kind_names); i++) {
		if (streq(kind, kind_names[i])) {
			s->kind = i;
			return spec_driver_parse(driver ? driver : "", &s->driver);
		}
	}
	return -EBADMSG;
}

static int strings_from_json(const json_t *j, struct run_spec *s)
{
	const struct {
		const char *key;
		char **dst;
	} fields[] = {
		{ "id", &s->id },
		{ "name", &s->name },
		{ "image", &s->image },
		{ "store", &s->store },
		{ "cwd", &s->cwd },
		{ "user", &s->user },
		{ "kernel", &s->kernel },
		{ "hostname", &s->hostname },
		{ "mountpoint", &s->mountpoint },
	};
	int r = 0;

	for (unsigned i = 0; r == 0 && i < ARRAY_SIZE(fields); i++)
		r = set_str(fields[i].dst, json_get_str(j, fields[i].key));
	if (r == 0 && (!s->name || !s->image || !s->store || !s->cwd || !s->user))
		r = -EBADMSG;
	return r;
}

static void numbers_from_json(const json_t *j, struct run_spec *s)
{
	const json_t *limits = json_get_object(j, "limits");

	s->limits.memory = json_get_int(limits, "memory", 0);
	s->limits.nano_cpus = json_get_int(limits, "nanoCpus", 0);
	s->limits.pids = json_get_int(limits, "pids", 0);
	s->vcpus = json_get_int(j, "vcpus", 1);
	s->stop_signal = json_get_int(j, "stopSignal", SIGTERM);
	s->host_network = json_get_bool(j, "hostNetwork", 0);
	s->rm = json_get_bool(j, "rm", 0);
	s->tty = json_get_bool(j, "terminal", 0);
	s->interactive = json_get_bool(j, "interactive", 0);
	s->read_only = json_get_bool(j, "readOnly", 0);
	s->logged = json_get_bool(j, "logged", 0);
	s->trace = json_get_bool(j, "trace", 0);
}

int spec_from_json(const json_t *j, struct run_spec **ret)
{
	_cleanup_(spec_freep) struct run_spec *s = new0(struct run_spec);
	int r;

	if (!s)
		return -ENOMEM;
	r = kind_from_json(j, s);
	if (r >= 0)
		r = strings_from_json(j, s);
	if (r >= 0)
		r = layers_from_json(json_get_array(j, "layers"), s);
	if (r >= 0)
		r = volumes_from_json(json_get_array(j, "volumes"), s);
	if (r >= 0)
		r = json_to_strv(json_get_array(j, "args"), &s->argv);
	if (r >= 0)
		r = json_to_strv(json_get_array(j, "env"), &s->env);
	if (r < 0)
		return err(r, "config.json of the instance is damaged");
	numbers_from_json(j, s);
	*ret = take_ptr(s);
	return 0;
}
