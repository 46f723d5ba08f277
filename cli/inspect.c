/* SPDX-License-Identifier: Apache-2.0 */
/* strata inspect: images and instances as JSON. */
#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/str.h"
#include "cli/cli.h"
#include "cli/devices.h"
#include "cli/util.h"
#include <stdio.h>

static json_t *layers_json(const struct image *i)
{
	json_t *a = json_array();

	for (size_t n = 0; n < i->nlayers; n++) {
		struct digest_hex diff = digest_hex(&i->layers[n].diff_id),
				  blob = digest_hex(&i->layers[n].blob);

		json_array_append_new(a, json_pack("{s:o, s:o, s:s, s:I}", "diffID",
						   json_sprintf("sha256:%s", diff.s), "digest",
						   json_sprintf("sha256:%s", blob.s), "mediaType",
						   i->layers[n].media_type, "size",
						   (json_int_t)i->layers[n].blob_size));
	}
	return a;
}

static json_t *image_json(const struct image *i)
{
	struct digest_hex id = digest_hex(&i->config_digest), manifest = digest_hex(&i->manifest);

	return json_pack("{s:s, s:s*, s:o, s:o, s:I, s:o, s:O}", "type", "image", "name", i->name,
			 "id", json_sprintf("sha256:%s", id.s), "manifest",
			 json_sprintf("sha256:%s", manifest.s), "size", (json_int_t)i->size,
			 "layers", layers_json(i), "config", i->config);
}

/* Of a microVM's socket; NULL: there is none. */
static const char *vsock_path(const struct inst *i, char *path, size_t size)
{
	ssize_t n = readlink(fd_path(inst_dirfd(i)).s, path, size - sizeof("/vsock"));

	if (n <= 0 || faccessat(inst_dirfd(i), "vsock", F_OK, 0) < 0)
		return NULL;
	snprintf(path + n, size - (size_t)n, "/vsock");
	return path;
}

/* Of a running microVM; NULL: it is none, or does not say. */
static json_t *devices(const struct inst *i, const struct inst_state *s)
{
	struct device_stats d;

	if (s->status != INST_RUNNING)
		return NULL;
	if (engine_device_stats(i, &d) < 0) {
		err_clear();
		return NULL;
	}
	return devices_json(&d, inst_config(i));
}

/* What its eth0 has, of one that runs with one. */
static json_t *network(const struct inst *i, const struct inst_state *s)
{
	json_t *j = NULL;

	if ((s->status == INST_RUNNING || s->status == INST_PAUSED) &&
	    faccessat(inst_dirfd(i), "network.json", F_OK, 0) == 0)
		json_parse_file(inst_dirfd(i), "network.json", "network.json", &j);
	err_clear();
	return j;
}

static json_t *instance_json(const struct inst *i, const struct inst_state *s)
{
	char vsock[4096];

	return json_pack(
		"{s:s, s:s, s:s, s:s, s:i, s:i, s:b, s:s, s:s*, s:s*, s:s*, s:s*, s:o*, s:o*, s:O}",
		"type", "instance", "id", inst_id(i), "name", inst_name(i), "status",
		inst_status_name(s->status), "pid", (int)s->pid, "exitCode", s->exit_code,
		"oomKilled", s->oom_killed, "error", s->error, "created",
		s->created.tv_sec ? clock_text(s->created).s : NULL, "started",
		s->started.tv_sec ? clock_text(s->started).s : NULL, "finished",
		s->finished.tv_sec ? clock_text(s->finished).s : NULL, "vsock",
		vsock_path(i, vsock, sizeof(vsock)), "devices", devices(i, s), "network",
		network(i, s), "config", inst_config(i));
}

static int inspect_one(struct cli *c, const char *what, json_t *out)
{
	_cleanup_(inst_closep) struct inst *inst = NULL;
	_cleanup_(image_closep) struct image *image = NULL;
	struct inst_state state;
	int r = inst_open(engine_runroot(c->engine), what, &inst);

	if (r == 0) {
		r = inst_state(inst, &state);
		return r < 0 ? r : json_array_append_new(out, instance_json(inst, &state));
	}
	if (r != -ENOENT)
		return r;
	err_clear();
	r = image_open(engine_store(c->engine), what, &image);
	if (r == -ENOENT) {
		err_clear();
		return err(r, "%s: no such image and no such instance", what);
	}
	return r < 0 ? r : json_array_append_new(out, image_json(image));
}

int verb_inspect(struct cli *c, int argc, char **argv)
{
	const struct option_def options[] = { { 0 } };
	const struct usage u = { "inspect",
				 "IMAGE|INSTANCE...",
				 "Shows images and instances as a JSON array.",
				 options,
				 1,
				 -1,
				 false };
	_json_ json_t *out = json_array();
	int status;

	if (options_parse(&u, argc, argv, &argv, &status))
		return status;
	if (!cli_engine(c, STORE_CREATE))
		return EXIT_ERROR;
	engine_revive(c->engine);
	for (; *argv; argv++) {
		int r = inspect_one(c, *argv, out);

		if (r < 0)
			return cli_fail(r);
	}
	cli_print_json(out);
	return 0;
}
