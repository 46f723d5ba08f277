/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Blobs under way, on standard error: on a terminal a line each with a bar, rate and time left,
 * redrawn in place once it takes longer than a second; else a plain line for each that is done.
 */
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

#include "engine/engine.h"

struct progress;
/* @done: the word for a blob that has come, or gone: "downloaded". NULL without memory. */
struct progress *progress_new(const char *done);
/* The progress callback of struct pull_options. */
void progress_tell(void *progress, const struct transfer *t);
/* Takes away what is drawn; NULL is fine. */
void progress_free(struct progress *p);

#endif
