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

/* Notes what fails, once; returns @e. */
int failing(int e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
const char *failing_text(void);
/* What a shell would say, 125 unless the command itself is what fails. */
extern unsigned failing_status;

/* ---- machine.c ---- */

void machine_mark(enum guest_mark m);
/* Off, at once. */
void machine_end(void) __attribute__((noreturn));
/* Takes the ports of machine_mark() away from a child. */
void machine_drop(void);
int machine_hostname(const char *name);
int machine_loopback(void);

/* ---- config.c ---- */

struct volume {
	char tag[GUEST_TAG_MAX + 1];
	char *target;
	bool rdonly;
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
	uint32_t pids; /* 0 = no limit */
};

/* Of a GUEST_CONFIG message of @len bytes. Never freed: the machine ends before. */
int config_parse(struct config *c, const uint8_t *data, size_t len);
const char *config_getenv(const struct config *c, const char *name);
int config_addenv(struct config *c, const char *name, const char *value);

/* ---- ports.c ---- */

struct ports {
	int control, stdin, stdout, stderr;
};

/* Opens the four, waiting until the kernel has them. */
int ports_open(struct ports *p);

/* ---- control.c ---- */

/* Waits for the config. */
int control_config(int fd, struct config *ret);
/*
 * What has come: 1 = *@ret_type and its @ret_len bytes in @data, 0 = nothing yet, -EPIPE = the VMM
 * has closed it.
 */
int control_next(int fd, uint32_t *ret_type, uint8_t data[64], uint32_t *ret_len);
void control_started(int fd);
void control_failed(int fd, int error);
void control_exited(int fd, unsigned status);

/* ---- mounts.c ---- */

int mounts_early(void);
/* Root and all that a command expects to find in it, then / is that root. */
int mounts_root(const struct config *c);
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
};

int command_start(struct config *c, struct command *ret);

/* ---- relay.c ---- */

/*
 * Relays until the command and all that it started have ended, and every byte is with the VMM: its
 * exit status.
 */
unsigned relay(const struct ports *p, struct command *c);

#endif
