/* SPDX-License-Identifier: Apache-2.0 */
/* What `create` and `exec` do alike with the process that they make. */
#ifndef OCI_PROCESS_H
#define OCI_PROCESS_H

#include "oci/config.h"
#include "oci/folder.h"

/* What the container room's callbacks are handed. */
struct making {
	struct folder *f;
	const struct oci_config *c;
};
/* As ctr_spec.enter: control groups, the score of the OOM killer. */
int making_enter(void *ctx, pid_t pid);

/* What is not of the command is neither ENOENT nor EACCES (exit codes 127 and 126). */
int process_error(int r);

/* Descriptors 3 to 2 + @n are there. Before anything is opened. */
int preserve_check(unsigned n);
/* A terminal needs somebody who takes it: an error says what is missing. */
int console_check(const struct oci_options *o, bool tty);
/* Hands the terminal over to the socket o->console, if there is one. */
int console_send(const struct oci_options *o, struct oci_process *p);
int pid_file_write(const struct oci_options *o, pid_t pid);

#endif
