/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A running microVM in a file beside its top, snapshots/<id>/machine, to go on from later: the same
 * instance on the same top, since the guest knows the files of its top by their inodes. It goes on
 * once: what it writes from then on is not what the file remembers. A start without it drops it.
 *
 *     machine.new   being written
 *     machine       a checkpoint
 *     machine.used  being gone on from; dropped when the guest runs
 */
#ifndef ENGINE_CHECKPOINT_H
#define ENGINE_CHECKPOINT_H

#include "engine/spec.h"
#include "imagestore/imagestore.h"
#include "microvm/microvm.h"

/* ---- what the VMM and its supervisor share ---- */

/* What the VMM wants to know again: the note of the snapshot (docs/formats/snapshot.md). */
struct checkpoint_note {
	uint32_t version; /* CHECKPOINT_VERSION */
	uint32_t warm;	  /* its devices are those of a warm machine */
	uint64_t agreed;  /* by the guest and the root's file server (ufs_conn_agreed()) */
};
#define CHECKPOINT_VERSION 1u

/* Of the instance alone: another one's is refused. */
struct digest checkpoint_key(const char *id);
/* Why @s cannot be kept in a file: -EOPNOTSUPP or -EINVAL with a text, or 0. */
int checkpoint_check(const struct run_spec *s);

/* ---- the supervisor's side ---- */

/* A new file to write one to: its descriptor or -errno. */
int checkpoint_create(struct store *s, const char *id);
/* It is written, and its VMM has gone: it is there, durably. */
int checkpoint_publish(struct store *s, const char *id);
/* Opens one, which is looked at as a whole, to go on from. -ENOENT: there is none. */
int checkpoint_take(struct store *s, const char *id, struct vm_snapshot *ret);
/* After checkpoint_take(): the guest runs, so it is used up; or it does not, and it is there. */
void checkpoint_used(struct store *s, const char *id, bool runs);
/* Whatever there is of one. */
void checkpoint_drop(struct store *s, const char *id);
bool checkpoint_exists(struct store *s, const char *id);

#endif
