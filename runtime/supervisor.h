/* SPDX-License-Identifier: Apache-2.0 */
/* What one supervisor knows: supervise.c is its life, supervisor.c what happens to it meanwhile. */
#ifndef RUNTIME_SUPERVISOR_H
#define RUNTIME_SUPERVISOR_H

#include "runtime/control.h"
#include "runtime/inst.h"
#include "runtime/output.h"

struct supervisor {
	struct supervise *s;
	struct inst_record record;
	struct loop *loop;
	struct control *control;
	struct output output;
	struct run_process process;
	int timer;    /* SIGKILL for one being stopped; then the end of waiting for its client */
	int deadline; /* the end of the time that it has, or -1 */
	bool created; /* create() was called: cleanup() is due */
	bool ended, stopping, late; /* late: killed at its deadline */
	int wait_status, exit_code;
	struct timespec finished;
};

extern const struct control_handler supervisor_control;

int supervisor_on_signal(void *ctx, const struct signalfd_siginfo *si);
int supervisor_on_timer(void *ctx, int fd, uint32_t events);
/* Lets it run for s->timeout seconds from now. */
int supervisor_limit_time(struct supervisor *v);
int supervisor_on_exit(void *ctx, int pidfd, uint32_t events);

#endif
