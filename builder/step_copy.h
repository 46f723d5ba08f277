/* SPDX-License-Identifier: Apache-2.0 */
/* A COPY or ADD under way. */
#ifndef BUILDER_STEP_COPY_H
#define BUILDER_STEP_COPY_H

#include "builder/source.h"
#include "builder/stage.h"

#define SOURCES_MAX 65536u

/* One source: a path of the root that is copied from, or a here-document. */
struct item {
	char *path;
	const struct heredoc *heredoc;
	char *text; /* of the here-document, expanded */
	bool is_tar;
};

struct step_copy {
	char *from, *chown, *chmod; /* the flags, NULL = not given */
	int mode;
	char **words;	 /* the sources and the destination, expanded */
	const char *dst; /* the last of them */
	char *dst_path;	 /* from the step's root, cleaned */
	struct item *items;
	size_t n, cap;
	struct source source;
	/* Of --from: the tree that is copied from. */
	struct build_step *step;
	json_t *image;
};

/* The flags and the words, expanded. */
int copy_read(struct builder *b, struct step_copy *c);
/* Opens what is copied from, and finds the sources there. */
int copy_find(struct builder *b, struct step_copy *c);
/* Whether @dst, as written, can only be a folder. */
bool copy_names_folder(const char *dst);

#endif
