/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the VMM and strata-init say to each other over the console port "strata.control", and what
 * the host and it say in sessions over vsock: docs/formats/guest.md. Both sides are built from this
 * file; numbers are little-endian, as both processors are.
 */
#ifndef MICROVM_GUEST_PROTOCOL_H
#define MICROVM_GUEST_PROTOCOL_H

#include <stdint.h>

#define GUEST_VERSION 1u

#define GUEST_PORT_CONTROL "strata.control"
#define GUEST_PORT_STDIN   "strata.stdin"
#define GUEST_PORT_STDOUT  "strata.stdout"
#define GUEST_PORT_STDERR  "strata.stderr"

/* A message: this head and @len bytes. */
struct guest_head {
	uint32_t type;
	uint32_t len;
};

#define GUEST_MESSAGE_MAX \
	(4u << 20) /* bytes behind a head, to the guest: argv and env are at most as large */
#define GUEST_REPLY_MAX 512u /* ... from the guest */

enum guest_message {
	/* to the guest */
	GUEST_CONFIG = 1,   /* fields */
	GUEST_SIGNAL = 2,   /* struct guest_signal */
	GUEST_RESIZE = 3,   /* struct guest_size */
	GUEST_RESTORED = 4, /* struct guest_identity: it goes on from a snapshot of that moment */
	GUEST_CLONED = 5,   /* struct guest_clone: and so may others */
	/* from the guest */
	GUEST_STARTED = 16, /* nothing; of GUEST_COPY_OUT a uint32_t: 1 = it is a directory */
	GUEST_FAILED = 17,  /* struct guest_failed and a text without NUL */
	GUEST_EXITED = 18,  /* struct guest_exited */
	/* in a session, to the guest: first what it is for */
	GUEST_EXEC = 32,      /* fields, as GUEST_CONFIG has them */
	GUEST_PROCESSES = 33, /* uint32_t GUEST_VERSION */
	GUEST_COPY_IN = 34,   /* fields: ARG where to, ARG the source's name */
	GUEST_COPY_OUT = 35,  /* fields: ARG what */
	/* ... and then */
	GUEST_INPUT = 48, /* bytes; none = there are no more */
	GUEST_UNREAD =
		49,	 /* uint32_t: nobody reads that output any more, GUEST_OUTPUT or _ERRORS */
	GUEST_TREE = 50, /* a record of files (base/tree.h), both ways; nothing = that was all */
	/* from the guest */
	GUEST_OUTPUT = 64,  /* bytes */
	GUEST_ERRORS = 65,  /* bytes */
	GUEST_TAKEN = 66,   /* uint32_t: bytes of input that have left its buffer */
	GUEST_PROCESS = 67, /* struct guest_process and its command */
};

/*
 * A session is a connection to this port of the guest's vsock; below 1024, so that no process of
 * the guest without privileges can take it.
 */
#define GUEST_SESSION_PORT 1u

#define GUEST_CHUNK_MAX 32768u /* bytes behind a head in a session, but for the first message */
#define GUEST_WINDOW	65536u /* bytes of input that may be on their way */

/*
 * GUEST_CONFIG is a row of fields: this head and @len bytes. Strings have no NUL inside or behind
 * them.
 */
struct guest_field {
	uint32_t tag;
	uint32_t len;
};

enum guest_tag {
	GUEST_TAG_VERSION = 1,	/* u32, GUEST_VERSION; the first field */
	GUEST_TAG_FLAGS = 2,	/* u32, GUEST_FLAG_ */
	GUEST_TAG_ROOT = 3,	/* string: the virtio-fs tag */
	GUEST_TAG_ARG = 4,	/* string, once per argument; the first is the command */
	GUEST_TAG_ENV = 5,	/* string NAME=VALUE, once each */
	GUEST_TAG_CWD = 6,	/* string */
	GUEST_TAG_USER = 7,	/* string */
	GUEST_TAG_HOSTNAME = 8, /* string */
	GUEST_TAG_SIZE = 9,	/* struct guest_size */
	/* string: the tag, NUL, the target; a tag "/dev/vda"... is a disk with ext4 */
	GUEST_TAG_VOLUME = 10,
	GUEST_TAG_VOLUME_RO = 11, /* the same, read-only */
	GUEST_TAG_RLIMIT = 12,	  /* struct guest_rlimit */
	GUEST_TAG_PIDS = 13,	  /* u32: processes and threads of the command at most */
	GUEST_TAG_NET = 14,	  /* struct guest_net */
	/* u64: capabilities that the command is not to have, bit n is number n */
	GUEST_TAG_CAPS_DROP = 15,
	GUEST_TAG_FILE = 16,	 /* string: an absolute path, NUL; then its text */
	GUEST_TAG_TMPFS = 17,	 /* struct guest_tmpfs, then where: an absolute path */
	GUEST_TAG_SHM = 18,	 /* u64: bytes that /dev/shm may hold, 0 = any */
	GUEST_TAG_IDENTITY = 20, /* struct guest_identity */
};

#define GUEST_FLAG_TTY	   1u /* a terminal over stdin and stdout */
#define GUEST_FLAG_STDIN   2u /* the command reads strata.stdin, else /dev/null */
#define GUEST_FLAG_ROOT_RO 4u
/* Of GUEST_COPY_IN. */
#define GUEST_FLAG_ARCHIVE   8u	 /* owners are kept */
#define GUEST_FLAG_DIRECTORY 16u /* the source is one */
#define GUEST_FLAG_CONTENT   32u /* what is in it is meant */

#define GUEST_ARGS_MAX	  16384u /* arguments, and variables of the environment */
#define GUEST_VOLUMES_MAX 64u
#define GUEST_RLIMITS_MAX 16u
#define GUEST_FILES_MAX	  4u
#define GUEST_TAG_MAX	  36u /* bytes of a virtio-fs tag */

struct guest_signal {
	uint32_t signal;
};

struct guest_size {
	uint16_t rows, cols;
};

struct guest_rlimit {
	uint32_t resource, reserved;
	uint64_t soft, hard;
};

#define GUEST_TMPFS_RO	 1u
#define GUEST_TMPFS_EXEC 2u
#define GUEST_TMPFS_SUID 4u

/* Mounted in its place among the volumes. */
struct guest_tmpfs {
	uint64_t size; /* bytes; 0 = half of the memory */
	uint32_t mode, flags;
};

/* IPv4 addresses in the order of the wire; all zeroes = none. */
struct guest_net {
	uint8_t address[4], gateway[4];
	uint16_t mtu;
	uint8_t prefix, reserved;
};

#define GUEST_ENTROPY_LEN 32u

/*
 * For a machine that began from a snapshot at GUEST_MARK_PORTS: what it must not share with others
 * that did.
 */
struct guest_identity {
	uint64_t time_ns; /* CLOCK_REALTIME when it went on from there */
	uint8_t mac[6], reserved[2];
	uint8_t entropy[GUEST_ENTROPY_LEN];
};

/* ... and of one that began from another's that ran. */
struct guest_clone {
	struct guest_identity identity;
	uint8_t machine_id[16];
	char hostname[64]; /* HOST_NAME_MAX of Linux; without a NUL when it is as long */
};

/* Bytes behind a head of what init is told while the command runs, at most. */
#define GUEST_WISH_MAX 128u

struct guest_failed {
	uint32_t error;	 /* errno */
	uint32_t status; /* a shell's: 127 no such command, 126 it cannot be executed, else 125 */
};

struct guest_process {
	uint32_t pid, ppid, uid, reserved;
	uint64_t cpu_ns;
};

struct guest_exited {
	uint32_t status; /* 0..255, 128 + signal */
};

/*
 * Ports of the machine (out instructions of one byte). No PC has anything there. MARK: the VMM
 * notes the time at which it first saw each number below 16. END: the machine is off at once.
 */
#define GUEST_IO_MARK 0x5d0
#define GUEST_IO_END  0x5d1

enum guest_mark {
	GUEST_MARK_INIT = 1,	/* strata-init runs */
	GUEST_MARK_PORTS = 2,	/* its ports are there */
	GUEST_MARK_CONFIG = 3,	/* its config has come */
	GUEST_MARK_ROOT = 4,	/* root and volumes are mounted */
	GUEST_MARK_STARTED = 5, /* the command has been executed */
	GUEST_MARK_EXITED = 6,	/* the command has ended */
	GUEST_MARK_SYNCED = 7,	/* file systems are synced, END is next */
};

#endif
