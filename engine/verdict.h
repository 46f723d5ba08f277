/* SPDX-License-Identifier: Apache-2.0 */
/*
 * That a file of the store was hashed and found sound, for this very file and this boot: a line in
 * a folder of RUNROOT, <name>.sound. Any change of the file, be it by us, changes its ctime.
 */
#ifndef ENGINE_VERDICT_H
#define ENGINE_VERDICT_H

#include <stdbool.h>

struct store;

struct verdict {
	char s[128];
};

/* What is to be remembered of @fd: 0 or -errno with a text. */
int verdict_of(int fd, struct verdict *ret);
/* @dir negative: nothing is. */
bool verdict_known(int dir, const char *name, const struct verdict *v);
/* As far as it can be: else the next one hashes too. */
void verdict_keep(int dir, const char *name, const struct verdict *v);
/*
 * Forgets those in the folder @folder of @runroot whose file, @of/<name> of the store, is there no
 * more.
 */
void verdicts_forget(int runroot, const char *folder, struct store *s, const char *of);

#endif
