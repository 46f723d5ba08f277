/* SPDX-License-Identifier: Apache-2.0 */
/*
 * strata-reap: process 1 of a container with --init. Starts the command, hands on what signals it
 * is sent, waits for whatever processes are left to it, and ends as the command does.
 */
#include "engine/engine.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* Of a terminal it is the command that is typed to. All signals are blocked: SIGTTOU, too. */
static void take_terminal(void)
{
	if (isatty(STDIN_FILENO) && setpgid(0, 0) == 0)
		tcsetpgrp(STDIN_FILENO, getpid());
}

/* The command begins with no signal blocked, as without us. */
static _Noreturn void run(char **argv)
{
	sigset_t none;
	int e;

	take_terminal();
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	execvp(argv[0], argv);
	e = errno;
	fprintf(stderr, "strata-reap: %s: %s\n", argv[0], strerror(e));
	_exit(e == ENOENT ? 127 : 126);
}

/* Whether the command has ended. */
static bool reap(pid_t command, int *ret_status)
{
	bool ended = false;
	int status;

	for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
		if (pid != command)
			continue;
		*ret_status = WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
		ended = true;
	}
	return ended;
}

int reaper_main(int argc, char **argv)
{
	sigset_t all;
	pid_t command;
	int status = 0;

	if (argc < 2) {
		fprintf(stderr, "usage: strata-reap COMMAND [ARGUMENT...] (started by strata)\n");
		return 2;
	}
	/* As they are already: who executes us blocks them first (container/exec.c). */
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	command = fork();
	if (command == 0)
		run(argv + 1);
	if (command < 0) {
		fprintf(stderr, "strata-reap: fork: %s\n", strerror(errno));
		return 125;
	}
	for (;;) {
		int sig = sigwaitinfo(&all, NULL);

		if (sig == SIGCHLD && reap(command, &status))
			return status;
		if (sig > 0 && sig != SIGCHLD)
			kill(command, sig);
	}
}
