/* SPDX-License-Identifier: Apache-2.0 */
/*
 * builder: Containerfiles. Parses one, plans its steps, looks each up in the cache, runs those
 * that are missing through callbacks, and gives the config of the image that results. It mounts
 * nothing and runs nothing itself.
 *
 * The life of a build: build_run() parses, plans which stages the target needs, builds those, and
 * hands over the config; the layers are in the hands of the caller. FROM (with AS; --platform only
 * linux/amd64), RUN (shell, exec and heredoc form), COPY, ADD (local files, heredocs, tars), ENV,
 * ARG, WORKDIR, USER, ENTRYPOINT, CMD, LABEL, EXPOSE, VOLUME, STOPSIGNAL, SHELL; what is not
 * supported is refused by name and line, never skipped. Errors begin with FILE:LINE.
 *
 * The cache: a step's key is sha256 over (parent chain, instruction after expansion, content of
 * what it copies, the build arguments in scope for RUN). The caller stores key -> layer.
 *
 * The Containerfile is trusted as far as its author may run commands in the container; the
 * context is confined: symbolic links do not lead out of it.
 */
#ifndef BUILDER_BUILDER_H
#define BUILDER_BUILDER_H

#include "base/sha256.h"
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Writable top of a step, from the callbacks. */
struct build_step;

/* What the result knows of one layer. */
struct build_layer {
	struct digest diff_id;
	bool empty; /* the step changed nothing: no layer */
};

struct build_callbacks {
	/*
	 * Resolves FROM @name ("scratch" never comes here): its OCI config (a new reference) and
	 * its chain.
	 */
	int (*from)(void *ctx, const char *name, json_t **ret_config);
	/*
	 * A writable tree on top of the stack of @config's diff_ids; *@ret_root_fd is its mounted
	 * root, step's to close.
	 */
	int (*step_begin)(void *ctx, const json_t *config, struct build_step **ret,
			  int *ret_root_fd);
	/* Runs @argv in the step with @env, @cwd, @user; *@ret_code is its exit code. */
	int (*step_run)(void *ctx, struct build_step *s, char *const *argv, char *const *env,
			const char *cwd, const char *user, int *ret_code);
	/* Turns what changed into a layer of the store, remembered under @key. */
	int (*step_commit)(void *ctx, struct build_step *s, const struct digest *key,
			   struct build_layer *ret);
	void (*step_abort)(void *ctx, struct build_step *s); /* after commit too; frees it */
	/* A layer made earlier under @key: 0, or -ENOENT. */
	int (*cached)(void *ctx, const struct digest *key, struct build_layer *ret);
	/* One line of progress ("STEP 2/7: RUN ..."). */
	void (*progress)(void *ctx, const char *line);
};

struct build_options {
	int context_fd;	  /* the context directory */
	const char *file; /* path of the Containerfile as given, for messages */
	const char *text; /* its text */
	size_t text_len;
	char *const *build_args; /* NAME=VALUE */
	const char *target;	 /* a stage's name, NULL = the last */
	bool no_cache;
	int64_t created; /* seconds since 1970 for the config (SOURCE_DATE_EPOCH or now) */
};

/*
 * Builds; *@ret_config is the OCI image config with rootfs.diff_ids and history filled in, a new
 * reference.
 */
int build_run(const struct build_options *o, const struct build_callbacks *cb, void *ctx,
	      json_t **ret_config);

/*
 * Applies one instruction that changes only the config (CMD, ENTRYPOINT, ENV, EXPOSE, LABEL,
 * STOPSIGNAL, USER, VOLUME, WORKDIR), as `import --change` and `commit --change` take it. -EINVAL
 * names what is wrong.
 */
int build_change(json_t *config, const char *instruction);

#endif
