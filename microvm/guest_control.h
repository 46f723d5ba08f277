/* SPDX-License-Identifier: Apache-2.0 */
/* The guest's init as the VMM sees it (docs/formats/guest.md); part of microvm/microvm.h. */
#ifndef MICROVM_GUEST_CONTROL_H
#define MICROVM_GUEST_CONTROL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VM_CONTROL_PORT "strata.control" /* both ways, ordered */
#define VM_STDIN_PORT	"strata.stdin"
#define VM_STDOUT_PORT	"strata.stdout"
#define VM_STDERR_PORT	"strata.stderr"

/* vm_config.stop_mark: init is ready for its config, and has met no file system. */
#define VM_MARK_READY 2u

struct vm_guest_volume {
	const char *tag, *target; /* of a struct vm_fs, NULL: a tmpfs; an absolute path */
	bool rdonly;
	/* of a tmpfs: bytes, 0 = half of the guest's memory */
	uint64_t size;
	unsigned mode;
	bool exec, suid;
};

struct vm_guest_rlimit {
	unsigned resource; /* RLIMIT_ */
	uint64_t soft, hard;
};

/* What eth0 has. */
struct vm_guest_net {
	uint8_t address[4], gateway[4]; /* IPv4; all zeroes = none */
	unsigned prefix;		/* 0..32 */
	unsigned mtu;			/* 68..65535 */
};

/* A file in the guest's memory, bound over the image's; an image without a place goes without. */
struct vm_guest_file {
	const char *target, *text;
};

/* Of a machine from a snapshot, which must not be what others from it are. */
struct vm_guest_identity {
	uint64_t time_ns; /* CLOCK_REALTIME when vm_new() had restored it (vm_stats.loaded_ns) */
	uint8_t mac[6];	  /* of eth0, when there is a @net */
	uint8_t entropy[32];
};

/* What strata-init is to do. NULL and 0 are "not said". */
struct vm_guest_config {
	const char *root; /* the tag of the root file system */
	bool root_rdonly;
	char *const *argv, *const *env;
	const char *cwd, *user, *hostname; /* user: name or uid, optionally :group or :gid */
	bool tty;			   /* a terminal over stdin and stdout, no stderr */
	bool stdin_open;		   /* else the command reads /dev/null */
	unsigned rows, cols;
	const struct vm_guest_volume *volumes;
	size_t nvolumes;
	const struct vm_guest_rlimit *rlimits;
	size_t nrlimits;
	bool shm; /* /dev/shm is of @shm_size bytes, 0 = any; else half of the memory */
	uint64_t shm_size;
	const struct vm_guest_file *files;
	size_t nfiles;
	const struct vm_guest_net *net;		  /* NULL: a loopback alone */
	const struct vm_guest_identity *identity; /* NULL: it booted */
	uint32_t pids;				  /* processes and threads of the command at most */
	uint64_t caps_drop; /* capabilities that the command is not to have: bit n is number n */
};

enum vm_guest_event_kind { VM_GUEST_STARTED, VM_GUEST_FAILED, VM_GUEST_EXITED };

struct vm_guest_event {
	enum vm_guest_event_kind kind;
	int error; /* FAILED: an errno of the guest's */
	/* EXITED: 0..255, 128 + signal; FAILED: 127 no such command, 126 not executable, or 125 */
	int status;
	char text[256]; /* FAILED: one printable line */
};

/*
 * Our end of the control port; never blocks. Its owner polls vm_control_fd() for
 * vm_control_events().
 */
struct vm_control;
/* Takes @fd, one end of a stream socket whose other end is both files of the port. */
int vm_control_new(int fd, struct vm_control **ret);
void vm_control_free(struct vm_control *c);
int vm_control_fd(const struct vm_control *c);
short vm_control_events(const struct vm_control *c);
int vm_control_config(struct vm_control *c,
		      const struct vm_guest_config *cfg); /* first of all, once */
int vm_control_signal(struct vm_control *c, int sig);
/* It goes on from a snapshot, now: in place of a config. */
int vm_control_restored(struct vm_control *c, const struct vm_guest_identity *i);
/* The same of another one's: it becomes a machine of its own. */
int vm_control_cloned(struct vm_control *c, const struct vm_guest_identity *i, const char *hostname,
		      const uint8_t machine_id[16]);
int vm_control_resize(struct vm_control *c, unsigned rows, unsigned cols);
/*
 * Sends what waits and gives the next event: 1, 0 = none yet, -EPIPE = the VM has gone, -EPROTO =
 * not our init.
 */
int vm_control_next(struct vm_control *c, struct vm_guest_event *ret);

#endif
