/* SPDX-License-Identifier: Apache-2.0 */
/* A machine that stands still, while its supervisor copies its top. */
#ifndef ENGINE_VMM_GO_H
#define ENGINE_VMM_GO_H

#include "engine/vmm.h"
#include <stdbool.h>

/*
 * Waits at @sock (VMM_CONTROL) for VMM_GO: true. False: the supervisor has gone. What else it says
 * meanwhile @fn gets, with the descriptor that came along or -1, which is closed afterwards.
 */
bool vmm_await_go(int sock, void (*fn)(void *ctx, const struct vmm_message *m, int fd), void *ctx);

#endif
