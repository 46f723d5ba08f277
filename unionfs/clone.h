/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A mapped top above an index, copied for a client that goes on with the copy: it knows what was
 * born in the top by numbers made of st_ino, and the copy has others. So each of these has its
 * number in the copy as its `origin`; and since the file system may give the same st_ino to what is
 * born in the copy later, that gets numbers of the copy's own generation, which is on its root
 * (docs/formats/union.md, "A copy of a top").
 */
#ifndef UNIONFS_CLONE_H
#define UNIONFS_CLONE_H

#include <stdbool.h>
#include <stdint.h>

#define CLONE_GENERATIONS 32u	       /* 0 is a top that is no copy */
#define CLONE_INO_MAX	  (1ull << 56) /* what XFS has at most; generations stand above */

/* Of the top whose root is @root: 0 when it is none, or says what is impossible. */
uint64_t clone_generation(int root, bool user);

#endif
