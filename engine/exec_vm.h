/* SPDX-License-Identifier: Apache-2.0 */
/* A further command in a microVM, by a session with its init (docs/formats/guest.md). */
#ifndef ENGINE_EXEC_VM_H
#define ENGINE_EXEC_VM_H

#include "engine/spec.h"

struct vm_exec;

/*
 * Starts it in the microVM whose instance's folder is @dir, with the environment @env; returns when
 * it runs. -ENOENT, -EACCES: of the command.
 */
int vm_exec_start(const struct run_spec *spec, int dir, const struct exec_options *o,
		  char *const *env, struct vm_exec **ret);
/* As exec_wait(). */
int vm_exec_relay(struct vm_exec *x, int wake_fd);
int vm_exec_signal(struct vm_exec *x, int sig);
int vm_exec_resize(struct vm_exec *x, unsigned rows, unsigned cols);
void vm_exec_free(struct vm_exec *x);

#endif
