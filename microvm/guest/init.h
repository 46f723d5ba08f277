/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Inside strata-init: process 1 of a microVM, one thread. Functions that can fail give 0 or a
 * count, or -errno after saying what it was about with failing(); main() tells the VMM.
 */
#ifndef MICROVM_GUEST_INIT_H
#define MICROVM_GUEST_INIT_H

#include "base/mem.h"
#include "microvm/guest/protocol.h"
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>
#include <sys/uio.h>

/* Notes what fails, once; returns @e. */
int failing(int e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
const char *failing_text(void);
/* What a shell would say, 125 unless the command itself is what fails. */
extern unsigned failing_status;
/* The whole line: what it was about, and why @e. @size at least 1. */
void failing_line(char *line, size_t size, int e);
/* Why, in other words than the error's own. */
extern const char *failing_why;

/* ---- machine.c ---- */

void machine_mark(enum guest_mark m);
/* Off, at once. */
void machine_end(void) __attribute__((noreturn));
/* Takes the ports of machine_mark() away from a child. */
void machine_drop(void);
int machine_hostname(const char *name);
int machine_loopback(void);
/* The machine is about to say that its ports are there: it may be saved then, and go on later. */
void machine_ready(void);
/* It did go on, as one of several: it becomes another than those. */
int machine_identify(const struct guest_identity *i);
/* The same of one that ran already: as far as it can be, there is nobody to tell. */
void machine_restored(const struct guest_identity *i);
/* And which is another's copy: with a name, a machine-id and an address of its own. */
void machine_cloned(const struct guest_clone *c);

/* ---- modules.c ---- */

/* Those that came with the kernel: before any device is looked for. */
int modules_load(void);

/* ---- config.c ---- */

struct volume {
	char tag[GUEST_TAG_MAX + 1];
	char *target;
	bool rdonly, is_tmpfs;
	struct guest_tmpfs tmpfs;
};

struct file {
	char *target, *text;
};

struct config {
	uint32_t flags;
	char root[GUEST_TAG_MAX + 1];
	char **argv, **env; /* NULL-terminated */
	size_t nargs, nenv;
	char *cwd, *user, *hostname;
	struct guest_size size;
	struct volume volumes[GUEST_VOLUMES_MAX];
	unsigned nvolumes;
	struct guest_rlimit rlimits[GUEST_RLIMITS_MAX];
	unsigned nrlimits;
	bool shm; /* the size of /dev/shm was said */
	uint64_t shm_size;
	struct file files[GUEST_FILES_MAX];
	unsigned nfiles;
	uint32_t pids;			/* 0 = no limit */
	uint64_t caps_drop;		/* capabilities that the command is not to have */
	struct guest_net net;		/* of eth0; an MTU of 0 = there is none */
	struct guest_identity identity; /* a time of 0 = the machine booted */
};

/* Of a GUEST_CONFIG message of @len bytes. Never freed: the machine ends before. */
int config_parse(struct config *c, const uint8_t *data, size_t len);
const char *config_getenv(const struct config *c, const char *name);
int config_addenv(struct config *c, const char *name, const char *value);

/* ---- net.c ---- */

/* eth0 up with its address and its route. */
int net_up(const struct guest_net *n);
/* The address of eth0, while it is down. */
int net_set_mac(const uint8_t mac[6]);

/* ---- ports.c ---- */

struct ports {
	int control, in, out, err; /* stdin and its kin may be macros */
};

/*
 * Opens control, stdout and stderr, waiting until the kernel has them; then stdin, which is there
 * only for a command that reads it.
 */
int ports_open(struct ports *p);
int ports_open_stdin(struct ports *p);

/* ---- control.c ---- */

/* All of @len bytes, waiting for them: 1, or -EPIPE = the other side has closed it. */
int control_read(int fd, void *data, size_t len);
/* Waits for the config. */
int control_config(int fd, struct config *ret);
/*
 * What has come: 1 = *@ret_type and its @ret_len bytes in @data, 0 = nothing yet, -EPIPE = the VMM
 * has closed it.
 */
int control_next(int fd, uint32_t *ret_type, uint8_t data[GUEST_WISH_MAX], uint32_t *ret_len);
void control_started(int fd);
void control_failed(int fd, int error);
void control_exited(int fd, unsigned status);

/* ---- mounts.c ---- */

int mounts_early(void);
/* Root and all that a command expects to find in it, then / is that root. */
int mounts_root(const struct config *c);
/* The root is read-only, if it is to be: when all places to mount on are made. */
int mounts_seal(const struct config *c);
/* Lets disks go, when nothing runs any more. */
void mounts_end(const struct config *c);
int mkdirs(const char *path, mode_t mode);

/* ---- user.c: the image's own /etc/passwd and /etc/group ---- */

#define USER_GROUPS_MAX 64

struct user {
	uid_t uid;
	gid_t gid;
	gid_t groups[USER_GROUPS_MAX];
	size_t ngroups;
	char home[256];
};

/* @spec: NULL or "" = root, a name or uid, optionally ":" and a group's name or gid. */
int user_find(const char *spec, struct user *ret);

/* ---- command.c ---- */

/* Our ends of the command's files; -1 = none. */
struct command {
	pid_t pid;
	int in, out, err; /* in and out may be one: the terminal */
	int listener;	  /* sessions_open(): whoever hears that it runs can ask for one */
};

int command_start(struct config *c, struct command *ret);

/* ---- relay.c ---- */

/*
 * Relays until the command and all that it started have ended, and every byte is with the VMM: its
 * exit status. Meanwhile it serves sessions.
 */
unsigned relay(const struct ports *p, const struct config *config, struct command *c);

/* ---- session.c: what the host asks for over vsock while the command runs ---- */

/* Listens; -1 = this machine has no vsock. */
int sessions_open(void);
/* Whoever has come gets a process of his own, a child; @main is what the command was given. */
void session_accept(int listener, const struct config *main);
/* Sends all of @iov, which it uses up, waiting for the host to read; false = it has gone. */
bool session_write(int fd, struct iovec *iov, unsigned n);
/* Sends a message whole, waiting for the host to read; false = it has gone. */
bool session_send(int fd, uint32_t type, const void *body, size_t len, const void *more,
		  size_t more_len);

/* session_exec.c: GUEST_EXEC of @len bytes; @main's limits hold for it too. */
void session_exec(int fd, const struct config *main, const uint8_t *data, size_t len);
/* session_copy.c: GUEST_COPY_IN or _OUT of @len bytes. */
void session_copy(int fd, bool in, const uint8_t *data, size_t len);
/* session_processes.c */
void session_processes(int fd);

#endif
