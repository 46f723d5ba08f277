/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runtime: one life for containers and microVMs. create -> start -> stop -> delete, the same words,
 * state files and exit status for both (OCI runtime-spec 1.2, "State" and "Lifecycle").
 *
 * Its nouns stand in headers of their own, which this one includes: other rooms include this one
 * alone.
 */
#ifndef RUNTIME_RUNTIME_H
#define RUNTIME_RUNTIME_H

#include "runtime/instance.h"
#include "runtime/isolation.h"
#include "runtime/limits.h"

#endif
