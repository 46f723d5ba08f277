/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Supervising: a supervisor (strata-monitor) runs one instance. supervise() calls the isolation it
 * is given, keeps log and terminal, waits, records the exit, cleans up. It is single-threaded over
 * base/loop.h.
 */
#ifndef RUNTIME_ISOLATION_H
#define RUNTIME_ISOLATION_H

#include <stdbool.h>
#include <sys/types.h>

struct inst;

/* What an isolation hands to its supervisor once created. */
struct run_process {
	pid_t pid;
	int pidfd;   /* owned by the isolation */
	int console; /* the terminal's master or -1; owned by the isolation */
};

struct loop; /* base/loop.h */

/*
 * The process is a child of the supervisor. The supervisor blocks SIGTERM, SIGINT, SIGQUIT, SIGHUP
 * and SIGPIPE: create() gives the command an empty signal mask and default dispositions. The
 * process must not outlive a killed supervisor: PR_SET_PDEATHSIG in its init, set after the last
 * change of ids; execve of a set-user-ID file as init loses it, then inst_recover() ends it.
 */
struct isolation {
	/*
	 * Makes everything up to the moment before the command; @stdio are what the command gets as
	 * 0, 1, 2 (-1: /dev/null).
	 */
	int (*create)(void *ctx, const int stdio[3], struct run_process *ret);
	/*
	 * Lets the command run. Where that takes its time it runs the loop of attach() until it
	 * does: kill() is called out of that.
	 */
	int (*start)(void *ctx);
	int (*kill)(void *ctx, int sig);
	/* NULL: TIOCSWINSZ on the console. */
	int (*resize)(void *ctx, unsigned rows, unsigned cols);
	/*
	 * After the process has gone with @wait_status (0..255, 128 + signal): the instance's exit
	 * code. NULL: the same.
	 */
	int (*exit_code)(void *ctx, int wait_status);
	bool (*oom_killed)(void *ctx); /* NULL: never */
	/*
	 * After exit_code(): one line about an end that neither its command brought about nor who
	 * asked for it; NULL: it was one of these. NULL: always.
	 */
	const char *(*why)(void *ctx);
	/*
	 * Holds all its processes, or lets them go on; SIGKILL ends it all the same. NULL: cannot.
	 */
	int (*pause)(void *ctx, bool paused);
	/* As inst_memory() says. NULL: it cannot change. */
	int (*memory)(void *ctx, unsigned mib);
	/*
	 * Keeps what runs in a file, and ends it: 0 when it is kept and has ended. Nothing else is
	 * done meanwhile. NULL: cannot.
	 */
	int (*checkpoint)(void *ctx);
	/* The same for clones that process @pid makes, and it runs on. NULL: cannot. */
	int (*clone)(void *ctx, pid_t pid);
	/*
	 * Has what runs there say by *@ret_fd (SOCK_SEQPACKET, the caller's) what its devices have
	 * moved, in one message as inst_stats() has it. Waits for nothing. NULL: cannot.
	 */
	int (*stats)(void *ctx, int *ret_fd);
	/*
	 * Adds descriptors of its own (a file server's pidfd, a VMM's socket) to the supervisor's
	 * loop, after create(). A callback that ends the loop ends the instance by SIGKILL. NULL:
	 * nothing.
	 */
	int (*attach)(void *ctx, struct loop *loop);
	/* All that create made; also after a failed create. The process is no more. */
	void (*cleanup)(void *ctx);
};

/* With @tty the client sets its own terminal raw, and hands on its size by inst_resize(). */
struct supervise {
	struct inst *inst;
	const struct isolation *iso;
	void *ctx;
	bool tty;
	unsigned timeout; /* seconds from the start of the command to SIGKILL, 0 = never */
	bool logged;	  /* keep what is printed in the log */
	bool stdin_open;  /* without a client's stdin it is open all the same, for who attaches */
	int stdio[3];	  /* the client's: -1 where it has none (detached) */
	const char *detach_keys; /* typed there, it goes (base/detach_keys.h); NULL: none */
	int report_fd; /* where struct run_report messages go for the waiting client, or -1 */
	/*
	 * After cleanup, before anybody is told of the end; the lock is still held, so that it may
	 * inst_delete() (--rm). NULL: nothing.
	 */
	void (*finished)(void *finished_ctx);
	void *finished_ctx; /* @ctx may be gone by then */
};

/* Messages on report_fd, each one write. */
struct run_report {
	/* DETACHED: of the terminal, by the keys; the command runs on, and this was the last */
	enum { RUN_STARTED, RUN_FAILED, RUN_EXITED, RUN_DETACHED } kind;
	int code;	/* FAILED: -errno; EXITED: the exit code */
	char text[512]; /* FAILED: why; EXITED: what ended it, when not its command, else "" */
};

/*
 * Runs the instance to its end; gives its exit code, or -errno when it never started (reported
 * already). SIGTERM to the supervisor: SIGTERM to the instance, after 10 s SIGKILL. For a process
 * of its own: signals stay blocked.
 */
int supervise(struct supervise *s);

#endif
