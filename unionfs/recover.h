/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a server does that takes over from a dead one: it finds the nodes that the client may know,
 * and it tells of a request that is sent again whether it was done.
 */
#ifndef UNIONFS_RECOVER_H
#define UNIONFS_RECOVER_H

#include "unionfs/journal.h"
#include "unionfs/request.h"

/*
 * Makes a node of everything in the upper and in work/orphans/, as if the client knew each: one
 * scan. Before any request is served.
 */
int recover_nodes(struct ufs *u);

/* Whether doing the request twice differs from doing it once, and so what is to be noted. */
enum recover_notes { RECOVER_NOTHING, RECOVER_NAMES, RECOVER_XATTR };
enum recover_notes recover_notes(const struct request *r);
/* The nodeids that stand at the names of @r (of an xattr: 1 or 0); 0 or -errno. */
int recover_note(struct request *r, uint64_t ret[JOURNAL_NAMES]);
/*
 * @r is sent again, begun by a dead server when its names were @noted: *@ret is whether it was
 * done. Then recover_answer() gives the reply that it would have had.
 */
int recover_was_done(struct request *r, const uint64_t noted[JOURNAL_NAMES], bool *ret);
ssize_t recover_answer(struct request *r);

#endif
