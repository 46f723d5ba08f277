/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inside of an instance: its directory, its lock, its record. docs/formats/instance.md has the
 * words.
 */
#ifndef RUNTIME_INST_H
#define RUNTIME_INST_H

#include "base/proc.h"
#include "runtime/runtime.h"

#define INST_ID_MAX 128 /* bytes of an id: containerd's have 64, its sandboxes' up to 76 */
#define INSTANCES   "instances"
#define NAMES	    "names"

struct inst {
	char id[INST_ID_MAX + 1];
	int runroot;
	int dir;
	int lock; /* held by us as its supervisor or remover; -1 = not */
	json_t *config;
	/* What the supervisor told last: all that is left of a removed one. */
	bool ended;
	struct inst_state last;
};

/* state.json: the public state and what makes it trustworthy. */
struct inst_record {
	struct inst_state state;
	uint64_t pid_start, monitor_start;
	struct boot_id boot;
};

bool inst_id_valid(const char *id);
bool inst_name_valid(const char *name);

/* An inst around the directory instances/@id that is there. */
int inst_open_id(int runroot, const char *id, struct inst **ret);
/* The instances folder, made when missing, locked. */
int inst_folder_lock(int runroot);
/* The text of names/@name: 0, or -ENOENT. */
int inst_name_read(int runroot, const char *name, char ret_id[INST_ID_MAX + 1]);

/* Takes the lock for the life of @i: 0, -EBUSY = somebody has it, -ENOENT = it is being removed. */
int inst_lock(struct inst *i);
void inst_unlock(struct inst *i);
/* 1 = somebody holds the lock, 0 = nobody, -errno. Never takes it. */
int inst_locked(const struct inst *i);

int inst_record_read(const struct inst *i, struct inst_record *ret);
/* Sets this boot's id and the start times of both pids, and replaces state.json. */
int inst_record_write(const struct inst *i, struct inst_record *r);
/* The record of one that has ended, its supervisor not having said how. */
void inst_record_end(struct inst_record *r);
int inst_record_truth(const struct inst *i, struct inst_record *ret);

#endif
