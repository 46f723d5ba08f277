/* SPDX-License-Identifier: Apache-2.0 */
/* Files to and from a running microVM, by a session with its init (docs/formats/guest.md). */
#ifndef ENGINE_CP_VM_H
#define ENGINE_CP_VM_H

#include "base/tree.h"

/*
 * From @text, which is @from, of the microVM whose instance's folder is @dir, to @to on the host;
 * @w says how.
 */
int vm_copy_out(int dir, const struct tree_path *from, const char *text, const struct tree_path *to,
		struct tree_writer *w);
int vm_copy_in(int dir, const struct tree_path *from, const char *text, bool archive);

#endif
