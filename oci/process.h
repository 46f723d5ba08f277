/* SPDX-License-Identifier: Apache-2.0 */
/* What `create` and `exec` do alike with the process that they make. */
#ifndef OCI_PROCESS_H
#define OCI_PROCESS_H

#include "oci/config.h"
#include "oci/folder.h"

/* What the container room's callback is handed. */
struct making {
	struct folder *f;
	const struct oci_config *c;
};
/* What is made of @c enters the control groups of @f, with the score of the OOM killer. */
void making_set(struct making *m, struct folder *f, struct oci_config *c);

/* What is not of the command is neither ENOENT nor EACCES (exit codes 127 and 126). */
int process_error(int r);

/* Descriptors 3 to 2 + @n are there. Before anything is opened. */
int preserve_check(unsigned n);
/* A terminal needs somebody who takes it: an error says what is missing. */
int console_check(const struct oci_options *o, bool tty);

/* The one behind @ctr, which is its own from now on. */
struct oci_process process_of(struct ctr *ctr);
/* Its terminal to the socket o->console, its number to o->pid_file: where they are asked for. */
int process_tell(const struct oci_options *o, struct oci_process *p);

#endif
