/* SPDX-License-Identifier: Apache-2.0 */
/* What is mounted in an instance beside its root: its tmpfs, and the order of all. */
#ifndef ENGINE_SPEC_TMPFS_H
#define ENGINE_SPEC_TMPFS_H

#include "engine/spec.h"

/* Adds "/PATH[:OPTION,...]", behind volumes and disks. -EINVAL with a text for what is wrong. */
int spec_parse_tmpfs(struct run_spec *s, const char *text);
void spec_tmpfs_free(struct run_spec *s);
/* "tmpfs" of config.json, where there is any; and back (-EBADMSG). */
void spec_tmpfs_to_json(const struct run_spec *s, json_t *config);
int spec_tmpfs_from_json(const json_t *config, struct run_spec *s);

enum place_kind { PLACE_VOLUME, PLACE_DISK, PLACE_TMPFS };

struct place {
	enum place_kind kind;
	size_t i; /* which one of its kind */
	const char *target;
};

/* Those of @s that have a target, parents first: how many, or -ENOMEM. The caller frees *@ret. */
ssize_t spec_places(const struct run_spec *s, struct place **ret);

#endif
