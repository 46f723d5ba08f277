/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Snapshots: a stopped machine in a file (docs/formats/snapshot.md); part of microvm/microvm.h,
 * which includes it. Any number of machines begin from one: its memory is mapped privately.
 */
#ifndef MICROVM_SNAPSHOT_H
#define MICROVM_SNAPSHOT_H

#include "base/sha256.h"
#include <stdbool.h>

struct vm;

/*
 * @key: what the machine was made of, as its maker sees it (kernel, init, host...); a file of
 * another key is refused. The machine's own shape (memory, vCPUs, devices) is in the file.
 */
struct vm_snapshot {
	int fd;
	struct digest key;
	const void *note; /* for saving: @note_len bytes that vm_snapshot_note() gives back */
	size_t note_len;
	bool learn; /* for vm_new(): what is touched from here on is for vm_snapshot_learn() */
};

/*
 * Writes @v, whose vm_run() has returned, to the empty file s->fd. No fsync. The machine goes on
 * where it stood when vm_run() is called once more, after vm_again().
 */
int vm_snapshot_save(struct vm *v, const struct vm_snapshot *s);
void vm_again(struct vm *v);
/*
 * Adds to the file, which has none yet and is open for writing, which pages @v, that began from it
 * with learn set and has run, has read and written: those that begin from it later have them at
 * hand before their first instruction. 0 or -errno with a text.
 */
int vm_snapshot_learn(const struct vm *v, const struct vm_snapshot *s);
/* What its maker noted: 0, -EBADMSG when that is not @len bytes or the file is damaged, -ESTALE. */
int vm_snapshot_note(const struct vm_snapshot *s, void *note, size_t len);
/*
 * Whether the whole file is what was written: -EBADMSG when it is not, -ESTALE of another key or
 * version. vm_new() checks all but the contents of the memory, which would have to be read for it.
 */
int vm_snapshot_verify(const struct vm_snapshot *s);
/* The same of a file of any key. */
int vm_snapshot_check(int fd);

#endif
