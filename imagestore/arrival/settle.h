/* SPDX-License-Identifier: Apache-2.0 */
/* The end of an arrival: its image stands in the store by now. */
#ifndef IMAGESTORE_ARRIVAL_SETTLE_H
#define IMAGESTORE_ARRIVAL_SETTLE_H

#include "imagestore/store.h"

/*
 * Compares what the tables of contents said with what came, and takes the arrival away when nobody
 * serves from it. A difference is told in the log, and what is served from it gives errors from now
 * on. Does nothing for a manifest that does not arrive.
 */
void arrival_settle(struct store *s, const struct digest *manifest);

#endif
