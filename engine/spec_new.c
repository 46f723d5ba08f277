/* SPDX-License-Identifier: Apache-2.0 */
/* The options of a run and the config of its image become a spec. */
#include "engine/spec.h"
#include "engine/spec_disk.h"
#include "engine/spec_env.h"
#include "engine/spec_names.h"
#include "engine/spec_tmpfs.h"
#include "engine/spec_process.h"
#include "base/err.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "base/userns.h"
#include "engine/publish.h"
#include "microvm/microvm.h"
#include <signal.h>

#define VM_DEFAULT_MEMORY (512ull << 20)
#define MEMORY_MIN	  (6ull << 20) /* docker's: less does not hold a process being made */

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
	return spec_add_volume(s, real, strlen(real), dst, opt ? (size_t)(opt - dst) : strlen(dst),
			       rdonly);
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
	s->entrypoint = (unsigned)strv_len(s->argv);
	for (char **a = cmd; r >= 0 && a && *a; a++)
		r = strv_add(&s->argv, *a);
	if (r >= 0 && !strv_len(s->argv) && o->kind != RUN_MOUNT)
		return err(-EINVAL, "image %s names no command: give one after the image",
			   s->image);
	return r;
}

static int join_network(struct run_spec *s, const struct run_options *o)
{
	const char *network = o->network ? o->network : strv_len(o->ports) ? "user" : "none";
	struct publish p;
	int r = 0;

	s->host_network = streq(network, "host");
	s->user_network = streq(network, "user");
	s->bridge_network = streq(network, "bridge");
	if (!s->host_network && !s->user_network && !s->bridge_network && !streq(network, "none"))
		return err(-EINVAL, "network '%s': must be none, host, user or bridge", network);
	if (s->bridge_network && s->ids)
		return err(-EPERM, "network 'bridge' needs root: 'user' is for everybody");
	if (s->host_network && o->kind == RUN_VM)
		return err(-EOPNOTSUPP,
			   "a microVM has no host network: use --network user, bridge or none");
	if (strv_len(o->ports) && !s->user_network && !s->bridge_network)
		return err(-EINVAL, "ports are published with --network user or bridge");
	if (o->net_rate && ((!s->user_network && !s->bridge_network) || o->kind != RUN_VM))
		return err(-EINVAL,
			   "a rate of the network is a microVM's, by --network user or bridge");
	s->net_rate = o->net_rate;
	for (size_t i = 0; r >= 0 && i < strv_len(o->ports); i++) {
		r = publish_parse(o->ports[i], &p);
		if (r >= 0)
			r = strv_add(&s->ports, o->ports[i]);
	}
	return r;
}

/* docker's word for it: --storage-opt size=10g. */
static int parse_storage(struct run_spec *s, const char *text)
{
	const char *size = str_after(text, "size=");

	if (!size || str_size(size, &s->top_size) < 0 || !s->top_size || s->top_size > INT64_MAX)
		return err(-EINVAL, "storage option '%s': must be size=BYTES[kmg]", text);
	return 0;
}

/* How much its top may hold is counted by our union alone. */
static int join_storage(struct run_spec *s, const struct run_options *o)
{
	int r = 0;

	for (size_t i = 0; r >= 0 && i < strv_len(o->storage); i++)
		r = parse_storage(s, o->storage[i]);
	if (r < 0 || !s->top_size)
		return r;
	if (s->driver == RUN_DRIVER_OVERLAY)
		return err(-EINVAL,
			   "driver 'overlay' bounds no top: --storage-opt size wants fuse");
	if (s->read_only)
		return err(-EINVAL, "--read-only leaves no top for --storage-opt size to bound");
	s->driver = RUN_DRIVER_FUSE;
	return 0;
}

static int join_memory(struct run_spec *s, const struct run_options *o)
{
	int r = 0;

	for (size_t i = 0; r >= 0 && i < strv_len(o->tmpfs); i++)
		r = spec_parse_tmpfs(s, o->tmpfs[i]);
	if (r < 0 || !o->shm_size)
		return r;
	if (str_size(o->shm_size, &s->shm_size) < 0 || s->shm_size > INT64_MAX)
		return err(-EINVAL, "size of /dev/shm '%s': must be BYTES[kmg], or 0 for any",
			   o->shm_size);
	s->shm_size = s->shm_size ? s->shm_size : SPEC_SHM_ANY;
	return 0;
}

static int join_process(struct run_spec *s, const struct run_options *o)
{
	int r = 0;

	for (size_t i = 0; r >= 0 && i < strv_len(o->ulimits); i++)
		r = spec_add_rlimit(s, o->ulimits[i]);
	return r < 0 ? r : spec_join_caps(s, o->cap_add, o->cap_drop);
}

static int join_stop(struct run_spec *s, const struct run_options *o, const json_t *config)
{
	const char *image = json_get_str(config, "StopSignal");
	uint64_t seconds = 0;

	s->stop_signal = signal_parse(o->stop_signal ? o->stop_signal : image);
	if (!s->stop_signal && o->stop_signal)
		return err(-EINVAL, "stop signal '%s': no such signal", o->stop_signal);
	if (!s->stop_signal)
		return err(-EINVAL, "image %s: unknown StopSignal '%s'", s->image, image);
	if (o->stop_timeout && str_u64(o->stop_timeout, 0, STOP_SECONDS_MAX, &seconds) < 0)
		return err(-EINVAL, "stop timeout '%s': must be 0 to %d seconds", o->stop_timeout,
			   STOP_SECONDS_MAX);
	s->stop_timeout = o->stop_timeout ? (int)seconds : -1;
	return 0;
}

static int join_rest(struct run_spec *s, const struct run_options *o, const json_t *config)
{
	int r;

	s->ids = userns_ids();
	r = join_stop(s, o, config);
	if (r >= 0)
		r = join_network(s, o);
	if (r < 0)
		return r;
	r = spec_join_names(s, o);
	if (r < 0)
		return r;
	r = spec_driver_parse(o->driver ? o->driver : "auto", &s->driver);
	if (r < 0)
		return r;
	r = spec_verify_parse(o->verify, &s->no_verify);
	if (r < 0)
		return r;
	s->unprivileged = geteuid() != 0;
	if (s->driver == RUN_DRIVER_OVERLAY && o->kind != RUN_CONTAINER)
		return err(-EINVAL,
			   "driver 'overlay' is for containers: a %s is always served by our union",
			   spec_kind_name(o->kind));
	for (size_t i = 0; i < strv_len(o->volumes); i++) {
		r = parse_volume(s, o->volumes[i]);
		if (r < 0)
			return r;
	}
	for (size_t i = 0; i < strv_len(o->disks); i++) {
		r = spec_parse_disk(s, o->disks[i]);
		if (r < 0)
			return r;
	}
	if (o->disk_rate && !s->ndisks)
		return err(-EINVAL, "a rate of disks needs a --disk");
	s->disk_rate = o->disk_rate;
	r = join_storage(s, o);
	if (r >= 0)
		r = join_memory(s, o);
	return r < 0 ? r : join_process(s, o);
}

int spec_memory_check(enum run_kind kind, uint64_t bytes)
{
	if (kind == RUN_VM && bytes && (bytes < VM_MEMORY_MIN || bytes > VM_MEMORY_MAX))
		return err(-EINVAL, "memory of %llu bytes: a microVM has 32m to 1024g",
			   (unsigned long long)bytes);
	if (bytes && bytes < MEMORY_MIN)
		return err(-EINVAL, "memory of %llu bytes: must be 6m or more",
			   (unsigned long long)bytes);
	return 0;
}

static int copy_options(struct run_spec *s, const struct run_options *o, const json_t *config)
{
	const char *cwd = o->workdir ? o->workdir : json_get_str(config, "WorkingDir");
	const char *user = o->user ? o->user : json_get_str(config, "User");

	if (spec_memory_check(o->kind, o->limits.memory) < 0)
		return -EINVAL;
	if (o->vcpus > VM_VCPUS_MAX)
		return err(-EINVAL, "%u vCPUs: a microVM has 1 to %d", o->vcpus, VM_VCPUS_MAX);
	if (o->workdir && o->workdir[0] != '/')
		return err(-EINVAL, "working directory '%s': must be an absolute path", o->workdir);
	if (spec_set(&s->name, o->name ? o->name : "") || spec_set(&s->hostname, o->hostname) ||
	    spec_set(&s->cwd, cwd && *cwd ? cwd : "/") || spec_set(&s->user, user ? user : "") ||
	    spec_set(&s->kernel, o->kernel) || spec_set(&s->mountpoint, o->mountpoint))
		return -ENOMEM;
	s->kind = o->kind;
	s->limits = o->limits;
	s->vcpus = o->vcpus ? o->vcpus : 1;
	if (o->kind == RUN_VM && !s->limits.memory)
		s->limits.memory = VM_DEFAULT_MEMORY;
	s->rm = o->rm;
	s->tty = o->tty;
	s->interactive = o->interactive;
	s->timeout = o->timeout;
	s->read_only = o->read_only;
	s->trace = o->trace;
	if (o->balloon && o->kind != RUN_VM)
		return err(-EINVAL, "a balloon is a microVM's: use --vm");
	s->balloon = o->balloon;
	if (o->huge_pages && o->kind != RUN_VM)
		return err(-EINVAL, "huge pages are a microVM's: use --vm");
	if (o->huge_pages && spec_pages_parse(o->huge_pages, &s->pages) < 0)
		return -EINVAL;
	if (s->pages == VM_PAGES_HUGETLB && s->balloon)
		return err(-EINVAL,
			   "a balloon takes small pages, which --huge-pages hugetlb has not");
	s->dax = ROUND_UP(o->dax, VM_DAX_UNIT);
	if (o->dax && o->kind != RUN_VM)
		return err(-EINVAL, "a DAX window is a microVM's: use --vm");
	if (o->dax > VM_DAX_MAX)
		return err(-EINVAL, "a DAX window has at most 64g");
	if (o->vmm && o->kind != RUN_VM)
		return err(-EINVAL, "a VMM is a microVM's: use --vm");
	if (o->cold && o->kind != RUN_VM)
		return err(-EINVAL, "a cold start is a microVM's: use --vm");
	s->cold = o->cold;
	s->init = o->init;
	/* What a foreground `run --rm` prints nobody can ask for later. */
	s->logged = o->detach || !o->rm;
	return 0;
}

static int copy_image(struct run_spec *s, const struct image *image)
{
	s->layers = mem_new(image->nlayers, sizeof(*s->layers));
	if (!s->layers || spec_set(&s->image, image->name ? image->name : "<none>"))
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
	for (size_t i = 0; r >= 0 && i < strv_len(s->dns_search); i++)
		r = check_text("DNS search", s->dns_search[i]);
	for (size_t i = 0; r >= 0 && i < strv_len(s->dns_options); i++)
		r = check_text("DNS option", s->dns_options[i]);
	for (size_t i = 0; r >= 0 && i < strv_len(s->hosts); i++)
		r = check_text("host", s->hosts[i]);
	for (size_t i = 0; r >= 0 && i < s->nvolumes; i++) {
		r = check_text("volume", s->volumes[i].source);
		if (r >= 0)
			r = check_text("volume", s->volumes[i].target);
	}
	for (size_t i = 0; r >= 0 && i < s->ntmpfs; i++)
		r = check_text("tmpfs", s->tmpfs[i].target);
	for (size_t i = 0; r >= 0 && i < s->ndisks; i++) {
		r = check_text("disk", s->disks[i].source);
		if (r >= 0)
			r = check_text("disk", s->disks[i].target);
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
		r = spec_join_env(s, o, config);
	if (r >= 0)
		r = spec_join_labels(s, o, config);
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
