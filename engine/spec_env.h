/* SPDX-License-Identifier: Apache-2.0 */
/* An instance's environment and labels: what the user says, over what the image does. */
#ifndef ENGINE_SPEC_ENV_H
#define ENGINE_SPEC_ENV_H

#include "engine/spec.h"

/* Adds what @files say, then @pairs (strv), to @env in place of what is there. */
int spec_add_env(char ***env, char *const *files, char *const *pairs);
/* @config is the image's. Later words win: the image's, those of files, those of the options. */
int spec_join_env(struct run_spec *s, const struct run_options *o, const json_t *config);
int spec_join_labels(struct run_spec *s, const struct run_options *o, const json_t *config);

#endif
