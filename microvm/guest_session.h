/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions with the guest's init, over vsock (docs/formats/guest.md); part of microvm/microvm.h. */
#ifndef MICROVM_GUEST_SESSION_H
#define MICROVM_GUEST_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#define VM_SESSION_PORT 1u /* of the guest's vsock */

/*
 * Our end of a session; never blocks. Its owner polls vm_session_fd() for vm_session_events() and
 * calls vm_session_next(). Everything that comes is the guest's word: bounded and checked here.
 */
struct vm_session;

/* A further command. NULL and 0 are "not said". */
struct vm_guest_exec {
	char *const *argv, *const *env;
	const char *cwd, *user;
	bool tty;	 /* a terminal; what it shows is output */
	bool stdin_open; /* it reads what vm_session_input() is given; else /dev/null */
	unsigned rows, cols;
};

enum vm_session_kind {
	VM_SESSION_STARTED,
	VM_SESSION_FAILED, /* as VM_GUEST_FAILED; nothing follows */
	VM_SESSION_EXITED, /* nothing follows */
	VM_SESSION_OUTPUT,
	VM_SESSION_ERRORS,
	VM_SESSION_ROOM, /* for more input */
	VM_SESSION_PROCESS,
	VM_SESSION_TREE, /* a record of files, for tree_decode() */
};

struct vm_session_event {
	enum vm_session_kind kind;
	int error, status; /* as in struct vm_guest_event */
	char text[256];
	bool directory; /* STARTED, of a copy from the guest: so is what is copied */
	/* OUTPUT, ERRORS, TREE: bytes; PROCESS: its arguments; valid until the next call */
	const uint8_t *data;
	size_t len;
	/* PROCESS: the guest's numbers */
	pid_t pid, ppid;
	uid_t uid;
	uint64_t cpu_ns;
};

/* Each takes @fd, a connection to VM_SESSION_PORT, also when it fails. */
int vm_session_exec(int fd, const struct vm_guest_exec *x, struct vm_session **ret);
int vm_session_processes(int fd, struct vm_session **ret);
/* Files from @path of the guest: STARTED, TREE..., EXITED; or FAILED at any time. */
int vm_session_copy_out(int fd, const char *path, struct vm_session **ret);
/* Files to the guest. After STARTED they are given to vm_session_tree(); EXITED, or FAILED. */
struct vm_guest_copy {
	const char *to;
	const char *name; /* of the source, for when @to is a directory */
	bool directory;	  /* so is the source */
	bool content;	  /* what is in it is meant */
	bool archive;	  /* owners are kept */
};
int vm_session_copy_in(int fd, const struct vm_guest_copy *c, struct vm_session **ret);
/*
 * A record of tree_encoder_sink's, kept until there are enough of them to send; none at all: that
 * was the last.
 */
int vm_session_tree(struct vm_session *s, const struct iovec *iov, unsigned n);
void vm_session_free(struct vm_session *s);

int vm_session_fd(const struct vm_session *s);
short vm_session_events(const struct vm_session *s);
/*
 * Sends what waits and gives the next event: 1, 0 = none yet, -EPIPE = the guest has ended it,
 * -EPROTO = not our init.
 */
int vm_session_next(struct vm_session *s, struct vm_session_event *ret);

/* How much input may be given now. */
size_t vm_session_room(const struct vm_session *s);
/* At most that much; 0 bytes: there is no more. 0 or -errno. */
int vm_session_input(struct vm_session *s, const void *data, size_t len);
/* Nobody reads the output, or the errors: the command is told as a pipe would. */
int vm_session_unread(struct vm_session *s, bool errors);
int vm_session_signal(struct vm_session *s, int sig);
int vm_session_resize(struct vm_session *s, unsigned rows, unsigned cols);

#endif
