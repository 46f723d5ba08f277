/* SPDX-License-Identifier: Apache-2.0 */
/* arriving/<manifest>/ from inside the room: found, opened, removed. docs/formats/lazy.md */
#ifndef IMAGESTORE_ARRIVAL_FOLDER_H
#define IMAGESTORE_ARRIVAL_FOLDER_H

#include "imagestore/arrival/table.h"
#include "imagestore/store.h"

struct store_file arrival_file(const struct digest *manifest, const char *name);
struct store_file touched_file(const struct digest *manifest);

/* What its file `image` says. */
struct arrival_note {
	char *name;	     /* in index.json, once it is whole */
	char *source;	     /* HOST/REPOSITORY */
	char *platform;	     /* that was asked for */
	struct digest asked; /* what its name stood for when it was pulled: an index, perhaps */
};
int arrival_note_read(int dirfd, struct arrival_note *ret);
int arrival_note_write(int dirfd, const struct arrival_note *n);
void arrival_note_done(struct arrival_note *n);

/* Its folder, or -ENOENT without a text. */
int arrival_dir(struct store *s, const struct digest *manifest);
/* It was not removed since it was opened as @dirfd. */
bool arrival_is_named(struct store *s, const struct digest *manifest, int dirfd);
/* It stands in the store by now, and nothing new begins here. */
bool arrival_is_whole(int dirfd);
/* The same, also when who brought it was killed before he could say so. */
bool arrival_has_come(struct store *s, const struct digest *manifest, int dirfd);
int arrival_image(int dirfd, const struct digest *manifest, struct image **ret);

/* Which arrives under @ref (arriving_open()): -ENOENT without a text. */
int arrival_find_ref(struct store *s, const char *ref, struct digest *ret);

/* Calls @fn with each that is there, whole or not. */
typedef int arrival_fn(void *ctx, const struct digest *manifest, int dirfd);
int arrival_each(struct store *s, arrival_fn *fn, void *ctx);

/*
 * Its memory of what came: opened, to @write or to read, or begun anew when another boot left it.
 */
int arrival_open_state(int dirfd, const struct table *t, bool write, int *ret_state_fd,
		       int *ret_data_fd);
/* Makes both, of nothing, where there are none or those of another boot. */
int arrival_make_state(int dirfd, const struct table *t);

void arriving_close(struct arriving *a);

/* fsck: documents, index and table; what came of the contents is compared when it is whole. */
int arrival_check(int dirfd, const struct digest *manifest);

/* ---- away with it ---- */

/* -EBUSY: somebody serves from it, or an instance stands on it. Moves it to trash/. */
int arrival_drop(struct store *s, const struct digest *manifest);
/* As image_remove(): -ENOENT without a text when none arrives under @ref. */
int arrival_remove(struct store *s, const char *ref);
/* gc: what is whole or was left a day ago, and nobody uses. */
int arrival_sweep(struct store *s);

#endif
