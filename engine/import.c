/* SPDX-License-Identifier: Apache-2.0 */
/* `import`: an image of one layer, from a directory or a tar. */
#include "base/clock.h"
#include "base/err.h"
#include "base/fd.h"
#include "base/json.h"
#include "base/str.h"
#include "builder/builder.h"
#include "engine/engine_.h"
#include <sys/stat.h>

static void txn_abortp(struct txn **t)
{
	txn_abort(*t);
}

static int sink_write(void *ctx, const void *data, size_t len)
{
	return layer_sink_write(ctx, data, len);
}

static int import_directory(struct txn *t, int fd, struct image_layer *ret)
{
	struct layer_sink *sink;
	int r = layer_sink_open(t, NULL, &sink);

	if (r < 0)
		return r;
	r = tar_of_directory(fd, sink_write, sink);
	if (r < 0) {
		layer_sink_close(sink, NULL);
		return r;
	}
	return layer_sink_close(sink, ret);
}

static int import_layer(struct txn *t, const char *source, struct image_layer *ret)
{
	_close_ int fd = -1;
	struct stat st;

	if (streq(source, "-"))
		return layer_import(t, STDIN_FILENO, NULL, NULL, NULL, ret);
	fd = open(source, O_RDONLY | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys("import %s", source);
	if (S_ISDIR(st.st_mode))
		return import_directory(t, fd, ret);
	return layer_import(t, fd, NULL, NULL, NULL, ret);
}

static json_t *new_config(const char *source, const struct image_layer *layer)
{
	struct clock_text now = clock_now_text();
	const char *name = strrchr(source, '/');

	return json_pack("{s:s, s:s, s:s, s:{}, s:{s:s, s:[o]}, s:[{s:s, s:o}]}", "created", now.s,
			 "architecture", "amd64", "os", "linux", "config", "rootfs", "type",
			 "layers", "diff_ids",
			 json_sprintf("sha256:%s", digest_hex(&layer->diff_id).s), "history",
			 "created", now.s, "created_by",
			 json_sprintf("strata import %s", name && name[1] ? name + 1 : source));
}

int engine_import(struct engine *e, const char *source, const char *name, char *const *changes,
		  struct digest *ret_manifest)
{
	_cleanup_(txn_abortp) struct txn *t = NULL;
	_free_ char *canonical = NULL;
	_json_ json_t *config = NULL;
	struct image_layer layer;
	int r = image_name_canonical(name, &canonical);

	if (r >= 0)
		r = txn_begin(e->store, &t);
	if (r >= 0)
		r = import_layer(t, source, &layer);
	if (r < 0)
		return r;
	config = new_config(source, &layer);
	if (!config)
		return -ENOMEM;
	for (size_t i = 0; i < strv_len(changes); i++) {
		r = build_change(config, changes[i]);
		if (r < 0)
			return r;
	}
	r = txn_image(t, canonical, config, &layer, 1, ret_manifest);
	return r < 0 ? r : txn_commit(t);
}
