/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A running microVM in a file beside its top, snapshots/<id>/machine, to go on from later, on that
 * top, once: what it writes from then on is not what the file remembers. A start without it drops
 * it. A clone has a copy of the top, and a link of the very file (engine/clone.c).
 *
 *     machine.new   being written
 *     machine       a checkpoint
 *     machine.used  being gone on from; dropped when the guest runs
 *     kept.<pid>/   machine, upper and work of one that runs on, for the command that makes clones
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

/* Of the instance alone: another one's is refused, but for the source's of a clone. */
struct digest checkpoint_key(const char *id);
/* Why @s cannot be kept in a file: -EOPNOTSUPP or -EINVAL with a text, or 0. */
int checkpoint_check(const struct run_spec *s);
/* The same of what shall have clones. */
int clone_check(const struct run_spec *s);

/* ---- the supervisor's side ---- */

/* A new file to write one to: its descriptor or -errno. */
int checkpoint_create(struct store *s, const char *id);
/* It is written, and its VMM has gone: it is there, durably. */
int checkpoint_publish(struct store *s, const char *id);
/*
 * Opens the one in folder @dir, which is looked at as a whole: @spec's own, or of the one it is a
 * clone of. *@ret_of: whose. -ENOENT: there is none. @hashed: its memory was read a moment ago by
 * who asks for this, and is not hashed once more.
 */
int checkpoint_open(int dir, const struct run_spec *spec, bool hashed, struct vm_snapshot *ret,
		    const char **ret_of);
/* The same of an instance, to go on from. */
int checkpoint_take(struct store *s, const struct run_spec *spec, bool hashed,
		    struct vm_snapshot *ret);
/* After checkpoint_take(): the guest runs, so it is used up; or it does not, and it is there. */
void checkpoint_used(struct store *s, const char *id, bool runs);
/* Whatever there is of one. */
void checkpoint_drop(struct store *s, const char *id);
bool checkpoint_exists(struct store *s, const char *id);
/* Its file, read-only, to be hashed: -ENOENT when there is none. */
int checkpoint_look(struct store *s, const char *id);

/* ---- one that runs on ---- */

struct kept {
	char name[32]; /* in snapshots/<id>/ */
	int dir, upper, work;
};
#define KEPT_NONE ((struct kept){ .dir = -1, .upper = -1, .work = -1 })

/* A new one for the command @pid, empty: 0 or -errno. */
int kept_create(struct store *s, const char *id, pid_t pid, struct kept *ret);
/* The one that the supervisor made for us. */
int kept_open(struct store *s, const char *id, pid_t pid, struct kept *ret);
void kept_close(struct kept *k);
/* And with all that is in it. */
void kept_remove(struct store *s, const char *id, struct kept *k);

#endif
