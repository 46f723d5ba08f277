/* SPDX-License-Identifier: Apache-2.0 */
/* What an instance was made to run: config.json of an instance, written once by `run`, read by its
 * supervisor. */
#ifndef ENGINE_SPEC_H
#define ENGINE_SPEC_H

#include "engine/engine.h"

struct run_spec {
	enum run_kind kind;
	enum run_driver driver;
	char *id, *name, *image, *store;
	struct digest *layers; /* diff_ids, lowest first */
	size_t nlayers;
	char **argv, **env;
	char *cwd, *user, *hostname, *kernel, *mountpoint;
	struct run_volume *volumes;
	size_t nvolumes;
	struct run_limits limits;
	unsigned vcpus;
	int stop_signal;
	bool host_network, rm, tty, interactive, read_only, logged, trace;
};

/* Joins the options with the image's config (OCI image-spec config.md). -EINVAL with a text for
 * what is wrong. */
int spec_new(const struct run_options *o, const struct image *image, struct run_spec **ret);
void spec_free(struct run_spec *s);
/* The driver's word: "auto", "fuse", "overlay"; and back (-EINVAL). */
const char *spec_driver_name(enum run_driver d);
int spec_driver_parse(const char *name, enum run_driver *ret);
const char *spec_kind_name(enum run_kind k);

/* A new reference, or NULL without memory. */
json_t *spec_to_json(const struct run_spec *s);
/* -EBADMSG with a text: the file was damaged. */
int spec_from_json(const json_t *j, struct run_spec **ret);

#endif
