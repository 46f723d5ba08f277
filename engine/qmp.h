/* SPDX-License-Identifier: Apache-2.0 */
/*
 * QEMU's control socket (docs/interop/qmp-spec.rst there): commands one after the other, each with
 * its answer; events are passed over. QEMU may be its guest's by then: what it says is bounded, and
 * checked by who asked for it. One thread at a time.
 */
#ifndef ENGINE_QMP_H
#define ENGINE_QMP_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#define QMP_LINE_MAX 65536u /* bytes of a message from QEMU; it sends a line each */

struct qmp {
	int fd;
	uint32_t id; /* of the last command: one that was given up on may be answered later */
	size_t len; /* of what has come */
	char in[QMP_LINE_MAX];
};

/* Negotiates, over @fd, the caller's: 0 or -errno with a text. */
int qmp_begin(struct qmp *q, int fd);
/*
 * Sends @command, one JSON object, and waits up to QMP_SECONDS for its answer: 0, -EPIPE = QEMU has
 * gone, -ETIMEDOUT, -EIO = it refused, -EPROTO; with a text.
 */
#define QMP_SECONDS 30
int qmp_do(struct qmp *q, const char *command);
/* The same, and what it returned: the caller's, whatever it is. */
int qmp_ask(struct qmp *q, const char *command, json_t **ret);

#endif
