/* SPDX-License-Identifier: Apache-2.0 */
/* The config of an image under way (OCI image-spec, config.md): what instructions do to it. */
#ifndef BUILDER_CONFIG_H
#define BUILDER_CONFIG_H

#include "base/sha256.h"
#include "builder/containerfile.h"
#include "builder/words.h"
#include <jansson.h>

/* Of an empty image. NULL without memory. */
json_t *config_new(void);
/*
 * Gives @image what it lacks (config, rootfs, history, os, architecture); another system's is
 * refused.
 */
int config_adopt(json_t *image);

/* Members of the inner object: for running, NULL when absent. */
const char *config_str(const json_t *image, const char *key);
int config_strv(const json_t *image, const char *key, char ***ret);
/* "Env" as a lookup of variables. */
const char *config_env(const json_t *image, const char *name);
/* The shell of this image and @text: what the shell form runs. */
int config_shell_argv(const json_t *image, const char *text, char ***ret);
/* The working directory, absolute. */
const char *config_workdir(const json_t *image);

/*
 * Applies an instruction that changes only the config. *@cmd_set, of the stage: a CMD stands in
 * it, which an ENTRYPOINT then leaves alone; one that is inherited it drops.
 */
int config_apply(json_t *image, const struct instruction *i, const struct words_scope *scope,
		 bool *cmd_set);

/* Adds a layer and what made it, or only the latter. */
int config_add_history(json_t *image, const char *created_by, int64_t created,
		       const struct digest *diff_id);

#endif
