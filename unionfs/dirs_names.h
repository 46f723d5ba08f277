/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which names a directory of a stack may have: hashes of all of them, so that a name that is in no
 * layer is known to be in none without asking each. Made from a listing after a few looks were in
 * vain; 8 bytes a name, bounded over all directories.
 */
#ifndef UNIONFS_DIRS_NAMES_H
#define UNIONFS_DIRS_NAMES_H

#include "unionfs/lower_dirs.h"

/* Whether @name cannot be in @dir. False: who knows. */
bool dirs_names_lack(const struct dirs_entry *dir, const char *name);
/* A name was not there. */
void dirs_names_missed(struct lower *l, struct dirs_entry *dir);
void dirs_names_free(struct lower *l, struct dirs_entry *dir);

#endif
