/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an instance's processes may: resource limits and capabilities, in what the user says and in
 * config.json.
 */
#ifndef ENGINE_SPEC_PROCESS_H
#define ENGINE_SPEC_PROCESS_H

#include "engine/spec.h"

/*
 * NAME=SOFT[:HARD] with docker's names; -1 is no limit, without HARD both are SOFT. In place of one
 * of that name. -EINVAL with a text.
 */
int spec_add_rlimit(struct run_spec *s, const char *text);
/*
 * Names of capabilities(7), with or without "CAP_", or ALL. -EINVAL with a text: no such name, or
 * one that is in both.
 */
int spec_join_caps(struct run_spec *s, char *const *add, char *const *drop);
/* Those that its processes have where @base is what they have unless asked for. */
uint64_t spec_caps(const struct run_spec *s, uint64_t base);

struct ctr_rlimit;
/* Its limits as a container is told of them, SPEC_RLIMITS_MAX at most: how many. */
size_t spec_ctr_rlimits(const struct run_spec *s, struct ctr_rlimit *ret);

/* "ulimits", "capAdd" and "capDrop" of config.json, where there are any; and back (-EBADMSG). */
void spec_process_to_json(const struct run_spec *s, json_t *j);
int spec_process_from_json(const json_t *j, struct run_spec *s);

#endif
