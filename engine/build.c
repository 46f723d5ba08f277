/* SPDX-License-Identifier: Apache-2.0 */
/* `build`: gives the builder its steps: a snapshot of its own each, a container for RUN, a layer of
 * what changed. */
#include "base/err.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/proc.h"
#include "base/str.h"
#include "base/userns.h"
#include "builder/builder.h"
#include "container/container.h"
#include "engine/commit.h"
#include "engine/engine_.h"
#include "engine/top.h"
#include <signal.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>

#define CONTAINERFILE_MAX (1u << 20)

struct build {
	struct engine *e;
	const struct engine_build *opts;
	struct txn *txn; /* holds every layer of this build until the image names them */
};

struct build_step {
	struct run_spec spec;
	struct rootfs root;
};

static void txn_abortp(struct txn **t)
{
	txn_abort(*t);
}

/* ---- FROM ---- */

static int from(void *ctx, const char *name, json_t **ret_config)
{
	struct build *b = ctx;
	_cleanup_(image_closep) struct image *image = NULL;
	int r = image_open(b->e->store, name, &image);

	for (size_t i = 0; r >= 0 && i < image->nlayers; i++)
		r = txn_hold(b->txn, &image->layers[i].diff_id);
	if (r < 0)
		return r;
	*ret_config = json_deep_copy(image->config);
	return *ret_config ? 0 : -ENOMEM;
}

/* ---- a step's tree ---- */

static int step_id(char **ret)
{
	uint64_t random;

	if (getrandom(&random, sizeof(random), 0) != sizeof(random))
		return err_sys("getrandom");
	*ret = str_fmt("build-%016llx", (unsigned long long)random);
	return *ret ? 0 : -ENOMEM;
}

static int diff_ids(const json_t *config, struct digest **ret, size_t *ret_n)
{
	const json_t *a = json_get_array(json_get_object(config, "rootfs"), "diff_ids");
	_free_ struct digest *d = mem_new(json_array_size(a), sizeof(*d));

	if (!d)
		return -ENOMEM;
	for (size_t i = 0; i < json_array_size(a); i++) {
		const char *text = json_string_value(json_array_get(a, i));

		if (!text || digest_parse(text, &d[i]) < 0)
			return err(-EBADMSG, "image config: rootfs.diff_ids is damaged");
	}
	*ret_n = json_array_size(a);
	*ret = take_ptr(d);
	return 0;
}

static void step_free(struct build *b, struct build_step *s)
{
	rootfs_close(&s->root);
	if (s->spec.id)
		snapshot_remove(b->e->store, s->spec.id);
	free(s->spec.id);
	free(s->spec.image);
	free(s->spec.layers);
	free(s);
}

static int create_top(struct build *b, struct build_step *s)
{
	struct stack k;
	int r = stack_open(b->e->store, s->spec.layers, s->spec.nlayers, &k);

	if (r < 0)
		return r;
	r = top_create(b->e->store, s->spec.id, s->spec.layers, s->spec.nlayers, &k, false);
	stack_close(&k);
	return r;
}

/*
 * Between the making of a snapshot and its lock, engine_revive() must not take it for a leftover.
 */
static int open_top(struct build *b, struct build_step *s)
{
	_close_ int making = snapshots_lock(b->e, false);
	int r = making < 0 ? making : create_top(b, s);

	return r < 0 ? r : rootfs_open(b->e->store, &s->spec, STDERR_FILENO, &s->root);
}

static int open_step(struct build *b, struct build_step *s, const json_t *config)
{
	int r = spec_verify_parse(NULL, &s->spec.no_verify);

	if (r >= 0)
		r = diff_ids(config, &s->spec.layers, &s->spec.nlayers);
	if (r >= 0)
		r = step_id(&s->spec.id);
	if (r >= 0)
		r = open_top(b, s);
	return r;
}

static int step_begin(void *ctx, const json_t *config, struct build_step **ret, int *ret_root_fd)
{
	struct build_step *s = new0(struct build_step);
	int r;

	if (!s)
		return -ENOMEM;
	s->root = ROOTFS_NONE;
	s->spec.image = strdup("build");
	/*
	 * Our union: it reads the image verified, and a hard link of the image that a step changes
	 * stays one. The driver overlay does neither, for a quarter of an empty step's 60 ms.
	 */
	s->spec.driver = RUN_DRIVER_FUSE;
	s->spec.ids = userns_ids();
	s->spec.rm = true; /* what is kept of it is the layer, which the store syncs */
	r = s->spec.image ? open_step(ctx, s, config) : -ENOMEM;
	if (r < 0) {
		step_free(ctx, s);
		return r;
	}
	*ret = s;
	*ret_root_fd = s->root.mount_fd;
	return 0;
}

static void step_abort(void *ctx, struct build_step *s)
{
	step_free(ctx, s);
}

/* ---- RUN ---- */

static void replay_output(int fd)
{
	_free_ char *text = NULL;
	size_t len;

	if (lseek(fd, 0, SEEK_SET) == 0 && fd_read_all(fd, 64u << 20, &text, &len) == 0)
		fd_write_full(STDERR_FILENO, text, len);
	err_clear();
}

static int run_container(struct build *b, const struct ctr_spec *spec, int *ret_code)
{
	struct ctr *c;
	int r = ctr_create(spec, &c);

	(void)b;
	if (r < 0)
		return r;
	r = ctr_start(c);
	if (r < 0) {
		ctr_abort(c);
		return r;
	}
	r = proc_wait(ctr_pidfd(c), ret_code);
	ctr_free(c);
	return r;
}

static int step_run(void *ctx, struct build_step *s, char *const *argv, char *const *env,
		    const char *cwd, const char *user, int *ret_code)
{
	struct build *b = ctx;
	bool host = streq(b->opts->network, "host");
	_close_ int output = b->opts->quiet ? fd_memfd("run", NULL, 0) : -1;
	int out = output >= 0 ? output : STDERR_FILENO;
	struct ctr_spec spec = {
		.root_mount = s->root.mount_fd,
		.argv = argv,
		.env = env,
		.cwd = cwd,
		.user = user,
		.hostname = "build",
		.network = host ? CTR_NETWORK_HOST : CTR_NETWORK_NONE,
		.stdio = { -1, out, out },
		.caps = CTR_CAPS_DEFAULT,
		.seccomp = true,
		.cgroup_fd = -1,
		.resolv_conf = host ? "/etc/resolv.conf" : NULL,
		.hosts = host ? "/etc/hosts" : NULL,
	};
	int r = run_container(b, &spec, ret_code);

	if (output >= 0 && (r < 0 || *ret_code != 0))
		replay_output(output);
	return r;
}

/* ---- layers ---- */

static int step_commit(void *ctx, struct build_step *s, const struct digest *key,
		       struct build_layer *ret)
{
	struct build *b = ctx;
	_cleanup_(txn_abortp) struct txn *t = NULL;
	struct image_layer layer = { 0 };
	int r = txn_begin(b->e->store, &t);

	rootfs_unmount(&s->root);
	if (r >= 0)
		r = commit_layer(b->e->store, t, &s->root, &s->spec, &layer, &ret->empty);
	if (r >= 0 && !ret->empty)
		r = txn_commit(t);
	if (r >= 0 && !ret->empty)
		r = txn_hold(b->txn, &layer.diff_id);
	if (r < 0)
		return r;
	ret->diff_id = layer.diff_id;
	return cache_put(b->e->store, key, &ret->diff_id, ret->empty);
}

static int cached(void *ctx, const struct digest *key, struct build_layer *ret)
{
	struct build *b = ctx;
	int r = cache_get(b->e->store, key, &ret->diff_id, &ret->empty);

	if (r >= 0 && !ret->empty)
		r = txn_hold(b->txn, &ret->diff_id);
	return r;
}

static void progress(void *ctx, const char *line)
{
	struct build *b = ctx;

	if (b->opts->progress)
		b->opts->progress(b->opts->ctx, line);
}

static const struct build_callbacks callbacks = {
	.from = from,
	.step_begin = step_begin,
	.step_run = step_run,
	.step_commit = step_commit,
	.step_abort = step_abort,
	.cached = cached,
	.progress = progress,
};

/* ---- the image ---- */

/* -f FILE as given, or Containerfile, or Dockerfile in the context. */
static int read_containerfile(const struct engine_build *o, int context, const char **ret_name,
			      char **ret, size_t *ret_len)
{
	static const char *const names[] = { "Containerfile", "Dockerfile" };
	int r;

	if (o->file) {
		*ret_name = o->file;
		r = file_read_all(AT_FDCWD, o->file, CONTAINERFILE_MAX, ret, ret_len);
		return r < 0 ? err(r, "%s: %s", o->file, strerror(-r)) : 0;
	}
	for (unsigned i = 0; i < ARRAY_SIZE(names); i++) {
		*ret_name = names[i];
		r = file_read_all(context, names[i], CONTAINERFILE_MAX, ret, ret_len);
		if (r != -ENOENT)
			return r < 0 ? err(r, "%s: %s", names[i], strerror(-r)) : 0;
		err_clear();
	}
	return err(-ENOENT,
		   "%s: neither a Containerfile nor a Dockerfile is there; name one by --file",
		   o->context);
}

/* SOURCE_DATE_EPOCH (reproducible-builds.org), else now. */
static int64_t created_time(void)
{
	const char *epoch = getenv("SOURCE_DATE_EPOCH");
	uint64_t n;

	return epoch && str_u64(epoch, 0, INT64_MAX, &n) == 0 ? (int64_t)n : (int64_t)time(NULL);
}

static int name_image(struct build *b, const char *name, const json_t *config,
		      struct digest *ret_manifest)
{
	_free_ struct digest *ids = NULL;
	_free_ struct image_layer *layers = NULL;
	size_t n = 0;
	int r = diff_ids(config, &ids, &n);

	layers = r < 0 ? NULL : mem_new(n, sizeof(*layers));
	if (!layers)
		return r < 0 ? r : -ENOMEM;
	for (size_t i = 0; r >= 0 && i < n; i++)
		r = layer_find(b->e->store, &ids[i], &layers[i]);
	if (r >= 0)
		r = txn_image(b->txn, name, config, layers, n, ret_manifest);
	return r < 0 ? r : txn_commit(b->txn);
}

static int build_image(struct build *b, int context, const char *name, struct digest *ret_manifest)
{
	_free_ char *text = NULL;
	_json_ json_t *config = NULL;
	struct build_options o = { .context_fd = context,
				   .build_args = b->opts->build_args,
				   .target = b->opts->target,
				   .no_cache = b->opts->no_cache,
				   .created = created_time() };
	int r = read_containerfile(b->opts, context, &o.file, &text, &o.text_len);

	if (r < 0)
		return r;
	o.text = text;
	r = build_run(&o, &callbacks, b, &config);
	return r < 0 ? r : name_image(b, name, config, ret_manifest);
}

int engine_build(struct engine *e, const struct engine_build *b, struct digest *ret_manifest)
{
	_close_ int context = open(b->context, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_(txn_abortp) struct txn *t = NULL;
	_free_ char *name = NULL;
	struct build build = { .e = e, .opts = b };
	int r;

	if (context < 0)
		return err_sys("context %s", b->context);
	r = b->name ? image_name_canonical(b->name, &name) : 0;
	if (r >= 0)
		r = txn_begin(e->store, &t);
	if (r < 0)
		return r;
	build.txn = t;
	return build_image(&build, context, name, ret_manifest);
}
